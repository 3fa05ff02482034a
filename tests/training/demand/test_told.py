"""What a file tells and what it does not: planned columns of days without a row, words, slips, plans with holes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from training.demand.forecast import forecast, forecast_file
from training.demand.history_file import bring
from training.demand.overrides import overridden, value_added
from training.demand.what_if import change_of, what_if
from training.stock.plan import order_file

FIRST = pd.Timestamp("2023-01-02")


def sales(days: int = 300, pairs: int = 20, mean: float = 2.0, seed: int = 0) -> pd.DataFrame:
    rng, ds = np.random.default_rng(seed), pd.date_range(FIRST, periods=days)
    keys = pd.DataFrame({"store_id": "s", "product_id": [f"p{i:02d}" for i in range(pairs)]})
    frame = keys.merge(ds.to_frame(index=False, name="ds"), how="cross")
    return frame.assign(units=rng.poisson(mean, len(frame)).astype(float))


def split(frame: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    last = frame["ds"].max() - pd.Timedelta(days=horizon)
    return frame[frame["ds"] <= last].reset_index(drop=True), frame[frame["ds"] > last].drop(columns="units").reset_index(drop=True)


def test_a_column_that_is_told_of_sold_days_only_does_not_give_them_away(tmp_path: Path) -> None:
    frame = sales(mean=0.2, pairs=40).assign(
        promotion=np.random.default_rng(1).integers(0, 2, 300 * 40), holiday=lambda rows: (rows["ds"].dt.day == 1).astype(int)
    )
    past, later = split(frame, 7)
    sparse = past[past["units"] > 0].reset_index(drop=True)
    brought = bring(sparse, 7, later)
    # the holiday is told by other rows of the day, the promotion by none
    assert brought.untold == ("promotion",) and "holiday" in brought.panel.known
    found = forecast(sparse, 7, future=later)
    assert found["units"].mean() == pytest.approx(0.2, rel=0.35)
    with pytest.raises(BadInput, match="change of 'promotion': the history tells it of the days that sold"):
        what_if(sparse, 7, [change_of("promotion=1")])
    paths = [tmp_path / name for name in ("h.csv", "f.csv", "o.csv")]
    sparse.to_csv(paths[0], index=False)
    later.to_csv(paths[1], index=False)
    told: list[str] = []
    forecast_file(paths[0], 7, paths[2], future=paths[1], tell=told.append)
    assert any("column 'promotion' is told of the days that sold" in said for said in told)


def test_a_price_that_only_sold_days_tell_does_not_give_them_away() -> None:
    """A till writes what was paid, a new price with each sale; the plan has a price for each day."""
    rng = np.random.default_rng(3)
    frame = sales(mean=0.6, pairs=40).assign(price=lambda rows: rng.choice([1.0, 1.2, 0.8], len(rows)))
    past, later = split(frame, 7)
    sparse = past[past["units"] > 0].reset_index(drop=True)
    assert bring(sparse, 7, later).untold == ("price",) and not bring(sparse, 7).untold
    for plan in (later, None):
        assert forecast(sparse, 7, future=plan)["units"].mean() == pytest.approx(0.6, rel=0.2)
    with pytest.raises(BadInput, match="change of 'price': the history tells it of the days that sold"):
        what_if(sparse, 7, [change_of("price=-4%")])
    # a list price that stays from one sale to the next is known on the days between
    listed = frame.assign(price=2.0)[frame["units"] > 0]
    assert not bring(listed[listed["ds"] <= past["ds"].max()], 7, later.assign(price=1.5)).untold


def test_without_a_plan_no_example_knows_the_price_of_its_day() -> None:
    rng = np.random.default_rng(4)
    frame = sales(pairs=40).assign(price=lambda rows: rng.choice([1.0, 0.7], len(rows), p=[0.8, 0.2]))
    mean = np.where(frame["price"] < 1, 10.0, 4.0)
    past, later = split(frame.assign(units=rng.poisson(mean).astype(float)), 28)
    found = forecast(past, 28)
    assert found["units"].mean() == pytest.approx(5.2, rel=0.06)
    told = found.merge(frame.assign(units=rng.poisson(mean).astype(float)), on=["store_id", "product_id", "ds"], suffixes=("", "_sold"))
    assert (told["units_sold"] <= told["q0.9"]).mean() > 0.86
    planned = forecast(past, 28, future=later).merge(later, on=["store_id", "product_id", "ds"])
    assert planned.groupby("price")["units"].mean().to_dict() == pytest.approx({0.7: 10.0, 1.0: 4.0}, rel=0.1)


def test_weeks_that_are_labelled_by_their_last_day_are_told(tmp_path: Path) -> None:
    weeks = pd.date_range("2023-01-01", periods=60, freq="W-SUN")
    frame = pd.DataFrame({"store_id": "s", "product_id": "p", "ds": weeks, "units": 4.0})
    (said,) = bring(frame, 2).assumed
    assert said.startswith("weeks are labelled by a Sunday, and are read as beginning on it")
    assert not bring(frame.assign(ds=weeks + pd.Timedelta(days=1)), 2).assumed
    frame.to_csv(tmp_path / "h.csv", index=False)
    pd.DataFrame({"store_id": ["s"], "product_id": ["p"], "on_hand": [1.0]}).to_csv(tmp_path / "s.csv", index=False)
    told: list[str] = []
    order_file(tmp_path / "h.csv", tmp_path / "s.csv", None, None, tmp_path / "o.csv", tell=told.append)
    assert told == [f"history file {tmp_path / 'h.csv'}: {said}"]


def test_a_day_that_neither_file_has_means_the_same_in_both() -> None:
    """A shop that closes on Sundays, and on days of its own, and has no row then in history or plan."""
    frame = sales(200, 20, mean=8.0).assign(open=1)
    shut = (frame["ds"].dt.dayofweek == 6) | ((frame["ds"].dt.day + frame["product_id"].str[1:].astype(int)) % 9 == 0)
    past, later = split(frame[~shut], 14)
    brought = bring(past, 14, later)
    assert not brought.untold and np.isnan(brought.panel.known["open"]).mean() > 0.15
    found = forecast(past, 14, future=later).merge(later, on=["store_id", "product_id", "ds"], how="left")
    assert found.loc[found["open"] == 1, "units"].mean() == pytest.approx(8.0, rel=0.1)
    assert found.loc[found["open"].isna(), "units"].mean() < 1.0


def test_a_day_without_a_plan_stays_as_it_was() -> None:
    rng = np.random.default_rng(2)
    frame = sales(mean=1.0, pairs=24)
    depth = rng.choice([0.0, 0.0, 0.0, 0.3, 0.5], len(frame))
    frame = frame.assign(depth=depth, units=rng.poisson(10 * (1 + 6 * depth)).astype(float))
    past, later = split(frame, 7)
    past.loc[past["ds"] == past["ds"].max(), "depth"] = 0.0
    plan = later.assign(depth=0.0)
    whole, holes = forecast(past, 7, future=plan), forecast(past, 7, future=plan[plan["product_id"] != "p03"])
    np.testing.assert_allclose(holes["units"], whole["units"])
    assert (holes.loc[holes["product_id"] == "p03", "note"] == "no row in the future file for 7 of 7 steps").all()


def test_a_slip_among_numbers_is_named_and_words_mean_the_same_in_both_files() -> None:
    frame = sales(120, 6).assign(temp=np.tile(np.linspace(0, 20, 120), 6))
    past, later = split(frame, 7)
    slip = past.astype({"temp": object})
    slip.loc[17, "temp"] = "-"
    with pytest.raises(BadInput, match=r"history: column 'temp', row 18 is '-'; expected a finite number as elsewhere"):
        forecast(slip, 7, future=later)
    with pytest.raises(BadInput, match=r"future: column 'temp', row 3 is inf; expected a finite number"):
        forecast(past, 7, future=later.assign(temp=[1.0, 1.0, np.inf, *[1.0] * (len(later) - 3)]))
    pd.testing.assert_frame_equal(forecast(past.astype({"temp": "Float64"}), 7, future=later), forecast(past, 7, future=later))
    with pytest.raises(BadInput, match=r"future: column 'promotion', row 1 is 'yes'; expected a finite number as elsewhere"):
        forecast(past.assign(promotion=past["ds"].dt.day % 2 == 0), 7, future=later.assign(promotion="yes"))
    offers = past.assign(offer=np.where(past["ds"].dt.day % 3 == 0, "2for1", "20"))
    as_word, as_number = (forecast(offers, 7, future=later.assign(offer=value)) for value in ("20", 20))
    pd.testing.assert_frame_equal(as_word, as_number)


def test_what_follows_the_origin_does_not_say_what_a_column_holds() -> None:
    frame = sales(120, 6).assign(temp=np.tile(np.linspace(0, 20, 120), 6))
    past, later = split(frame, 7)
    after = later.assign(units=1.0, temp="warm")
    origin = past["ds"].max()
    known = pd.concat([past, after], ignore_index=True)
    pd.testing.assert_frame_equal(forecast(known, 7, future=later, origin=origin), forecast(past, 7, future=later))


def test_a_word_is_worth_what_other_days_say() -> None:
    rng = np.random.default_rng(5)
    shock = rng.gamma(4, 0.25, 300)
    frame = sales(pairs=20, seed=3)
    day = (frame["ds"] - FIRST).dt.days.to_numpy()
    frame = frame.assign(units=rng.poisson(8 * shock[day]).astype(float), word=[f"w{d % 60}" for d in rng.permutation(300)[day]])
    past, later = split(frame, 14)
    found = forecast(past, 14, future=later).merge(frame, on=["store_id", "product_id", "ds"])
    inside = found["units_y"].between(found["q0.1"], found["q0.9"]).mean()
    words = bring(past, 14, later).panel.known["word"]
    assert inside > 0.7
    # a word's days are each told by the others
    assert len(np.unique(words)) > 200
    holiday = past.assign(word=np.where(past["ds"].dt.day == 1, "a", "0"))
    assert len(np.unique(bring(holiday, 14, later.assign(word="0")).panel.known["word"])) > 5


@pytest.mark.parametrize(("every", "said"), [(7, "row 3 is of Tuesday"), (30, "30 days apart; expected daily or weekly rows")])
def test_days_that_are_neither_daily_nor_weekly_are_named(every: int, said: str) -> None:
    frame = sales(20, 4)
    frame = frame.assign(ds=FIRST + (frame["ds"] - FIRST) * every)
    if every == 7:
        frame.loc[2, "ds"] += pd.Timedelta(days=1)
    with pytest.raises(BadInput, match=said):
        forecast(frame, 2)


def test_one_item_that_sells_every_other_week_is_daily() -> None:
    rng = np.random.default_rng(0)
    days = np.unique(np.cumsum(rng.integers(6, 20, 30)))
    one = pd.DataFrame({"store_id": "s", "product_id": "p", "ds": FIRST + pd.to_timedelta(days, "D"), "units": 1.0})
    found = forecast(one, 7)
    assert len(found) == 7 and found["units"].between(0.02, 0.3).all()


def test_a_week_is_planned_once() -> None:
    frame = sales(60, 4)
    frame = frame.assign(ds=FIRST + (frame["ds"] - FIRST) * 7, promotion=0)
    days = pd.DataFrame({"ds": pd.date_range(frame["ds"].max() + pd.Timedelta(days=7), periods=14), "promotion": 1})
    later = frame[["store_id", "product_id"]].drop_duplicates().merge(days, how="cross")
    with pytest.raises(BadInput, match=r"future: row 2 is the second of its pair in one week"):
        forecast(frame, 2, future=later)


def test_a_large_series_says_nothing_of_a_small_one() -> None:
    small, large = sales(pairs=1, mean=5.0), sales(pairs=1, mean=100_000.0).assign(product_id="large")
    found = forecast(pd.concat([small, large]), 7).query("product_id == 'p00'")
    assert found["q0.5"].between(2, 8).all() and (found["q0.9"] < 14).all()


@pytest.mark.parametrize("category", ["unheard of", None])
def test_a_new_item_of_a_new_category_sells_as_others_do(category: str | None) -> None:
    frame = sales(mean=10.0)
    new = pd.DataFrame({"store_id": "s", "product_id": "new", "ds": pd.date_range(frame["ds"].max() + pd.Timedelta(days=1), periods=3)})
    items = pd.DataFrame({"product_id": [*frame["product_id"].unique(), "new"], "category": ["c"] * 20 + [category]})
    found = forecast(frame, 3, future=new, items=items).query("product_id == 'new'")
    assert found["units"].between(5, 20).all() and (found["q0.9"] > 5).all()


def test_a_long_weekly_horizon_is_answered() -> None:
    frame = sales(120, 3)
    frame = frame.assign(ds=FIRST + (frame["ds"] - FIRST) * 7)
    found = forecast(frame, 104)
    assert len(found) == 3 * 104 and found["units"].notna().all()


def test_an_override_of_a_slow_item_has_the_quantiles_of_its_mean(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.csv" for name in ("h", "o", "out")}
    sales(mean=0.15).to_csv(paths["h"], index=False)
    pd.DataFrame({"product_id": ["p00"], "since": "2023-01-01", "until": "2030-01-01", "units": 30.0, "who": "ann", "why": "party"}).to_csv(
        paths["o"], index=False
    )
    found = forecast_file(paths["h"], 3, paths["out"], overrides=paths["o"])
    party = found[found["product_id"] == "p00"]
    assert (party["units"] == 30).all() and party["q0.5"].between(10, 40).all() and (party["q0.1"] > 0).all()
    assert (found.loc[found["product_id"] != "p00", "override"] == "").all()


def test_an_override_is_judged_alike_whether_zeros_are_written() -> None:
    frame = sales(60, 3, mean=0.2, seed=4)
    said = frame.query("product_id == 'p00' and ds > '2023-02-15'")[["store_id", "product_id", "ds"]].assign(origin=FIRST, units=0.2)
    change = pd.DataFrame({"since": [FIRST], "until": [pd.Timestamp("2030-01-01")], "units": [1.0], "who": "ann", "why": "hope"})
    made = overridden(said, change)
    whole, sparse = (value_added(made, rows) for rows in (frame, frame[frame["units"] > 0]))
    last = frame.loc[frame["units"] > 0, "ds"].max()
    if last == frame["ds"].max():
        pd.testing.assert_frame_equal(whole, sparse)
    assert (sparse["value_added"] < 0).all() and (whole["value_added"] < 0).all()


def test_a_weekday_that_a_store_never_has_is_closed_whatever_the_file_writes() -> None:
    """Three shops: one writes no zeros, one writes them, one opens on Sundays too."""
    frame = sales(150, 8, mean=0.7)
    shops = pd.concat([frame.assign(store_id=name) for name in ("a", "b", "open")], ignore_index=True)
    shut = (shops["ds"].dt.dayofweek == 6) & (shops["store_id"] != "open")
    sparse = (shops["store_id"] == "a") & (shops["units"] == 0)
    past, later = split(shops.assign(promotion=(shops["ds"].dt.day % 5 == 0).astype(int)), 14)
    # the plan is a calendar of all days
    kept = past.merge(shops[~(shut | sparse)][["store_id", "product_id", "ds"]], on=["store_id", "product_id", "ds"])
    brought = bring(kept, 14, later)
    assert not brought.untold
    found = forecast(kept, 14, future=later)
    sunday, opens = found["ds"].dt.dayofweek == 6, found["store_id"] == "open"
    assert (found.loc[sunday & ~opens, ["units", "q0.9"]] == 0).all().all() and (found.loc[sunday & opens, "units"] > 0.3).all()
    assert found.loc[~sunday].groupby("store_id")["units"].mean().between(0.5, 0.95).all()
    assert [said for said in brought.assumed if "Sunday" in said and "store a, b:" in said]


def test_a_few_stray_zeros_make_no_unsold_day_unknown(tmp_path: Path) -> None:
    frame = sales(150, 20, mean=0.2)
    stray = frame[(frame["units"] > 0) | (np.random.default_rng(0).random(len(frame)) < 0.01)].reset_index(drop=True)
    assert (stray["units"] == 0).mean() > 0.03
    assert forecast(stray, 7)["units"].mean() == pytest.approx(0.2, rel=0.3)
    stray.to_csv(tmp_path / "h.csv", index=False)
    told: list[str] = []
    forecast_file(tmp_path / "h.csv", 7, tmp_path / "o.csv", tell=told.append)
    assert any("are taken as days without a sale" in said for said in told)


def test_a_series_that_stops_selling_is_told_though_its_zeros_are_left_out() -> None:
    frame = sales(150, 4, mean=3.0)
    frame.loc[frame["product_id"] == "p01", "units"] *= (np.arange(150) < 110).astype(float)
    notes = forecast(frame[frame["units"] > 0], 7).groupby("product_id")["note"].first()
    assert notes["p01"].startswith("ended: no sale") and (notes.drop("p01") == "ok").all()


def test_what_sold_was_on_offer_whatever_the_stock_column_says() -> None:
    frame = sales(100, 4, mean=6.0).assign(in_stock=0.0)
    assert forecast(frame, 3)["note"].eq("ok").all()
    in_stock = bring(frame, 3).panel.in_stock
    np.testing.assert_array_equal(in_stock, np.where(frame["units"].to_numpy().reshape(4, 100) > 0, 0.25, 0.0))
