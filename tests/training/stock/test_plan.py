"""The order verb: what is read, when it arrives, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from training.files import LATEST_DAYS, read_frame
from training.stock import plan
from training.stock.panel import panel
from training.stock.patience import CANDIDATES, LEAST_PAIRS, patience
from training.stock.plan import expected, order_file
from training.stock.terms import lead_points, terms

ANSWER = {"store_id", "product_id", "order_units", "reorder_point", "order_up_to", "expected_cost", "money_at_risk", "rank", "why"}


def sales(days: int = 60, step: int = 1, rates: tuple[float, ...] = (2.0, 8.0), seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    ds = pd.date_range("2024-01-01", periods=days, freq=f"{step}D")
    rows = [
        pd.DataFrame({"store_id": "s1", "product_id": f"p{number}", "ds": ds, "units": draw.poisson(rate, days).astype(float)})
        for number, rate in enumerate(rates)
    ]
    return pd.concat(rows, ignore_index=True)


def stock(history: pd.DataFrame, on_hand: float = 0.0) -> pd.DataFrame:
    pairs = history[["store_id", "product_id"]].drop_duplicates().assign(on_hand=on_hand, on_order=np.nan, arrives_on=pd.NaT)
    return pairs.astype({"arrives_on": "datetime64[ns]"})


def items(**columns: object) -> pd.DataFrame:
    facts = {"holding_cost": 0.01, "shortage_cost": 1.0, "lead_time_days": 3.0, **columns}
    return pd.DataFrame({"product_id": ["p0", "p1"], **{name: [value] * 2 for name, value in facts.items()}})


def order(plan_: pd.DataFrame, product: str = "p1") -> float:
    return float(plan_.set_index("product_id").loc[product, "order_units"])


def test_a_row_a_pair_ranked_by_money_at_risk() -> None:
    history = sales()
    got = plan(history, stock(history), items(), "2024-02-29")
    assert set(got.columns) >= ANSWER
    assert list(got["product_id"]) == ["p1", "p0"] and list(got["rank"]) == [1, 2]
    assert got["money_at_risk"].is_monotonic_decreasing and (got["order_units"] > 0).all()


def test_nothing_after_as_of_is_read() -> None:
    history = sales(90)
    early = history[history["ds"] <= "2024-02-15"]
    noise = history.assign(units=np.where(history["ds"] > "2024-02-15", 500.0, history["units"]))
    pd.testing.assert_frame_equal(plan(early, stock(history), items(), "2024-02-15"), plan(noise, stock(history), items(), "2024-02-15"))


def test_a_delivery_serves_the_day_it_is_promised_for() -> None:
    """Daily, lead 3: the order is for the 5th day from as_of on; what arrives that day replaces it, what comes later does not."""
    history = sales()
    here = stock(history)
    as_of = pd.Timestamp("2024-02-29")

    def coming(days: int) -> float:
        delivery = here.assign(on_hand=np.nan, on_order=30.0, arrives_on=as_of + pd.Timedelta(days=days))
        return order(plan(history, pd.concat([here, delivery]), items(), as_of))

    alone = order(plan(history, here, items(), as_of))
    assert coming(4) == 0
    assert coming(5) == alone


def test_weeks_count_from_the_end_of_the_week_of_as_of() -> None:
    history = sales(30, 7)
    here = stock(history)
    monday = pd.Timestamp(history["ds"].max())

    def coming(day: int, lead: float) -> float:
        delivery = here.assign(on_hand=np.nan, on_order=60.0, arrives_on=monday + pd.Timedelta(days=day))
        return order(plan(history, pd.concat([here, delivery]), items(lead_time_days=lead), monday))

    assert order(plan(history, here, items(lead_time_days=14.0), monday)) > 0
    assert coming(21, 14.0) == 0  # there for the third week, as the order would be
    assert coming(22, 14.0) > 0  # during the third week: serves the fourth
    assert coming(15, 14.0) == coming(21, 14.0) == 0
    assert coming(14, 7.0) == 0 and coming(21, 7.0) > 0


def test_holding_is_a_day_also_in_weekly_files() -> None:
    history = sales(30, 7)
    cheap, dear = (order(plan(history, stock(history), items(holding_cost=h, lead_time_days=0.0))) for h in (0.01, 0.3))
    assert dear < cheap
    # 0.3 a day is 2.1 a week against a loss of 1: the newsvendor's ratio is a third at most
    assert dear <= 8


def test_stockouts_are_not_low_demand() -> None:
    history = sales(80)
    empty = history["ds"] >= "2024-02-25"
    censored = history.assign(units=np.where(empty, 0.0, history["units"]), in_stock=np.where(empty, 0.0, 1.0))
    trusted = order(plan(censored.drop(columns="in_stock"), stock(history), items()))
    aware = order(plan(censored, stock(history), items()))
    assert aware > 1.1 * trusted


def test_assumptions_are_said() -> None:
    history = sales()
    here = stock(history)
    new = pd.DataFrame({"store_id": ["s1"], "product_id": ["new"], "on_hand": [-3.0]})
    late = here.head(1).assign(on_hand=np.nan, on_order=5.0, arrives_on=pd.Timestamp("2024-02-01"))
    got = plan(history, pd.concat([here, new, late]), items(), "2024-02-29").set_index("product_id")
    assert "negative on_hand taken as 0" in got.loc["new", "why"] and "no history" in got.loc["new", "why"]
    ended = sales().assign(product_id="ended", ds=lambda rows: rows["ds"] - pd.Timedelta(days=120)).drop_duplicates(["store_id", "ds"])
    asked = plan(pd.concat([history, ended]), stock(pd.concat([history, ended])), items(), "2024-02-29").set_index("product_id")["why"]
    assert "last sold 120 days before" in asked["ended"] and not asked.drop("ended").str.contains("last sold").any()
    both = pd.concat([here.assign(on_hand=-1.0), late])
    assert "taken as 0; overdue" in plan(history, both, items(), "2024-02-29").set_index("product_id").loc["p0", "why"]
    assert "overdue" in got.loc["p0", "why"] and got.loc["p0", "on_order"] == 5
    assert got.loc["new", "order_units"] >= 0 and np.isfinite(got.loc["new", "expected_cost"])


def test_items_by_pair_win_over_product_over_store() -> None:
    history = sales()
    facts = pd.DataFrame(
        {"store_id": ["s1", None, "s1"], "product_id": [None, "p0", "p0"], "pack_size": [5.0, 7.0, 11.0], "shortage_cost": [9.0, 9.0, 9.0]}
    )
    got = plan(history, stock(history), facts).set_index("product_id")
    assert got.loc["p0", "order_units"] % 11 == 0 and "packs of 11" in got.loc["p0", "why"]
    assert got.loc["p1", "order_units"] % 5 == 0 and "packs of 5" in got.loc["p1", "why"]


def test_a_forecast_replaces_the_level() -> None:
    history = sales()
    ahead = pd.date_range("2024-03-01", periods=10)
    double = pd.concat([pd.DataFrame({"store_id": "s1", "product_id": "p1", "ds": ahead, "units": 40.0, "q0.9": 50.0})])
    got = plan(history, stock(history), items(), "2024-02-29", forecast=double).set_index("product_id")
    assert got.loc["p1", "expected_demand"] == pytest.approx(160.0)
    assert got.loc["p0", "expected_demand"] < 20


def test_repeated_and_shuffled_input_gives_the_same_orders() -> None:
    history = sales(400, 1, rates=tuple(np.linspace(0.1, 9, 40)))
    first = plan(history, stock(history), None)
    again = plan(history.sample(frac=1, random_state=1), stock(history).sample(frac=1, random_state=2), None)
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("frame", "change", "words"),
    [
        ("history", {"units": -1.0}, ["history", "units", "row 1"]),
        ("history", {"ds": "soon"}, ["history", "ds", "row 1"]),
        ("stock", {"on_hand": np.nan}, ["stock", "row 1", "on_hand"]),
        ("stock", {"on_hand": np.nan, "on_order": 4.0}, ["stock", "arrives_on"]),
        ("items", {"lead_time_distribution": '{"2": 0.7, "3": 0.7}'}, ["items", "row 1", "lead_time_distribution"]),
        ("items", {"lead_time_distribution": "often"}, ["items", "lead_time_distribution"]),
        ("items", {"pack_size": -2.0}, ["items", "pack_size", "row 1"]),
    ],
)
def test_bad_input_is_one_sentence(frame: str, change: dict, words: list[str]) -> None:
    history = sales()
    frames = {"history": history, "stock": stock(history), "items": items()}
    bad = frames[frame].copy().astype(object)
    for name, value in change.items():
        bad[name] = bad.get(name)
        bad.loc[bad.index[0], name] = value
    frames[frame] = bad
    with pytest.raises(BadInput) as caught:
        plan(frames["history"], frames["stock"], frames["items"])
    for word in words:
        assert word in str(caught.value)


def test_refused_rows_and_days() -> None:
    history = sales()
    with pytest.raises(BadInput, match="repeats the key"):
        plan(pd.concat([history, history.head(1)]), stock(history))
    with pytest.raises(BadInput, match="repeats the on_hand"):
        plan(history, pd.concat([stock(history), stock(history)]))
    with pytest.raises(BadInput, match="as_of 2023-01-01"):
        plan(history, stock(history), None, "2023-01-01")
    late = history["ds"].max() + pd.Timedelta(days=LATEST_DAYS)
    plan(history, stock(history), None, late)
    with pytest.raises(BadInput, match=f"{LATEST_DAYS + 1} days before as_of"):
        plan(history, stock(history), None, late + pd.Timedelta(days=1))
    with pytest.raises(BadInput, match="repeats the product_id"):
        plan(history, stock(history), pd.concat([items(), items()]))


def test_the_file_verb_writes_the_plan(tmp_path: Path) -> None:
    history = sales()
    history.to_csv(tmp_path / "h.csv", index=False)
    stock(history).to_csv(tmp_path / "s.csv", index=False)
    items().to_parquet(tmp_path / "i.parquet")
    count = order_file(tmp_path / "h.csv", tmp_path / "s.csv", tmp_path / "i.parquet", None, tmp_path / "o.parquet")
    written = read_frame(tmp_path / "o.parquet", required={"order_units": "number"}, what="orders")
    assert count == len(written) == 2
    expected = plan(history, stock(history), items())
    np.testing.assert_allclose(written["order_units"], expected["order_units"])
    with pytest.raises(BadInput, match=r"s\.csv"):
        stock(history).assign(on_hand=np.nan).to_csv(tmp_path / "s.csv", index=False)
        order_file(tmp_path / "h.csv", tmp_path / "s.csv", None, None, tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_a_misspelt_column_of_the_items_is_told(tmp_path: Path) -> None:
    history = sales()
    history.to_csv(tmp_path / "h.csv", index=False)
    stock(history).to_csv(tmp_path / "s.csv", index=False)
    items().rename(columns={"lead_time_days": "Lead_time_day"}).assign(category="a", colour="b").to_csv(tmp_path / "i.csv", index=False)
    told: list[str] = []
    order_file(tmp_path / "h.csv", tmp_path / "s.csv", tmp_path / "i.csv", None, tmp_path / "o.csv", tell=told.append)
    assert len(told) == 1 and told[0].endswith("column 'Lead_time_day' is not used; did you mean 'lead_time_days'?")


def test_a_store_that_the_history_does_not_know_is_told(tmp_path: Path) -> None:
    history = sales()
    history.to_csv(tmp_path / "h.csv", index=False)
    shelves = stock(history)
    pd.concat([shelves, shelves.iloc[:1].assign(store_id="S-1")]).to_csv(tmp_path / "s.csv", index=False)
    told: list[str] = []
    order_file(tmp_path / "h.csv", tmp_path / "s.csv", None, None, tmp_path / "o.csv", tell=told.append)
    (said,) = told
    assert "1 of 2 store_ids, such as 'S-1', have no row in history file" in said and "at the level of all pairs" in said


def test_where_nothing_is_lost_by_a_stockout_nothing_is_ordered_up_to() -> None:
    history = sales(rates=(6.0, 6.0))
    free = plan(history, stock(history), items().assign(shortage_cost=0.0))
    assert (free["order_units"] == 0).all() and (free["order_up_to"] == 0).all() and (free["reorder_point"] == 0).all()
    assert free["why"].str.contains("= order up to 0.0;").all()


def test_what_spoils_before_the_next_review_is_counted_over_its_shelf_life() -> None:
    history = sales(rates=(6.0, 6.0))
    kept = plan(history, stock(history), items().assign(lead_time_days=2.0, review_period_days=7.0, shelf_life_days=3.0))
    assert kept["why"].str.contains("over 5 days (lead 2 + shelf life 3)", regex=False).all()


def test_a_long_lead_time_replays_fewer_pairs() -> None:
    history = pd.concat([sales(640, rates=(2.0,) * 8).assign(store_id=f"s{n}") for n in range(4)], ignore_index=True)
    known, taken = panel(history), []

    def counted(past, terms_, periods):
        taken.append(len(past.units))
        return dict.fromkeys(CANDIDATES, 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.stock.patience.replays", counted)
        for days in (3.0, 90.0):
            facts = known.pairs.assign(lead_time_days=days)
            patience(known, terms(facts, np.ones(len(facts)), 1))
    assert taken[0] == 32 and LEAST_PAIRS <= taken[1] < 32


def test_a_cost_without_a_price_is_its_usual_share_of_one() -> None:
    history = sales(rates=(6.0, 6.0))
    known = pd.DataFrame({"product_id": ["p0", "p1"], "unit_cost": [8.0, 7.0], "price": [np.nan, 10.0], "lead_time_days": 3.0})
    got = plan(history, stock(history), known).set_index("product_id")
    priced = known.assign(price=[8.0 / 0.7, 10.0])
    pd.testing.assert_frame_equal(got, plan(history, stock(history), priced).set_index("product_id"))
    # money has no scale of its own
    dear = plan(history, stock(history), known.assign(unit_cost=[800.0, 7.0])).set_index("product_id")
    assert dear.loc["p0", "order_units"] == got.loc["p0", "order_units"] > 0


@pytest.mark.parametrize("last", [0.0, np.nan])
def test_a_line_without_a_price_does_not_make_an_item_worthless(last: float) -> None:
    history = sales().assign(price=1.2)
    given = history.assign(price=np.where(history["ds"] == history["ds"].max(), last, history["price"]))
    pd.testing.assert_frame_equal(plan(given, stock(history)), plan(history, stock(history)))
    with pytest.raises(BadInput, match=r"column 'price', row 1 is -1\.0; expected a number of at least 0"):
        plan(history.assign(price=-1.0), stock(history))


def test_a_lead_time_of_nothing_cannot_vary() -> None:
    history = sales()
    none, wild = (plan(history, stock(history), items(lead_time_days=0.0, lead_time_days_sd=sd)) for sd in (0.0, 1.0))
    pd.testing.assert_frame_equal(none, wild)


def test_one_fast_item_lends_the_slow_ones_nothing() -> None:
    slow = sales(28, rates=(0.05,) * 40)
    fast = pd.concat([slow, sales(28, rates=(5000.0,)).assign(product_id="fast")])
    alone, beside = (plan(of, stock(of)).set_index("product_id")["expected_demand"] for of in (slow, fast))
    assert beside.drop("fast").sum() < 1.5 * alone.sum()


def test_ids_that_match_nothing_are_told(tmp_path: Path) -> None:
    history = sales().assign(product_id=lambda rows: rows["product_id"].str.replace("p", "00"))
    with pytest.raises(BadInput, match=r"none of its pairs has history; expected ids as in history \(here 's1 0', there 's1 000'\)"):
        plan(history, stock(history).assign(product_id=["0", "1"]))
    files = {name: tmp_path / f"{name}.csv" for name in ("history", "stock", "items", "orders")}
    history.to_csv(files["history"], index=False)
    stock(history).to_csv(files["stock"], index=False)
    pd.DataFrame({"product_id": ["0", "001"], "category": ["010", "020"]}).to_csv(files["items"], index=False)
    said = tmp_path / "rules.toml"
    said.write_text(
        "[[segment]]\nwhen = \"category == '020'\"\nmaximum_order = 0\n[[segment]]\nwhen = \"category == '030'\"\nmaximum_order = 0\n"
        "[[item]]\nproduct_id = 'zzz'\npack_size = 2\n"
    )
    told: list[str] = []
    order_file(files["history"], files["stock"], files["items"], None, files["orders"], said, tell=told.append)
    assert told == [
        f"items file {files['items']}: 1 of 2 rows are of no pair in stock and are not used",
        "rules: [[segment]] when \"category == '030'\" is of no pair in stock",
        "rules: [[item]] product_id 'zzz' is of no pair in stock",
    ]
    # 020 is a name, not a number
    assert order(read_frame(files["orders"], required={"product_id": "text"}, what="orders"), "001") == 0


def test_a_day_is_expected_alike_however_far_is_looked_ahead() -> None:
    """The days of a part of a week have their weekday too: another item's lead time tells nothing of this one's demand."""
    history = sales(420, rates=tuple([3.0, 8.0] * 12))
    weekend = history["ds"].dt.dayofweek == 5
    history.loc[weekend, "units"] = history.loc[weekend, "units"] * 3
    known = panel(history)
    near, far = expected(known, 8).mean, expected(known, 14).mean
    np.testing.assert_allclose(near[:, :8], far[:, :8])
    assert near[:, :7].max(axis=1).mean() > 1.5 * near[:, :7].mean()


def test_a_delivery_far_ahead_counts() -> None:
    history = sales(200)
    shelves = stock(history, 20.0)
    coming = shelves.assign(on_hand=np.nan, on_order=50_000.0, arrives_on=pd.Timestamp("2024-07-18") + pd.Timedelta(days=140))
    got = plan(history, pd.concat([shelves, coming]), items(lead_time_days=150.0), "2024-07-18")
    assert (got["on_order"] == 50_000).all() and (got["order_units"] == 0).all()


def test_a_distribution_told_more_finely_keeps_its_late_deliveries() -> None:
    days, share = lead_points('{"3": 0.2, "4": 0.25, "5": 0.2, "6": 0.2, "7": 0.1, "40": 0.05}')
    assert days.tolist() == [3, 4, 5, 6, 40] and share.tolist() == pytest.approx([0.2, 0.25, 0.2, 0.3, 0.05])
    many = {str(day): 1 / 60 for day in range(1, 61)}
    days, share = lead_points(json.dumps(many))
    assert float(days @ share) == pytest.approx(30.5, abs=0.6) and share.sum() == pytest.approx(1.0)
    few, parts = lead_points('{"2": 0.5, "9": 0, "3": 0.5}')
    assert set(few[parts > 0]) == {2, 3}
