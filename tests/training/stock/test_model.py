"""The portable stock model: features in, the plan's arithmetic out, no Spark."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput, TooLittleHistory
from training.family import load_card
from training.portable import load_portable, save_portable
from training.stock.model import LONGEST_COVER_DAYS, StockModel
from training.stock.replay import whole
from training.stock.terms import terms


@dataclass(frozen=True)
class Total:
    """A demand model that knows the total."""

    units: float

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"item": np.arange(len(frame)), "lead_time_demand": self.units})

    def save(self, folder: Path) -> None:
        (folder / "units").write_text(str(self.units))

    @classmethod
    def load(cls, folder: Path) -> Total:
        return cls(float((folder / "units").read_text()))


def features(count: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "level": np.linspace(0.2, 9, count), "dispersion": 1.8, "on_hand": 3.0, "on_order": 2.0, "next_arrival_days": 1.0,
            "last_arrival_days": 3.0, "learned_lead_time_days": 4.0, "learned_lead_time_days_sd": 1.0, "shelf_price": 3.0,
            "unit_cost": 2.0, "pack_size": 2.0, "review_period_days": 1.0, "shelf_life_days": np.nan,
        }
    )  # fmt: skip


def test_it_answers_the_cards_fields_for_each_item() -> None:
    got = StockModel().predict(features())
    assert list(got["item"]) == [0, 1, 2, 3]
    assert set(load_card("stock").response) <= set(got.columns)
    assert got["order_units"].is_monotonic_increasing and got["order_units"].iloc[-1] > 0
    assert (got["order_units"] % 2 == 0).all() and got["why"].str.contains("expected demand").all()


def test_a_lead_time_beyond_what_demand_is_learned_over_goes_on_at_the_pace_learned() -> None:
    far = features().assign(learned_lead_time_days=60.0, learned_lead_time_days_sd=0.0, review_period_days=7.0)
    level = StockModel()

    class Twice(Total):
        def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"item": np.arange(len(frame)), "lead_time_demand": 2 * LONGEST_COVER_DAYS * frame["level"].to_numpy()})

    learned = StockModel(demand=Twice(0.0))
    twice = far.assign(level=2 * far["level"], dispersion=2 * (far["dispersion"] - 1) + 1)
    np.testing.assert_allclose(learned.predict(far)["expected_demand"], level.predict(twice)["expected_demand"], rtol=0.02)


def test_a_weekday_on_which_the_store_is_closed_asks_for_nothing() -> None:
    # 1970-01-04 is a Sunday; a week of level 6 that is closed on Sundays sells 36
    closed = features(1).assign(level=6.0, origin_day=3.0, **{f"dow_{day}": float(day < 6) for day in range(7)})
    weeks = closed.assign(learned_lead_time_days=7.0, learned_lead_time_days_sd=0.0, review_period_days=7.0)
    assert StockModel().predict(weeks)["expected_demand"].item() == pytest.approx(2 * 36, rel=1e-3)


def test_what_keeps_for_longer_than_a_year_keeps() -> None:
    shelf = pd.DataFrame({"shelf_life_days": [3650.0, 30.0, np.nan]})
    assert terms(shelf, np.full(3, np.nan), 1).shelf_life.tolist() == [np.inf, 30.0, np.inf]


def test_a_window_that_no_pair_fills_is_too_little_history() -> None:
    rows = pd.DataFrame({"store_id": ["s", "s"], "product_id": ["p", "q"], "origin": [date(2024, 1, 1)] * 2})
    assert len(whole(rows, 1)) == 2
    with pytest.raises(TooLittleHistory, match="none of 2 pairs is known on 10 weekly review days"):
        whole(rows, 10)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    model = StockModel(patience=1.3, common=0.2, demand=Total(25.0))
    again = load_portable(save_portable(model, tmp_path / "model"))
    pd.testing.assert_frame_equal(again.predict(features()), model.predict(features()))


def test_a_demand_model_sets_the_expected_demand() -> None:
    fixed = features().assign(learned_lead_time_days_sd=0.0)
    np.testing.assert_allclose(StockModel(demand=Total(25.0)).predict(fixed)["expected_demand"], 25.0)


def test_missing_features_take_defaults_but_the_level_must_be_there() -> None:
    assert np.isfinite(StockModel().predict(pd.DataFrame({"level": [2.0]}))["expected_cost"]).all()
    with pytest.raises(BadInput, match="level"):
        StockModel().predict(pd.DataFrame({"on_hand": [2.0]}))


def test_serving_it_needs_no_spark() -> None:
    code = "import sys, training.stock.model, training.stock.card, training.stock; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
