"""The replay of some busy pairs: what is real stays real, what is simulated says so, and parts make up the whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from data_ingest import complete_journey as cj
from data_ingest.contracts import TOPICS, problem
from data_ingest.offers import KINDS
from data_ingest.replay import Year, live_through, replay, year_feed
from data_ingest.tables import PRODUCTS, PURCHASE_HISTORY, STORES
from data_ingest.truth import truth_path
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings

SEED, MANY, PAIRS = 2017, 400, 12


@pytest.fixture(scope="module")
def year() -> Year:
    return live_through(SEED, MANY, lambda done, total, label: None)


@pytest.fixture(scope="module")
def feed(year: Year) -> dict[str, pd.DataFrame]:
    return {topic: table.to_pandas() for topic, table in year_feed(year, SEED).items()}


def landed(settings: Settings) -> dict[str, list[dict]]:
    folder = Path(settings.events_url.removeprefix("file://"))
    return {t: [json.loads(line) for f in sorted((folder / t).glob("*.jsonl")) for line in f.read_text().splitlines()] for t in TOPICS}


def _pairs(events: pd.DataFrame) -> list[tuple[str, str | None]]:
    products = events["product_id"].where(events["product_id"].notna(), None) if "product_id" in events else [None] * len(events)
    return list(zip(events["store_id"], products, strict=True))


def digests(settings: Settings) -> dict[str, str]:
    files = sorted(Path(settings.events_url.removeprefix("file://")).rglob("*.jsonl"))
    return {f.name + f.parent.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_what_sold_is_the_real_line_or_the_part_of_it_that_the_shelf_had(year: Year, feed: dict[str, pd.DataFrame]) -> None:
    sales = feed["sales"]
    bought = sales[sales["event_type"] == "purchase"].merge(
        year.lines.assign(basket_id=year.lines["basket"].astype(str)), on=["basket_id", "line"], suffixes=("", "_real"), validate="1:1"
    )
    assert (bought["source"] == cj.SOURCE).all() and len(bought) == (year.lines["sold"] > 0).sum()
    assert (bought["units"] <= bought["units_real"]).all() and (bought["occurred_at"] == bought["occurred_at_real"]).all()
    paid = bought["units"] * bought["unit_price"] - bought["discount"]
    np.testing.assert_allclose(paid, bought["revenue"] * bought["units"] / bought["units_real"], atol=0.002)
    assert year.lines["units"].sum() == year.shelf.demand.sum() >= bought["units"].sum() == year.shelf.units.sum()


def test_a_return_comes_after_its_purchase_and_names_its_basket(feed: dict[str, pd.DataFrame]) -> None:
    sales = feed["sales"]
    back = sales[sales["event_type"] == "return"].merge(
        sales[sales["event_type"] == "purchase"], on=["basket_id", "product_id", "store_id"], suffixes=("", "_bought"), how="left"
    )
    assert len(back) > 5 and (back["source"] == "simulated").all()
    assert (back["occurred_at"] > back["occurred_at_bought"]).all() and (back["units"] <= back["units_bought"]).all()
    assert 0.002 < len(back) / len(sales) < 0.012


def test_ids_are_unique_and_what_no_system_saw_says_so(feed: dict[str, pd.DataFrame]) -> None:
    for topic, table in feed.items():
        assert table["event_id"].is_unique, topic
    assert (feed["stock"]["source"] == "simulated").all() and (feed["supply"]["source"] == "simulated").all()
    assert set(feed["pos"].groupby("event_type")["source"].first()[["store_opened", "store_closed"]]) == {"simulated"}


def test_a_discount_does_not_give_away_that_something_sold(year: Year) -> None:
    """In weeks with the flag some pairs sell nothing: it comes from the chain, not from the pair's own lines."""
    sold = np.zeros(year.offers.price.shape, dtype=bool)
    sold[year.lines["pair"], year.lines["week"]] = True
    flagged = year.offers.running["discount"] >= 0
    assert flagged.any() and (~sold & ~flagged).any()
    assert (sold & flagged).sum() < flagged.sum()
    discounted = year.lines[year.lines["discount"] > 0]
    assert flagged[discounted["pair"], discounted["week"]].mean() > 0.8


def test_shelf_prices_are_what_was_paid_where_a_product_has_one_price(year: Year) -> None:
    """What is sold by weight has no price a unit; everything else is within 2 % of the till nearly always."""
    lines = year.lines
    prices = year.all_lines[year.all_lines["product"].isin(year.pairs["product"])].groupby("product")["unit_price"]
    spread = prices.agg(lambda s: (s / s.median() - 1).abs().median())
    ratio = lines["unit_price"] / year.offers.regular[lines["pair"], lines["week"]]
    steady = lines["product"].map(spread) < 0.05
    assert steady.sum() > 300 and (ratio[steady].sub(1).abs() < 0.02).mean() > 0.8
    # a price by weight does not wobble with what a week's buyers took
    heavy = (year.pairs["product"].map(spread) > 0.2).to_numpy()
    assert heavy.any() and (np.diff(year.offers.regular[heavy]) != 0).mean() < 0.1


