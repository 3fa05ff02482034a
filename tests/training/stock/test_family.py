"""The stock family's judge on Spark frames: all the money, the same chance for all, rules that choose on the weeks before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from training.stock.contenders import Cover, Level
from training.stock.dataset import schema
from training.stock.family import FAMILY
from training.stock.lead_time_demand import LEAD_TIME_FEATURES
from training.stock.replay import REVIEWS, STATE, replay, whole
from training.tabular import FEATURES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAIRS, SNAPSHOTS = 24, 18


def examples() -> pd.DataFrame:
    """Pairs that sell one unit in five days; every second one spoils in six days."""
    draw = np.random.default_rng(0)
    origins = pd.date_range("2024-01-07", periods=SNAPSHOTS, freq="7D")
    rows = []
    for pair in range(PAIRS):
        state = dict.fromkeys(STATE, np.nan) | {f"dow_{day}": 1.0 for day in range(7)}
        state |= {"level": 0.2, "dispersion": 1.2, "lead_time_days": 3.0, "learned_lead_time_days": 3.0, "learned_lead_time_days_sd": 1.0}
        state |= {
            "review_period_days": 3.0 + pair % 3,
            "shelf_price": 3.0,
            "unit_cost": 2.0,
            "pack_size": 2.0,
            "on_hand": 2.0,
            "on_order": 0.0,
        }
        state["shelf_life_days"] = 6.0 if pair % 2 else np.nan
        for origin in origins:
            state["origin_day"] = float((origin - pd.Timestamp("1970-01-01")).days)
            row = {"store_id": "s", "product_id": f"p{pair}", "origin": origin.date(), "segment": "lumpy"}
            row |= {"week": draw.poisson(0.2, 7).astype(float), "lead_time_demand": 1.4, "base": 1.4, "factor": 1.0, "weight": 1.0}
            rows.append({**row, **{f"state_{name}": value for name, value in state.items()}, FEATURES: [1.0] * len(LEAD_TIME_FEATURES)})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def data(spark: SparkSession):
    from pyspark.sql import functions as F

    return (
        spark.createDataFrame(examples(), schema()).withColumn("simulated", F.lit(True)).localCheckpoint()
    )  # a cache is let go after each test


def test_cover_is_chosen_on_the_weeks_before_and_the_arithmetic_is_cheaper(data) -> None:
    folds = FAMILY.folds(data)
    assert folds and all(fold.test.select("origin").distinct().count() == REVIEWS for fold in folds)
    judged = {}
    for contender in (Cover(), Level()):
        fitted = contender.fit(folds[-1].train, {})
        found = FAMILY.judge(fitted, folds[-1])
        assert FAMILY.parity(fitted, fitted.portable(), folds[-1].test) == 0
        judged[contender.name] = found[found["segment"] == "all"].set_index("metric")["value"]
    assert fitted.portable().patience > 0
    assert 0 < judged["level_arithmetic"]["cost"] < judged["fixed_cover"]["cost"]
    # 7 weeks of 0.2 a day at a margin of 1: nobody loses more than all
    assert judged["fixed_cover"]["cost"] < 5 and 0 <= judged["level_arithmetic"]["unfilled"] <= 1


def test_waste_is_charged_and_chance_is_common() -> None:
    rows = examples()
    rows = whole(rows[rows["origin"].isin(sorted(rows["origin"].unique())[-REVIEWS:])], REVIEWS)
    large, small = (replay(rows.assign(expected=1.4, patience=1.0, cover=days)) for days in (60.0, 15.0))
    spoils = np.isfinite(rows["state_shelf_life_days"].to_numpy()[::REVIEWS])
    assert large.waste[spoils].sum() > 3 * small.waste[spoils].sum() > 0 == large.waste[~spoils].sum()
    np.testing.assert_array_equal(large.demanded, small.demanded)
    again = replay(rows.assign(expected=1.4, patience=1.0, cover=60.0))
    np.testing.assert_array_equal(again.money, large.money)
