"""The panel says the same as its rows, and what a missing row means is decided once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.panel import frequency, from_frame, group_totals, with_groups


def sales(rows: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["store_id", "product_id", "ds", "units"])
    return frame.assign(ds=pd.to_datetime(frame["ds"]))


SPARSE = sales([("b", "1", "2024-01-04", 2), ("a", "1", "2024-01-01", 3), ("a", "1", "2024-01-03", 1), ("a", "2", "2024-01-02", 5)])


def test_a_file_without_zeros_leaves_out_what_did_not_sell() -> None:
    panel = from_frame(SPARSE)
    assert panel.keys.values.tolist() == [["a", "1"], ["a", "2"], ["b", "1"]]
    np.testing.assert_array_equal(panel.units, [[3, 0, 1, 0], [np.nan, 5, 0, 0], [np.nan, np.nan, np.nan, 2]])
    assert panel.exposure.tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]]


def test_a_file_that_writes_zeros_leaves_out_what_it_does_not_know() -> None:
    panel = from_frame(pd.concat([SPARSE, sales([("a", "2", "2024-01-04", 0)])]))
    np.testing.assert_array_equal(panel.units[:2], [[3, np.nan, 1, np.nan], [np.nan, 5, np.nan, 0]])


def test_order_of_rows_does_not_matter() -> None:
    one, other = from_frame(SPARSE), from_frame(SPARSE.sample(frac=1, random_state=1))
    np.testing.assert_array_equal(one.units, other.units)
    pd.testing.assert_frame_equal(one.keys, other.keys)


def test_rows_after_the_last_day_are_not_read() -> None:
    panel = from_frame(SPARSE, last_day="2024-01-02")
    assert panel.days[-1] == pd.Timestamp("2024-01-02")
    np.testing.assert_array_equal(panel.units, [[3, 0], [np.nan, 5]])
    later = from_frame(SPARSE, last_day="2024-01-06")
    assert later.units.shape == (3, 6) and later.units[0, -1] == 0


@pytest.mark.parametrize(
    ("days", "step"),
    [(["2024-01-01", "2024-01-15"], 7), (["2024-01-03", "2024-01-10"], 7), (["2024-01-01", "2024-01-09"], 1), (["2024-01-01"], 1)],
)
def test_weekly_is_whole_weeks_apart(days: list[str], step: int) -> None:
    assert frequency(pd.Series(pd.to_datetime(days))) == step


def test_weeks_are_columns_of_a_weekly_panel() -> None:
    panel = from_frame(sales([("a", "1", "2024-01-01", 3), ("a", "1", "2024-01-15", 1)]))
    np.testing.assert_array_equal(panel.units, [[3, 0, 1]])
    assert panel.day(3) == pd.Timestamp("2024-01-22") and panel.position("2024-01-17") == 2


def test_planned_columns_reach_past_the_end_and_new_pairs_get_a_series() -> None:
    history = SPARSE.assign(price=[1.0, 2, 3, 4])
    future = pd.DataFrame({"store_id": ["a", "c"], "product_id": ["1", "9"], "ds": pd.to_datetime(["2024-01-06"] * 2), "price": [7.0, 8]})
    panel = from_frame(history, known=["price"], future=future, horizon=2, pairs=future)
    assert panel.keys.values.tolist()[-1] == ["c", "9"] and np.isnan(panel.units[-1]).all()
    np.testing.assert_array_equal(panel.known["price"][0], [2, np.nan, 3, np.nan, np.nan, 7])
    assert panel.known["price"][-1, -1] == 8


def test_group_sums_are_the_sums_of_their_rows_and_survive_the_way_through_totals() -> None:
    static = pd.DataFrame({"product_id": ["1", "2"], "category": ["x", "y"]})
    panel = from_frame(SPARSE, static=static)
    store = panel.groups["store"]
    np.testing.assert_array_equal(store.units[store.codes[0]], [3, 5, 1, 0])
    np.testing.assert_array_equal(store.exposure[store.codes[0]], [1, 2, 2, 2])
    totals = group_totals(panel)
    part = with_groups(panel.rows(np.array([1, 2])), totals)
    for name, group in panel.groups.items():
        np.testing.assert_array_equal(part.groups[name].units[part.groups[name].codes], group.units[group.codes[[1, 2]]])
        np.testing.assert_array_equal(part.groups[name].exposure[part.groups[name].codes], group.exposure[group.codes[[1, 2]]])


def test_a_hundred_thousand_days_keep_only_the_latest() -> None:
    rows = sales([("a", "1", "1800-01-01", 3), ("a", "1", "2073-10-16", 1), ("a", "1", "2073-10-17", 4)])
    panel = from_frame(rows)
    assert panel.units.shape[1] <= 1500
    np.testing.assert_array_equal(panel.units[0, -2:], [1, 4])