def test_promotions_start_before_they_end_and_do_not_overlap(year: Year, feed: dict[str, pd.DataFrame]) -> None:
    pos = feed["pos"]
    both = pos[pos["event_type"] == "promotion_started"].merge(
        pos[pos["event_type"] == "promotion_ended"], on=["store_id", "product_id", "promotion_id"], suffixes=("", "_end"), validate="1:1"
    )
    assert len(both) == (pos["event_type"] == "promotion_started").sum() > 0
    assert (both["occurred_at"] < both["occurred_at_end"]).all()
    ordered = both.sort_values(["store_id", "product_id", "promotion_kind", "occurred_at"])
    following = ordered.groupby(["store_id", "product_id", "promotion_kind"])["occurred_at"].shift(-1)
    assert (following.isna() | (following > ordered["occurred_at_end"])).all()
    assert set(both["promotion_kind"]) <= set(KINDS)
    used = set(feed["sales"]["promotion_id"].dropna())
    assert used and used <= set(both["promotion_id"])


def test_placements_are_those_of_the_set(year: Year) -> None:
    raw = pd.read_parquet(cj.data_folder() / "promotions.parquet", filters=[("product_id", "in", year.pairs["product"].unique().tolist())])
    pairs = year.pairs.assign(pair=range(len(year.pairs)))
    ours = raw.merge(pairs, left_on=["store_id", "product_id"], right_on=["store", "product"])
    for kind, column in (("display", "display_location"), ("mailer", "mailer_location")):
        shown = ours[ours[column] != "0"].drop_duplicates(["pair", "week"])
        assert (year.offers.running[kind] >= 0).sum() == len(shown) > 0
        assert (year.offers.running[kind][shown["pair"], shown["week"] - 1] >= 0).all()


def test_visits_hold_the_baskets_and_the_store_was_open(year: Year, feed: dict[str, pd.DataFrame]) -> None:
    visits, pos = feed["visits"], feed["pos"]
    days = year.all_lines[year.all_lines["store"].isin(year.pairs["store"])].drop_duplicates(["store", "day"])
    assert len(visits) == len(days) == (pos["event_type"] == "store_opened").sum()
    # on a day without a line the store is told to have stayed closed
    assert (pos["event_type"] == "store_closed").sum() == year.pairs["store"].nunique() * cj.DAYS > len(days)
    baskets = year.all_lines.drop_duplicates("basket").groupby(["store", "day"]).size()
    day = (pd.to_datetime(visits["ds"]) - pd.Timestamp(cj.FIRST)).dt.days
    expected = baskets.reindex(pd.MultiIndex.from_arrays([visits["store_id"].astype(int), day])).to_numpy()
    total = np.array([v.sum() for v in visits["visits"]])
    assert (total >= expected).all() and 2 < total.sum() / expected.sum() < 6


def test_in_parts_as_in_a_piece(spark: SparkSession, settings: Settings, feed: dict[str, pd.DataFrame]) -> None:
    """Two windows give the year's own events of their days; the same window again writes nothing and changes no byte."""
    march = replay(spark, settings, start=date(2017, 3, 1), end=date(2017, 3, 12), pairs=PAIRS)
    before = digests(settings)
    again = replay(spark, settings, start=date(2017, 3, 1), end=date(2017, 3, 12), pairs=PAIRS)
    assert digests(settings) == before and again.written == 0 and march.written == sum(march.events.values()) > 500
    counts = [e for e in landed(settings)["stock"] if "opening" in e["event_id"]]
    pairs = {(e["store_id"], e["product_id"]) for e in counts}
    stores = {store for store, _ in pairs}
    for topic, events in landed(settings).items():
        assert not [said for e in events if (said := problem(TOPICS[topic], e))]
        year = feed[topic][feed[topic]["store_id"].isin(stores)]
        year = year[[pair in pairs or pair[1] is None for pair in _pairs(year)]]
        local = year["occurred_at"] - pd.Timedelta(hours=5)
        wanted = set(year.loc[(local >= "2017-03-01") & (local < "2017-03-13"), "event_id"])
        got = Counter(e["event_id"] for e in events)
        assert wanted <= set(got) and max(got.values()) == 1
        assert all("opening" in i or "standing" in i for i in set(got) - wanted)
    assert len(counts) == len(pairs) == PAIRS
    lake = Lake(settings.lake_url)
    assert len(lake.read_pandas(STORES)) == march.stores and set(lake.read_pandas(STORES)["utc_offset_hours"]) == {-5.0}
    purchases = lake.read_pandas(PURCHASE_HISTORY)
    assert not purchases.duplicated(list(PURCHASE_HISTORY.key)).any() and len(purchases) > 10_000
    assert set(purchases["product_id"]) < set(lake.read_pandas(PRODUCTS)["product_id"])
    # the days before the window are history, those after it have not happened yet
    assert (purchases["ds"].min(), purchases["ds"].max()) == (cj.FIRST, date(2017, 3, 12))
    truth = pd.read_parquet(truth_path(settings, "demand"))
    assert len(truth) == PAIRS * cj.DAYS and (truth["units"] <= truth["demand"]).all()


def test_days_outside_the_year_are_refused(spark: SparkSession, settings: Settings) -> None:
    for start, end in ((date(2016, 12, 31), None), (date(2017, 5, 2), date(2017, 5, 1))):
        with pytest.raises(BadInput, match="expected days in order from 2017-01-01 to 2017-12-31"):
            replay(spark, settings, start=start, end=end)
