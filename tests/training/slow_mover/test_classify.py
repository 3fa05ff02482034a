"""`slow_movers` is calibrated, beats the recency rule, reads nothing after the origin, and answers for everything alive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from tests.training.slow_mover.sales import FIRST, silent, world
from training.slow_mover.classify import slow_movers, slow_movers_file

_ORIGIN = FIRST + pd.Timedelta(days=360)


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return world(250)


@pytest.fixture(scope="module")
def found(history: pd.DataFrame) -> pd.DataFrame:
    return slow_movers(history, None, _ORIGIN, 56)


def test_a_row_for_everything_alive(history: pd.DataFrame, found: pd.DataFrame) -> None:
    sold = history[(history["ds"] <= _ORIGIN) & (history["ds"] > _ORIGIN - pd.Timedelta(days=365))]
    assert list(found.columns) == ["product_id", "probability", "action", "why"]
    assert set(found["product_id"]) == set(sold["product_id"]) and found["product_id"].is_unique
    assert found["probability"].between(0, 1).all() and found["probability"].is_monotonic_decreasing


def test_better_than_the_base_rate_and_calibrated(history: pd.DataFrame, found: pd.DataFrame) -> None:
    label, p = silent(history, found, _ORIGIN, 56), found["probability"].to_numpy()
    loss = -np.mean(np.where(label == 1, np.log(p), np.log(1 - p)))
    base = label.mean()
    assert loss < 0.6 * -(base * np.log(base) + (1 - base) * np.log(1 - base))
    assert p.mean() == pytest.approx(base, abs=0.06)


def test_rows_after_the_origin_change_nothing(history: pd.DataFrame, found: pd.DataFrame) -> None:
    before = history[history["ds"] <= _ORIGIN]
    extra = pd.DataFrame({"product_id": ["P1", "NEW"], "ds": _ORIGIN + pd.Timedelta(days=3), "units": 99.0, "revenue": 1.0})
    pd.testing.assert_frame_equal(slow_movers(pd.concat([before, extra]), None, _ORIGIN, 56), found)


@pytest.mark.parametrize("shift", [3, 7])
def test_rows_after_the_origin_make_no_days_of_weeks_and_no_second_store(shift: int) -> None:
    weekly = world(40, 420, seed=4).assign(store_id="S1")
    weekly = weekly.assign(ds=weekly["ds"] - pd.to_timedelta(weekly["ds"].dt.dayofweek, "D"))
    weekly = weekly.groupby(["store_id", "product_id", "ds"], as_index=False)["units"].sum()
    origin = FIRST + pd.Timedelta(days=357)
    before = weekly[weekly["ds"] <= origin]
    extra = before.head(1).assign(ds=origin + pd.Timedelta(days=shift), store_id="S2")
    pd.testing.assert_frame_equal(slow_movers(pd.concat([before, extra]), None, origin, 56), slow_movers(before, None, origin, 56))


def test_what_never_sold_is_told_in_every_store_that_may_have_it() -> None:
    history = world(20, 120, stores=2)
    origin = history["ds"].max()
    listed = pd.DataFrame({"store_id": "S1", "product_id": "ZERO", "ds": pd.date_range(FIRST, origin), "units": 0.0})
    both = pd.concat([history, listed])
    for items in (pd.DataFrame({"product_id": ["DEAD", "ZERO"], "on_hand": 500.0}),
                  pd.DataFrame({"store_id": [None, None], "product_id": ["DEAD", "ZERO"], "on_hand": 500.0})):  # fmt: skip
        found = slow_movers(both, items, origin, 56)
        dead = found[found["product_id"].isin(["DEAD", "ZERO"])]
        assert sorted(zip(dead["product_id"], dead["store_id"], strict=True)) == [("DEAD", "S0"), ("DEAD", "S1"), ("ZERO", "S1")]
        assert dead["why"].str.contains("never sold").all()


def test_longer_silence_is_no_better_sign() -> None:
    days = pd.date_range(FIRST, periods=200)
    rows = [pd.DataFrame({"product_id": f"P{k}", "ds": days[k % 3 : 200 - 12 * k : 4], "units": 1.0}) for k in range(8)]
    found = slow_movers(pd.concat(rows), None, days[-1], 28).set_index("product_id")["probability"]
    assert (np.diff(found[[f"P{k}" for k in range(8)]]) >= -0.02).all()


def test_a_short_history_still_answers() -> None:
    history = world(20, 30)
    found = slow_movers(history, None, FIRST + pd.Timedelta(days=29), 56)
    assert len(found) == history["product_id"].nunique() and found["probability"].notna().all()


def test_pairs_where_there_are_stores_and_weeks_where_days_are_weeks() -> None:
    pairs = slow_movers(world(30, 200, stores=3), None, FIRST + pd.Timedelta(days=190), 28)
    assert list(pairs.columns[:2]) == ["store_id", "product_id"] and not pairs.duplicated(["store_id", "product_id"]).any()
    weekly = world(60, 400).assign(ds=lambda f: f["ds"] - pd.to_timedelta(f["ds"].dt.dayofweek, "D"))
    weekly = weekly.groupby(["product_id", "ds"], as_index=False)["units"].sum()
    assert len(slow_movers(weekly, None, FIRST + pd.Timedelta(days=378), 56)) > 40


def test_items_bring_the_arithmetic_and_units_that_never_sold(history: pd.DataFrame) -> None:
    items = pd.DataFrame({"product_id": ["P1", "GHOST"], "on_hand": [40.0, 7.0], "unit_cost": [1.5, 2.0], "price": [3.0, 2.1]})
    found = slow_movers(history, items, _ORIGIN, 56).set_index("product_id")
    assert "40 x 1.50 = 60.00 tied up" in found.loc["P1", "why"]
    assert found.loc["GHOST", "action"] == "clear" and "7 x 2.00 = 14.00" in found.loc["GHOST", "why"]


def test_an_item_without_a_store_stands_for_its_product_everywhere_but_where_the_pair_is_named() -> None:
    history = world(30, 200, stores=2)
    stores = sorted(history["store_id"].unique())
    items = pd.DataFrame(
        {"store_id": [None, stores[0]], "product_id": ["P1", "P1"], "on_hand": [40.0, 3.0], "unit_cost": 2.0, "price": 3.0}
    )
    plain, found = (slow_movers(history, told, FIRST + pd.Timedelta(days=190), 28) for told in (None, items))
    assert found["store_id"].notna().all() and set(zip(plain.store_id, plain.product_id, strict=True)) <= set(
        zip(found.store_id, found.product_id, strict=True)
    )
    why = found[found["product_id"] == "P1"].set_index("store_id")["why"]
    assert "3 x 2.00 = 6.00" in why[stores[0]] and "40 x 2.00 = 80.00" in why[stores[1]]


def test_file_in_file_out(tmp_path: Path) -> None:
    world(30, 120).to_csv(tmp_path / "h.csv", index=False)
    slow_movers_file(tmp_path / "h.csv", None, "2023-04-20", 28, tmp_path / "o.parquet")
    assert list(pd.read_parquet(tmp_path / "o.parquet").columns) == ["product_id", "probability", "action", "why"]


@pytest.mark.parametrize(
    ("origin", "horizon", "said"),
    [
        ("no day", 56, "expected a date"),
        ("2020-01-01", 56, "no sale up to"),
        ("2031-01-01", 56, "2823 days before --origin 2031-01-01; expected at most 56"),
        ("2023-05-01", 0, "1 to 400"),
        ("2023-05-01", 10_000, "1 to 400"),
    ],
)
def test_bad_input_is_refused(origin: str, horizon: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        slow_movers(world(5, 100), None, origin, horizon)


def test_the_stock_of_another_store_is_not_the_items() -> None:
    history = world(30, 200).assign(store_id="S2")
    items = pd.DataFrame({"store_id": ["S1", None, "S2"], "product_id": "P1", "on_hand": [50.0, 30.0, 7.0], "unit_cost": 2.0, "price": 3.0})
    for told in (items, items.iloc[::-1]):
        found = slow_movers(history, told, FIRST + pd.Timedelta(days=190), 28).set_index("product_id")
        assert "7 on hand" in found.loc["P1", "why"]
    found = slow_movers(history.drop(columns="store_id"), items, FIRST + pd.Timedelta(days=190), 28).set_index("product_id")
    assert "87 on hand" in found.loc["P1", "why"]


def test_a_store_is_said_in_every_row_or_in_none() -> None:
    history, day = world(30, 200), FIRST + pd.Timedelta(days=190)
    plain = slow_movers(history, None, day, 28)
    pd.testing.assert_frame_equal(slow_movers(history.assign(store_id=None), None, day, 28), plain)
    with pytest.raises(BadInput, match="column 'store_id', row 1 is blank; expected a store in every row or in none"):
        slow_movers(history.assign(store_id=[None] + ["S1"] * (len(history) - 1)), None, day, 28)


def test_a_history_that_ended_long_ago_is_not_silence(history: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match=r"201 days before --origin .*; expected at most 56"):
        slow_movers(history, None, history["ds"].max() + pd.Timedelta(days=201), 56)


def test_what_never_sold_among_fast_ones_is_not_alive() -> None:
    days = pd.date_range(FIRST, periods=120)
    rows = [pd.DataFrame({"product_id": f"P{k}", "ds": days, "units": 4.0}) for k in range(5)]
    items = pd.DataFrame({"product_id": ["DEAD"], "on_hand": [500.0]})
    dead = slow_movers(pd.concat(rows), items, days[-1], 56).set_index("product_id").loc["DEAD"]
    assert dead["probability"] > 0.5 and dead["action"] != "keep" and dead["why"].startswith("never sold in 120 days")


def test_a_part_of_a_week_is_asked_about_with_its_week() -> None:
    weekly = world(60, 400).assign(ds=lambda f: f["ds"] - pd.to_timedelta(f["ds"].dt.dayofweek, "D"))
    weekly = weekly.groupby(["product_id", "ds"], as_index=False)["units"].sum()
    ten, two = (slow_movers(weekly, None, FIRST + pd.Timedelta(days=378), days) for days in (10, 14))
    pd.testing.assert_frame_equal(ten, two)
    assert ten["why"].str.contains("sale weeks in 13; .* none in 14 days").all()


@pytest.mark.parametrize("later", [1, 14, 50])
def test_days_after_the_last_row_are_unknown_and_not_silence(history: pd.DataFrame, found: pd.DataFrame, later: int) -> None:
    before = history[history["ds"] <= _ORIGIN]
    assert before["ds"].max() == _ORIGIN
    pd.testing.assert_frame_equal(slow_movers(before, None, _ORIGIN + pd.Timedelta(days=later), 56), found)


def test_what_is_listed_for_three_days_is_new_and_not_dead(history: pd.DataFrame) -> None:
    days = pd.date_range(_ORIGIN - pd.Timedelta(days=2), _ORIGIN)
    rows = pd.concat([history, pd.DataFrame({"product_id": "NEW", "ds": days, "units": 0.0})])
    items = pd.DataFrame({"product_id": ["NEW", "OLD"], "on_hand": 20.0})
    found = slow_movers(rows, items, _ORIGIN, 56).set_index("product_id")
    assert found.loc["NEW", "action"] == "watch" and "never sold in 3 days" in found.loc["NEW", "why"]
    assert found.loc["NEW", "probability"] < found.loc["OLD", "probability"] and "never sold in 361 days" in found.loc["OLD", "why"]


def test_what_sells_elsewhere_and_never_here_is_moved() -> None:
    sold = world(60, 300, stores=3, seed=2)
    daily = pd.DataFrame({"product_id": "P7", "ds": pd.date_range(FIRST, periods=300), "units": 2.0, "revenue": 4.0})
    rows = pd.concat([sold[sold["product_id"] != "P7"], daily.assign(store_id="S0"), daily.assign(store_id="S1")])
    items = pd.DataFrame({"store_id": ["S2"], "product_id": ["P7"], "on_hand": [100.0]})
    said = slow_movers(rows, items, FIRST + pd.Timedelta(days=299), 56).query("store_id == 'S2' and product_id == 'P7'").iloc[0]
    assert said["action"] == "transfer" and "sold on 56 store-days elsewhere in 28" in said["why"]


def test_the_pace_of_a_young_item_is_of_its_own_days() -> None:
    rows = pd.DataFrame({"product_id": "P1", "ds": pd.date_range(FIRST, periods=30), "units": 3.0})
    rows = pd.concat([rows, world(30, 30, seed=5).query("product_id != 'P1'")])
    said = slow_movers(rows, pd.DataFrame({"product_id": ["P1"], "on_hand": [30.0]}), FIRST + pd.Timedelta(days=29), 56).set_index(
        "product_id"
    )
    chance = said.loc["P1", "probability"]
    assert f"against {(1 - chance) * 3 * 56:.2g} expected" in said.loc["P1", "why"]


def test_a_slip_is_told_with_its_own_row(history: pd.DataFrame) -> None:
    days = pd.to_datetime(["2024-06-25", "2022-01-01", "2024-02-01", "2024-03-01"])
    rows = pd.DataFrame({"product_id": "P1", "ds": days, "units": 1.0})
    with pytest.raises(BadInput, match="row 3 is 2024-02-01"):
        slow_movers(rows, None, "2024-03-10", 56)


def test_what_is_out_of_stock_is_not_what_does_not_sell(history: pd.DataFrame) -> None:
    days = pd.date_range(FIRST, _ORIGIN)
    daily = pd.DataFrame({"product_id": "DAILY", "ds": days, "units": 4.0, "revenue": 8.0, "in_stock": 1.0})
    gone = daily["ds"] > _ORIGIN - pd.Timedelta(days=70)
    rows = pd.concat([history.assign(in_stock=1.0), daily.assign(units=daily["units"].mask(gone, 0.0), in_stock=(~gone).astype(float))])
    items = pd.DataFrame({"product_id": ["DAILY"], "on_hand": [0.0]})
    said = slow_movers(rows, items, _ORIGIN, 56).set_index("product_id").loc["DAILY"]
    assert said["probability"] < 0.05 and said["action"] == "keep" and "then out of stock for 70 days, 91 sale days in 91" in said["why"]
    untold = slow_movers(rows.drop(columns="in_stock"), items, _ORIGIN, 56).set_index("product_id").loc["DAILY"]
    assert untold["probability"] > 0.5 and untold["action"] == "delist"


def test_silence_of_what_is_out_of_stock_teaches_nothing() -> None:
    days, rng = pd.date_range(FIRST, periods=360), np.random.default_rng(8)
    rows = pd.DataFrame([(f"P{i}", day, float(rng.poisson(0.4))) for i in range(80) for day in days], columns=["product_id", "ds", "units"])
    # from its own day on half of them are out of stock, until a week before the end
    begin = rows["product_id"].map({f"P{i}": FIRST + pd.Timedelta(days=120 + i) for i in range(40)})
    gone = begin.notna() & (rows["ds"] >= begin) & (rows["ds"] < days[-7])
    rows = rows.assign(in_stock=(~gone).astype(float), units=rows["units"].mask(gone, 0.0))
    told = slow_movers(rows, None, days[-1], 28)["probability"].max()
    untold = slow_movers(rows.drop(columns="in_stock"), None, days[-1], 28)["probability"].max()
    assert told < 0.1 and untold > 0.9
