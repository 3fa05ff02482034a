"""`detect` says what is strange, when, by what, and never looks ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import BadInput
from tests.training.anomaly.sales import FIRST, at, world
from training.anomaly.detect import ALERT_AT, detect, detect_file

_COLUMNS = ["store_id", "product_id", "ds", "score", "alert", "kind", "why"]


def _row(found: pd.DataFrame, day: int) -> pd.Series:
    return found[at(found, day)].iloc[0]


def test_a_row_for_every_series_and_day_since() -> None:
    history = world(10, 80)
    since = FIRST + pd.Timedelta(days=60)
    found = detect(history, since)
    assert list(found.columns) == _COLUMNS
    assert len(found) == 10 * 20 and not found.duplicated(["store_id", "product_id", "ds"]).any()
    assert found["ds"].min() == since
    assert (found["alert"] == (found["score"] >= ALERT_AT)).all() and (found["why"] != "").all()


@settings(max_examples=6, deadline=None)
@given(cut=st.integers(20, 70), seed=st.integers(0, 99))
def test_the_future_changes_no_score(cut: int, seed: int) -> None:
    history = world(8, 90, seed=3)
    changed = history.copy()
    late = changed["ds"] > FIRST + pd.Timedelta(days=cut)
    changed.loc[late, "units"] = np.random.default_rng(seed).poisson(50, late.sum())
    changed.loc[late, ["revenue", "returns"]] = 7.0
    early = detect(history)["ds"] <= FIRST + pd.Timedelta(days=cut)
    pd.testing.assert_frame_equal(detect(history)[early], detect(changed)[early])
    pd.testing.assert_frame_equal(detect(history)[early].reset_index(drop=True), detect(history[~late]).reset_index(drop=True))


_WRONG = {
    "spike": ({"units": 60.0, "revenue": None, "lines": 50.0, "baskets": 50.0}, "spike"),
    "price": ({"revenue": "x10"}, "price"),
    "returns": ({"returns": 9.0}, "returns"),
    "feed": ({"units": "x2", "revenue": "x2", "lines": "x2"}, "feed"),
}


@pytest.mark.parametrize("name", list(_WRONG))
def test_what_is_made_wrong_is_found_and_named(name: str) -> None:
    history = world(30, 150, seed=5, mean=8.0)
    cell, (changes, kind) = at(history, 140), _WRONG[name]
    price = (history["revenue"].sum() / history["units"].sum()) if name == "spike" else None
    own = history[(history["store_id"] == "S0") & (history["product_id"] == "P3")]
    price = own["revenue"].sum() / own["units"].sum()
    for column, value in changes.items():
        now = history.loc[cell, column]
        history.loc[cell, column] = 60.0 * price if value is None else now * float(value[1:]) if isinstance(value, str) else value
    found = detect(history, FIRST + pd.Timedelta(days=120))
    row = _row(found, 140)
    assert row["alert"] and row["kind"] == kind, row.to_dict()
    assert row["score"] == found["score"].max()
    assert "1 in" in row["why"]


def test_a_run_of_zeros_of_a_steady_seller_is_a_drop_and_of_a_slow_one_is_not() -> None:
    history = world(30, 150, seed=6, mean=6.0)
    steady = (history["store_id"] == "S0") & (history["product_id"] == "P3")
    slow = (history["store_id"] == "S1") & (history["product_id"] == "P4")
    history.loc[slow, ["units", "revenue", "lines", "baskets", "returns"]] = 0
    sparse = slow & (history["ds"].dt.day % 16 == 0)
    history.loc[sparse, ["units", "lines", "baskets"]] = 1
    history.loc[sparse, "revenue"] = 3.0
    quiet = steady & (history["ds"] >= FIRST + pd.Timedelta(days=140)) & (history["ds"] < FIRST + pd.Timedelta(days=144))
    history.loc[quiet, ["units", "revenue", "lines", "baskets", "returns"]] = 0
    found = detect(history, FIRST + pd.Timedelta(days=120))
    row = _row(found, 143)
    assert row["alert"] and row["kind"] == "drop" and "nothing for 4 days" in row["why"], row.to_dict()
    assert not found[(found["store_id"] == "S1") & (found["product_id"] == "P4")]["alert"].any()


def test_false_alerts_are_about_one_in_a_thousand() -> None:
    found = detect(world(120, 200, seed=9), FIRST + pd.Timedelta(days=80))
    assert found["alert"].mean() < 0.004


def test_a_day_on_which_everyone_moves_is_no_anomaly_of_each() -> None:
    history = world(40, 150, seed=11, mean=8.0)
    holiday = history["ds"] == FIRST + pd.Timedelta(days=140)
    history.loc[holiday, ["units", "revenue", "lines", "baskets"]] *= 3
    found = detect(history, FIRST + pd.Timedelta(days=140))
    found = found[found["ds"] == FIRST + pd.Timedelta(days=140)]
    assert found["alert"].mean() < 0.1


def test_a_sparse_history_is_read_as_zeros() -> None:
    history = world(20, 120, seed=2)
    full, sparse = detect(history), detect(history[history["units"] > 0])
    both = full.merge(sparse, on=["store_id", "product_id", "ds"])
    assert len(sparse) == len(full)
    assert np.corrcoef(both["score_x"], both["score_y"])[0, 1] > 0.95


def test_file_in_file_out(tmp_path: Path) -> None:
    history = world(4, 60)
    history.to_csv(tmp_path / "h.csv", index=False)
    detect_file(tmp_path / "h.csv", "2024-02-20", tmp_path / "o.csv")
    written = pd.read_csv(tmp_path / "o.csv", parse_dates=["ds"], keep_default_na=False)
    assert list(written.columns) == _COLUMNS and written["ds"].min() == pd.Timestamp("2024-02-20")


@pytest.mark.parametrize(("since", "said"), [("someday", "expected a date"), ("2031-01-01", "up to the last day")])
def test_a_wrong_since_is_refused(since: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        detect(world(2, 30), since)


def test_series_and_stores_that_begin_later_change_no_earlier_score() -> None:
    history = world(8, 90, seed=3)
    later = world(30, 90, seed=4).assign(product_id=lambda rows: "new" + rows["store_id"] + rows["product_id"])
    later = later[later["ds"] > FIRST + pd.Timedelta(days=60)]
    for added in (later.assign(store_id=store) for store in ("S9", "S0")):
        found = detect(pd.concat([history[history["store_id"] == "S0"], added]))
        early = found["ds"] <= FIRST + pd.Timedelta(days=60)
        known = found[early & ~found["product_id"].str.startswith("new")].reset_index(drop=True)
        alone = detect(history[history["store_id"] == "S0"])
        pd.testing.assert_frame_equal(known, alone[alone["ds"] <= FIRST + pd.Timedelta(days=60)].reset_index(drop=True))


@pytest.mark.parametrize("mean", [20.0, 100.0])
def test_a_series_that_begins_is_nothing_strange(mean: float) -> None:
    history = world(60, 60, seed=8, mean=mean)
    begun = (history["product_id"] != "P3") | (history["ds"] > FIRST + pd.Timedelta(days=30))
    assert detect(history[begun])["alert"].sum() <= 10  # of 3,600 days


@pytest.mark.parametrize("days", range(1, 10))
def test_a_few_days_get_an_answer(days: int) -> None:
    assert len(detect(world(4, days))) == 4 * days


def test_what_sold_while_the_shelf_is_said_to_be_empty_is_judged() -> None:
    history = world(10, 100, seed=2, mean=5.0).assign(in_stock=1.0)
    day = at(history, 95)
    history.loc[day, ["units", "in_stock"]] = 400.0, 0.0
    row = _row(detect(history), 95)
    assert row["alert"] and "sold 400" in row["why"]


def test_one_stray_row_says_nothing_of_how_zeros_are_written() -> None:
    history = world(10, 100, seed=2, mean=0.8)[["store_id", "product_id", "ds", "units"]]
    gap = (history["product_id"] == "P1") & history["ds"].between(FIRST + pd.Timedelta(days=70), FIRST + pd.Timedelta(days=80))
    stray = history.head(1).assign(ds=FIRST - pd.Timedelta(days=90), units=1.0)
    found = detect(pd.concat([stray, history[~gap]]))
    unknown = found.merge(history[gap][["store_id", "product_id", "ds"]])
    assert len(unknown) and (unknown["score"] == 0).all()


def test_weeks_are_called_weeks() -> None:
    history = world(20, 700, seed=2, mean=6.0)
    weekly = history.assign(ds=history["ds"] - pd.to_timedelta(history["ds"].dt.dayofweek, "D"))
    weekly = weekly.groupby(["store_id", "product_id", "ds"], as_index=False)["units"].sum()
    weekly = weekly[weekly["ds"] > weekly["ds"].min()]
    weekly.loc[at(weekly, int((weekly["ds"].max() - FIRST).days)), "units"] = 900.0
    why = detect(weekly).query("alert")["why"]
    assert len(why) and why.str.contains("weeks").all() and not why.str.contains("days").any()


@pytest.mark.parametrize("cut", [6, 12, 19, 27, 28, 29])
def test_of_a_few_days_too_the_future_changes_no_score(cut: int) -> None:
    history = world(6, 60, seed=6)[["store_id", "product_id", "ds", "units"]]
    gap = history["ds"].between(FIRST + pd.Timedelta(days=3), FIRST + pd.Timedelta(days=7))
    history = history[(history["product_id"] != "P0") | ~gap]
    last = FIRST + pd.Timedelta(days=cut)
    some, positive = history[history["ds"] <= last], history[history["units"] > 0]
    later = history[history["ds"] > last].assign(units=0.0)
    for early in (some, positive[positive["ds"] <= last]):
        known, more = detect(early), detect(pd.concat([early, later]))
        pd.testing.assert_frame_equal(known, more[more["ds"] <= last].reset_index(drop=True))


def test_a_later_row_makes_no_days_of_weeks() -> None:
    weekly = world(6, 400, seed=2, mean=6.0)
    weekly = weekly[(weekly["ds"] - FIRST).dt.days % 7 == 0]
    odd = weekly.head(1).assign(ds=weekly["ds"].max() + pd.Timedelta(days=3))
    with pytest.raises(BadInput, match=rf"column 'ds', row {len(weekly) + 1} is .*; expected whole weeks after {FIRST:%Y-%m-%d}"):
        detect(pd.concat([weekly, odd]))


def test_every_day_of_a_long_history_has_its_row_and_a_slip_is_named() -> None:
    history = world(2, 1600, seed=1)
    found = detect(history)
    assert len(found) == 2 * 1600
    early = found["ds"] < FIRST + pd.Timedelta(days=1500)
    cut = history[history["ds"] < FIRST + pd.Timedelta(days=1500)]
    pd.testing.assert_frame_equal(found[early].reset_index(drop=True), detect(cut))
    slip = history.head(1).assign(ds=pd.Timestamp("2042-01-03"))
    with pytest.raises(BadInput, match=r"row 3201 is 2042-01-03, [0-9,]+ days after the day before it"):
        detect(pd.concat([history, slip]))


def test_lines_are_told_as_lines() -> None:
    history = world(20, 150, seed=5, mean=8.0)[["store_id", "product_id", "ds", "units", "lines"]]
    history.loc[at(history, 140), "lines"] = 90.0
    row = _row(detect(history), 140)
    assert row["alert"] and "sold" not in row["why"] and "line" in row["why"]
    assert (row["kind"], row["why"][:8]) in {("spike", "90 lines"), ("feed", "units a ")}


def test_a_slow_series_is_held_against_itself_beside_fast_ones() -> None:
    draw, days = np.random.default_rng(3), 300
    slow, fast = (draw.poisson(rate, size=(20, days)) for rate in (0.02, 200.0))
    slow[4, 250] = 6
    rows = [
        ("S", f"{kind}{at}", FIRST + pd.Timedelta(days=day), float(units[at, day]))
        for kind, units in (("slow", slow), ("fast", fast)) for at in range(20) for day in range(days)
    ]  # fmt: skip
    found = detect(pd.DataFrame(rows, columns=["store_id", "product_id", "ds", "units"])).set_index(["product_id", "ds"])
    assert found.loc[("slow4", FIRST + pd.Timedelta(days=250)), "alert"]
    assert found.loc[[f"slow{at}" for at in range(20) if at != 4], "alert"].mean() < 0.005


def test_a_store_that_writes_zeros_says_nothing_of_one_that_does_not() -> None:
    rows = world(24, 120, mean=5.0)
    silent = (rows["store_id"] == "S1") & (rows["units"] == 0)
    gone = (rows["store_id"] == "S1") & (rows["product_id"] == "P3") & (rows["ds"] >= FIRST + pd.Timedelta(days=100))
    rows.loc[rows["store_id"].eq("S0") & (rows["ds"].dt.dayofweek == 6) & rows["product_id"].eq("P1"), "units"] = 0.0
    found = detect(rows.loc[~silent & ~gone, ["store_id", "product_id", "ds", "units"]])
    assert found.loc[at(found, 110, "S1"), "alert"].all()


def test_a_first_day_without_revenue_hides_no_later_price() -> None:
    rows = world(4, 80)
    first, wrong = at(rows, 0, "S0", "P0"), at(rows, 60, "S0", "P0")
    rows.loc[first, ["units", "revenue"]] = [5.0, 0.0]
    rows.loc[wrong, "units"] = 5.0
    rows.loc[wrong, "revenue"] = rows.loc[at(rows, 61, "S0", "P0"), "revenue"].item() / 10
    found = detect(rows)
    assert found.loc[at(found, 60, "S0", "P0"), "kind"].tolist() == ["price"]


def test_a_day_of_the_last_week_is_asked_about_with_its_week() -> None:
    weeks = pd.DataFrame({"store_id": "S", "product_id": "P", "ds": pd.date_range("2024-01-01", periods=20, freq="7D"), "units": 5.0})
    assert detect(weeks, "2024-05-15")["ds"].tolist() == [pd.Timestamp("2024-05-13")]
    with pytest.raises(BadInput, match="expected a date up to the last day of the history, 2024-05-19"):
        detect(weeks, "2024-05-20")


def test_a_price_stands_for_the_revenue() -> None:
    rows = world(4, 80)
    rows = rows.assign(price=(rows["revenue"] / rows["units"]).groupby([rows["store_id"], rows["product_id"]]).transform("mean"))
    wrong = at(rows, 60, "S0", "P0")
    rows.loc[wrong, ["units", "price"]] = [5.0, rows.loc[wrong, "price"].item() * 10]
    found = detect(rows[["store_id", "product_id", "ds", "units", "price"]])
    assert found.loc[at(found, 60, "S0", "P0"), "kind"].tolist() == ["price"]
