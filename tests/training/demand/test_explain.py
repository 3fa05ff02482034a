"""A forecast's contributions: they add up to it, they name the right driver, and their sentence can be added by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.training.demand.test_forecast import ORIGIN, history
from training.demand.explain import drivers, explained
from training.demand.forecaster import Forecaster
from training.demand.history_file import bring
from training.demand.model import DemandModel
from training.demand.profiles import SeasonalNaiveMean

PLANNED = ["store_id", "product_id", "ds", "promotion"]


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    sold = history(240, 40).drop(columns="mean")
    return Forecaster.learn(bring(sold[sold["ds"] <= ORIGIN], 14, sold[sold["ds"] > ORIGIN][PLANNED]), 14)


@pytest.fixture(scope="module")
def told(forecaster: Forecaster) -> pd.DataFrame:
    return forecaster.explanation()


def by(told: pd.DataFrame) -> pd.DataFrame:
    return told[[name for name in told if name.startswith("by_")]]


def test_contributions_add_up_to_the_forecast(forecaster: Forecaster, told: pd.DataFrame) -> None:
    np.testing.assert_allclose(by(told).sum(axis=1), told["units"], atol=1e-9)
    np.testing.assert_allclose(told["units"], forecaster.answer([])["units"], atol=1e-9)


def test_each_driver_tells_of_its_own(told: pd.DataFrame) -> None:
    weekend, days = told["ds"].dt.dayofweek >= 5, history(240, 40)
    promoted = told.merge(days, on=["store_id", "product_id", "ds"])["promotion"].to_numpy() == 1
    assert told.loc[weekend, "by_weekday"].mean() > 1 > 0 > told.loc[~weekend, "by_weekday"].mean()
    assert told.loc[promoted, "by_promotion"].mean() > 1 > 0 > told.loc[~promoted, "by_promotion"].mean()
    # what the two do not explain of how forecasts differ from their level is little
    rest = by(told).drop(columns=["by_level", "by_weekday", "by_promotion"]).sum(axis=1)
    assert rest.abs().mean() < 0.25 * (told["units"] - told["by_level"]).abs().mean()


def test_the_sentence_can_be_added_by_hand(told: pd.DataFrame) -> None:
    for said, units in zip(told["why"], told["units"], strict=True):
        sum_, total = said.split(" = ")
        assert np.isclose(sum(float(number) for number in re.findall(r"[-+]?\d+\.\d+", sum_)), float(total), atol=1e-9)
        assert abs(float(total) - units) <= 0.005 + 1e-9


def test_closed_days_are_a_driver() -> None:
    frame = history(200, 6).drop(columns=["mean", "promotion"])
    frame["open"] = (frame["ds"].dt.day != 15).astype(int)
    frame["units"] = frame["units"] * frame["open"]
    later = frame["ds"] > "2024-07-10"
    told = Forecaster.learn(bring(frame[~later], 10, frame[later].drop(columns="units")), 10).explanation()
    closed = told["ds"].dt.day == 15
    np.testing.assert_allclose(by(told).sum(axis=1), told["units"], atol=1e-9)
    assert (told.loc[closed, "by_closed"] < 0).all() and (told.loc[~closed, "by_closed"] == 0).all()


def test_a_mean_that_cannot_be_taken_apart_still_adds_up(forecaster: Forecaster) -> None:
    _, rows, _ = next(forecaster._parts(1000))
    model = DemandModel(SeasonalNaiveMean(), forecaster.model.calibration, profile_share=0.3)
    np.testing.assert_allclose(sum(explained(model, rows, drivers(rows.names)).values()), model.units(rows), atol=1e-9)


def test_every_feature_has_one_driver() -> None:
    found = drivers(
        ["promotion_lift", "price_to_usual", "display_target", "alike", "month", "store_mean_28", "mean_7"], ["display"], ["display"]
    )
    assert list(found.values()) == ["recent_sales", "price", "display", "display", "season", "related", "recent_sales"]
    assert drivers(["promotion_lift"], ["promotion"])["promotion_lift"] == "promotion"
    assert drivers(["alike"], [], ["a", "b"])["alike"] == "days_alike"


@pytest.mark.parametrize("name", ["level", "closed", "season", "overall"])
def test_a_planned_column_may_have_a_drivers_name(name: str) -> None:
    frame = history(120, 8).drop(columns="mean").rename(columns={"promotion": name})
    later = frame["ds"] > "2024-04-20"
    forecaster = Forecaster.learn(bring(frame[~later], 5, frame[later].drop(columns="units")), 5)
    told = forecaster.explanation()
    np.testing.assert_allclose(by(told).sum(axis=1), told["units"], atol=1e-9)
    assert f"by_{name}_planned" in told and all(
        said.endswith(f"= {units:.2f}") for said, units in zip(told["why"], told["units"], strict=True)
    )
