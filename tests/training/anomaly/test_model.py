"""The served model answers from one row of features, and survives its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from training.anomaly.card import CARD, FEATURES
from training.anomaly.day import CHANNELS, channels, expected_units
from training.anomaly.model import AnomalyModel, Bands, Centres, Tails, rarity, upper_tail
from training.portable import load_portable, save_portable


def known(rows: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Requests with features of pairs that sell 3 a day at 2.50."""
    random = np.random.default_rng(seed)
    units = random.poisson(3.0, rows).astype(float)
    facts = {"units": units, "revenue": units * 2.5, "lines": units, "baskets": units, "returns": np.zeros(rows)}
    features = dict.fromkeys(FEATURES, 1.0) | {
        "level": 3.0,
        "dispersion": 1.0,
        "mean_28": 3.0,
        "mean_91": 3.0,
        "price": 2.5,
        "days_in_stock_since_sale": 0.0,
    }
    keys = {"store_id": "S1", "product_id": "P1", "ds": pd.Timestamp("2024-03-01")}
    return pd.DataFrame({**keys, **facts, **features})


def model() -> AnomalyModel:
    found = channels(known())
    tails = [upper_tail(found[name].to_numpy()) for name in CHANNELS]
    ranking = Tails(np.stack([tail for tail, _ in tails]), tails[0][1])
    return AnomalyModel(ranking, *upper_tail(ranking.raw(found)))


def test_expected_units_are_level_times_weekday() -> None:
    frame = known(2).assign(dow_4=[2.0, 0.5])  # 2024-03-01 is a Friday
    np.testing.assert_allclose(expected_units(frame), [6.0, 1.5])


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [({"units": 30.0, "revenue": 75.0, "lines": 30.0, "baskets": 30.0}, "spike", "sold 30"),
     ({"revenue": 75.0, "units": 3.0}, "price", "paid 25.00 a unit"),
     ({"lines": 6.0, "baskets": 3.0}, "feed", "6 lines in 3 baskets"), ({"returns": 8.0}, "returns", "8 units returned")],
)  # fmt: skip
def test_a_strange_day_is_an_alert_of_its_kind(changes: dict, kind: str, words: str) -> None:
    said = model().predict(known(3).assign(**changes)).iloc[0]
    assert said["alert"] and said["kind"] == kind and words in said["why"], said.to_dict()


def test_a_plain_day_is_none_and_facts_may_be_missing() -> None:
    plain = known(1).assign(units=3.0)
    said = model().predict(plain[["store_id", "product_id", "ds", "units", *FEATURES]])
    assert not said["alert"].any() and said["why"][0] == "as expected" and set(CARD.response) <= set(said.columns)


@pytest.mark.parametrize("ranking", [Bands(), Centres(np.zeros((2, 5)), np.array([1.0, 1, 1, 1, np.inf])), model().ranking])
def test_a_saved_model_says_the_same(tmp_path: Path, ranking: object) -> None:
    before = AnomalyModel(ranking, *upper_tail(np.arange(100.0)))  # type: ignore[arg-type]
    save_portable(before, tmp_path / "m")
    after = load_portable(tmp_path / "m")
    pd.testing.assert_frame_equal(before.predict(known(50)), after.predict(known(50)))


def test_rarity_of_a_tail_is_its_share() -> None:
    values = np.random.default_rng(1).normal(size=20_000)
    tail, shares = upper_tail(values)
    got = rarity(np.quantile(values, [0.5, 0.9, 0.999]), tail, shares)
    np.testing.assert_allclose(got, -np.log10([0.5, 0.1, 0.001]), rtol=0.05)
    assert rarity(np.array([99.0]), tail, shares) > rarity(np.array([9.0]), tail, shares)


@pytest.mark.parametrize(("known_at", "fits"), [("2024-03-02", False), ("2024-03-01", True), ("2024-02-24", True), ("2024-02-23", False)])
def test_a_day_is_judged_by_what_was_known_shortly_before_it(known_at: str, fits: bool) -> None:
    asked = known(1).assign(known_at=pd.Timestamp(known_at))
    if fits:
        assert len(model().predict(asked)) == 1
    else:
        with pytest.raises(BadInput, match=f"ds is 2024-03-01: expected {known_at}"):
            model().predict(asked)
