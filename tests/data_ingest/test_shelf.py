"""The simulated shelf against a plain, pair by pair account of the same rules, and against its own books."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_ingest.shelf import EXPIRE_AT, PAIR_COLUMNS, ShelfRun, run_shelf
from infra.errors import BadInput


def make_pairs(count: int, life: float = np.nan, mean: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "store_id": "s1",
            "product_id": [f"p{n}" for n in range(count)],
            "supplier_id": "v1",
            "mean_units": mean,
            "dispersion": 1.5,
            "unit_cost": 1.0,
            "pack_size": 2.0,
            "shelf_life_days": life,
            "lead_time_days": 3.0,
            "review_period_days": 4.0,
        }
    )[list(PAIR_COLUMNS)]


def make_lines(pairs: int, days: int, mean: float, seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    count = chance.poisson(pairs * days * mean)
    return pd.DataFrame(
        {
            "pair": chance.integers(0, pairs, count),
            "day": chance.integers(0, days, count),
            "second": chance.integers(0, 86400, count),
            "units": chance.integers(1, 4, count).astype(float),
        }
    )


def balance(run: ShelfRun) -> np.ndarray:
    """On hand at each opening, rebuilt from the moves and the sales alone (pairs x days)."""
    n, days = run.units.shape

    def matrix(frame: pd.DataFrame, day: str, units: str) -> np.ndarray:
        kept = frame[frame[day] < days]
        return np.bincount(kept["pair"] * days + kept[day], kept[units], n * days).reshape(n, days)

    first = run.counts[run.counts["day"] == 0].set_index("pair")["units"].reindex(range(n)).to_numpy()
    came = (
        matrix(run.orders, "received_day", "received_units") + matrix(run.adjustments, "day", "units") - matrix(run.waste, "day", "units")
    )
    return first[:, None] + np.cumsum(came, axis=1) - np.cumsum(run.units, axis=1) + run.units


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), life=st.sampled_from([np.nan, 3.0, 7.0]), mean=st.sampled_from([0.1, 0.6, 3.0]))
def test_the_books_balance(seed: int, life: float, mean: float) -> None:
    lines = make_lines(4, 60, mean, seed)
    lines = lines[lines["second"] >= EXPIRE_AT]
    run = run_shelf(make_pairs(4, life, mean), lines, 60, seed)
    assert run.demand.sum() == lines["units"].sum()
    assert (run.sold <= lines["units"].to_numpy()).all() and (run.sold >= 0).all()
    np.testing.assert_allclose(balance(run), run.on_hand_open)
    assert (run.on_hand_open >= 0).all() and ((run.in_stock >= 0) & (run.in_stock <= 1)).all()


def test_weekly_counts_find_what_the_books_say() -> None:
    run = run_shelf(make_pairs(6), lines := make_lines(6, 50, 0.8, 3), 50, 5)
    assert len(lines) > 100
    later = run.counts[run.counts["day"] > 0]
    np.testing.assert_allclose(later["units"], run.on_hand_open[later["pair"], later["day"]])
    assert later.groupby("pair")["day"].diff().dropna().eq(7).all()


def test_a_line_is_lost_only_when_the_shelf_is_empty_and_the_day_says_since_when() -> None:
    pairs = make_pairs(1, mean=0.01)
    lines = pd.DataFrame({"pair": [0, 0, 0], "day": [0, 0, 0], "second": [36_000, 50_000, 60_000], "units": [1.0, 100.0, 2.0]})
    run = run_shelf(pairs, lines, 1, 1)
    opened = run.on_hand_open[0, 0]
    assert 1 < opened < 100
    assert run.sold.tolist() == [1.0, opened - 1, 0.0]
    assert run.in_stock[0, 0] == pytest.approx((50_000 / 3600 - 7) / 15)


def test_goods_past_their_life_leave_the_shelf() -> None:
    run = run_shelf(make_pairs(3, life=5.0), make_lines(3, 1, 0, 1), 30, 2)
    arrived = run.counts[run.counts["day"] == 0].set_index("pair")["units"]
    wasted = run.waste[run.waste["day"] == 5].set_index("pair")["units"]
    assert (wasted == arrived.reindex(wasted.index)).all() and len(wasted) == 3
    assert run.units.sum() == 0 and (run.in_stock[:, 5] <= run.in_stock[:, 4]).all()


def test_orders_come_in_packs_mostly_when_promised_and_now_and_then_late_or_short() -> None:
    run = run_shelf(make_pairs(60, mean=2.0), make_lines(60, 200, 1.0, 4), 200, 9)
    orders = run.orders
    lead = orders["received_day"] - orders["ordered_day"]
    assert len(orders) > 1000 and (orders["ordered_units"] % 2 == 0).all()
    assert set(lead) == {2, 3, 4, 6}
    assert 0.10 < (orders["received_day"] > orders["promised_day"]).mean() < 0.25
    assert 0.01 < (orders["received_units"] < orders["ordered_units"]).mean() < 0.06
    assert 0.01 < (run.in_stock < 1).mean() < 0.20


def test_a_pair_meets_the_same_fate_whatever_runs_with_it() -> None:
    lines = make_lines(5, 90, 0.7, 8)
    together = run_shelf(make_pairs(5), lines, 90, 3)
    alone = run_shelf(make_pairs(5).iloc[[2]], lines[lines["pair"] == 2].assign(pair=0), 90, 3)
    np.testing.assert_array_equal(together.units[2], alone.units[0])
    np.testing.assert_array_equal(together.in_stock[2], alone.in_stock[0])
    shorter = run_shelf(make_pairs(5), lines[lines["day"] < 40], 40, 3)
    np.testing.assert_array_equal(together.on_hand_open[:, :40], shorter.on_hand_open)


def test_a_line_outside_the_run_is_refused_by_its_row() -> None:
    lines = make_lines(2, 10, 1.0, 1).assign(day=lambda f: np.where(f.index == 3, 10, f["day"]))
    with pytest.raises(BadInput, match="row 4"):
        run_shelf(make_pairs(2), lines, 10, 1)
