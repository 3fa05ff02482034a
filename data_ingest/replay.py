"""The replay: a real year of grocery sales as events, with a simulated shelf around it.

The whole year is always worked out and a window of it written, so that a replay in parts gives the same events as one
in a piece; each event's id is made of what it tells, so that a window written twice is one to the ingest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest import complete_journey as cj
from data_ingest.catalogue import declare_products, declare_stores, remember_purchases
from data_ingest.offers import Offers, line_promotion_ids, offers_feed, promotion_ids, weekly_offers
from data_ingest.pace import paced
from data_ingest.producers import SIMULATED, Progress, event_table, joined, names_of, weekly_windows, write_windows
from data_ingest.shelf import CLOSE_HOUR, COUNT_AT, OPEN_HOUR, ShelfRun, run_shelf
from data_ingest.shelf_events import local_times, shelf_feed
from data_ingest.tables import PURCHASE_HISTORY
from data_ingest.till import baskets_by_hour, opening_feed, purchases, returns, store_days, visit_feed
from data_ingest.truth import demand_truth, write_truth
from infra.errors import BadInput
from infra.event_log import event_log
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: raised when the same set and seed would give other events, so that files of two editions never mix unseen
EDITION = 2


@dataclass(frozen=True)
class ReplaySummary:
    """What a replay covered; `written` counts the events of this run only, 0 when all files were there."""

    first: date
    last: date
    stores: int
    products: int
    pairs: int
    events: dict[str, int]
    written: int
    demanded_units: float
    sold_units: float
    stockout_pair_days: float


@dataclass(frozen=True)
class Year:
    """The year of the replayed pairs: `lines` are the pairs' demand lines (with `pair` and, after the shelf, `sold`),
    `all_lines` every usable line of the set, `pairs` the shelf's PAIR_COLUMNS with the set's integer keys."""

    all_lines: pd.DataFrame
    catalogue: pd.DataFrame
    pairs: pd.DataFrame
    lines: pd.DataFrame
    offers: Offers
    shelf: ShelfRun


def replay(
    spark: SparkSession, settings: Settings, *, start: date | None = None, end: date | None = None,
    pairs: int | None = None, rate: float | None = None, progress: Progress | None = None,
) -> ReplaySummary:  # fmt: skip
    """Write the events of local days `start` to `end` (the whole year when None) of the busiest `pairs` (all when None),
    one file a topic and week, with the truth and the dimension tables. The purchase history has all lines of the set up to
    `end`, or those of the replayed stores when `pairs` limits the replay: what comes after is not known yet. With `rate`, so many
    events leave a second. Raises BadInput for days outside 2017."""
    first, last = _window(start, end)
    say = progress or (lambda done, total, label: None)
    year = live_through(settings.seed, pairs, say)
    # the catalogue first: an ingest that runs meanwhile must know the products
    _declare(spark, settings, year, pairs is None, last, say)
    feed = _between(year_feed(year, settings.seed), year, settings.seed, first, last)
    windows = weekly_windows(_file_prefix(settings.seed, year.pairs), first, last)
    written = write_windows(paced(event_log(settings), rate), feed, windows, cj.UTC_OFFSET_HOURS, say)
    write_truth(settings, "demand", demand_truth(year.shelf, year.pairs, cj.FIRST))
    return ReplaySummary(
        first, last, year.pairs["store_id"].nunique(), year.pairs["product_id"].nunique(), len(year.pairs),
        {topic: table.num_rows for topic, table in feed.items()}, written,
        float(year.shelf.demand.sum()), float(year.shelf.units.sum()), float((year.shelf.in_stock < 1).mean()),
    )  # fmt: skip


def live_through(seed: int, limit: int | None, say: Progress) -> Year:
    """Read the set and let its demand meet the simulated shelf."""
    say(0, 3, "reading Complete Journey")
    folder = cj.data_folder()
    every = cj.read_lines(folder)
    chosen = cj.choose_pairs(every, limit)
    known = cj.catalogue(cj.read_products(folder), every)
    lines = every.merge(chosen.assign(pair=np.arange(len(chosen))), on=["store", "product"])
    pairs = _shelf_pairs(chosen, known, lines)
    say(1, 3, "prices and promotions")
    offers = weekly_offers(every, pairs, cj.read_placements(folder, chosen), cj.WEEKS)
    say(2, 3, "demand meets the shelf")
    shelf = run_shelf(pairs, lines, cj.DAYS, seed)
    say(3, 3, "demand meets the shelf")
    return Year(every, known, pairs, _told(lines, pairs, offers).assign(sold=shelf.sold), offers, shelf)


def _shelf_pairs(chosen: pd.DataFrame, known: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    pairs = chosen.assign(store_id=chosen["store"].astype(str), product_id=chosen["product"].astype(str)).merge(known, on="product_id")
    daily = lines.groupby(["pair", "day"])["units"].sum()
    mean = daily.groupby("pair").sum() / cj.DAYS
    spread = (daily**2).groupby("pair").sum() / cj.DAYS - mean**2
    return pairs.assign(mean_units=mean, dispersion=(spread / mean).clip(1, 8))


def _told(lines: pd.DataFrame, pairs: pd.DataFrame, offers: Offers) -> pd.DataFrame:
    ids = line_promotion_ids(offers, pairs, lines["pair"].to_numpy(), lines["week"].to_numpy(), lines["discount"].to_numpy() > 0)
    return lines.assign(basket_id=lines["basket"], customer_id=lines["customer"], promotion_id=ids)


def year_feed(year: Year, seed: int) -> dict[str, pa.Table]:
    """Every event of the year, by topic."""
    prefix, offset, first = f"cj{seed}", cj.UTC_OFFSET_HOURS, cj.FIRST
    stores = np.unique(year.pairs["store"])
    there = year.all_lines[year.all_lines["store"].isin(stores)]
    at = np.searchsorted(stores, there["store"])
    names, day, second = stores.astype(str), there["day"].to_numpy(), there["second"].to_numpy()
    opens, closes = store_days(at, day, second, len(stores), cj.DAYS)
    baskets = baskets_by_hour(at, there["basket"].to_numpy(), day, second, len(stores), cj.DAYS)
    starts, ends = cj.week_days(np.arange(cj.WEEKS))
    sales = [
        purchases(year.lines, year.pairs, "cj", cj.SOURCE, first, offset),
        returns(year.lines, year.pairs, prefix, first, cj.DAYS, offset, seed),
    ]
    pos = [
        opening_feed(opens, closes, names, "cj", first, offset),
        offers_feed(year.offers, year.pairs, "cj", cj.SOURCE, first, starts, ends, offset),
    ]
    return {
        "sales": pa.concat_tables(sales, promote_options="default"),
        "pos": pa.concat_tables(pos, promote_options="default"),
        "visits": visit_feed(baskets, opens, closes, names, prefix, first, offset, seed),
        **shelf_feed(year.shelf, year.pairs, prefix, first, offset),
    }


def _between(feed: dict[str, pa.Table], year: Year, seed: int, first: date, last: date) -> dict[str, pa.Table]:
    """The feed of the window; one that begins within the year starts with what was known then: counts, prices and
    promotions that run."""
    if first == cj.FIRST:
        return {topic: _cut(table, first, last) for topic, table in feed.items()}
    day = (first - cj.FIRST).days
    opening = {"stock": _opening_counts(year, f"cj{seed}", day), "pos": _standing_offers(year, day)}
    cut = {topic: _cut(table, first, last) for topic, table in feed.items()}
    return {**cut, **{topic: pa.concat_tables([table, cut[topic]], promote_options="default") for topic, table in opening.items()}}


def _cut(table: pa.Table, first: date, last: date) -> pa.Table:
    low, high = (np.datetime64(day, "us") - np.timedelta64(round(cj.UTC_OFFSET_HOURS), "h") for day in (first, last + timedelta(days=1)))
    moments = table["occurred_at"].to_numpy()
    return table.filter(pa.array((moments >= low) & (moments < high)))


def _opening_counts(year: Year, prefix: str, day: int) -> pa.Table:
    rows = np.arange(len(year.pairs))
    store, product = year.pairs["store_id"].to_numpy(object), year.pairs["product_id"].to_numpy(object)
    return event_table(
        "count", SIMULATED, event_id=joined(prefix, "opening", store, product, np.full(len(rows), day)),
        store_id=store, product_id=product,
        occurred_at=local_times(cj.FIRST, np.full(len(rows), day), COUNT_AT + 1500, cj.UTC_OFFSET_HOURS),
        units=year.shelf.on_hand_open[:, day],
    )  # fmt: skip


def _standing_offers(year: Year, day: int) -> pa.Table:
    """The offers of the week of `day` as if they began that day; ids differ from those of the year's own events."""
    week = int(cj.week_of(np.array([day]))[0])
    rows = year.offers.promotions
    runs = rows[(rows["start"] <= week) & (rows["end"] >= week) & (cj.week_days(rows["start"].to_numpy())[0] < day)]
    ids = promotion_ids(year.offers, year.pairs)[runs.index]
    when = local_times(cj.FIRST, day, 0, cj.UTC_OFFSET_HOURS)
    store, product = year.pairs["store_id"].to_numpy(object), year.pairs["product_id"].to_numpy(object)
    codes = runs["pair"].to_numpy()
    prices = event_table(
        "price_changed", cj.SOURCE, event_id=joined("cj-standing-price", store, product, np.full(len(store), day)),
        store_id=store, product_id=product, occurred_at=np.full(len(store), when),
        price=year.offers.price[:, week], regular_price=year.offers.regular[:, week],
    )  # fmt: skip
    promotions = event_table(
        "promotion_started", cj.SOURCE, event_id=joined("cj-standing-promotion", ids, np.full(len(runs), day)),
        store_id=names_of(codes, store), product_id=names_of(codes, product), occurred_at=np.full(len(runs), when), promotion_id=ids,
        promotion_kind=runs["kind"].to_numpy(), price=runs["price"].to_numpy(),
    )  # fmt: skip
    return pa.concat_tables([prices, promotions], promote_options="default")


def _declare(spark: SparkSession, settings: Settings, year: Year, whole: bool, last: date, say: Progress) -> None:
    lines = year.all_lines if whole else year.all_lines[year.all_lines["store"].isin(year.pairs["store"].unique())]
    say(0, 2, "dimensions into the lake")
    stores = pd.DataFrame({"store_id": np.unique(year.pairs["store_id"]), "utc_offset_hours": cj.UTC_OFFSET_HOURS,
                           "open_hour": OPEN_HOUR, "close_hour": CLOSE_HOUR})  # fmt: skip
    declare_stores(spark, settings, stores)
    declare_products(spark, settings, year.catalogue[year.catalogue["product_id"].isin(lines["product"].unique().astype(str))])
    say(1, 2, "purchase history into the lake")
    remember_purchases(spark, settings, history(lines[lines["day"] <= (last - cj.FIRST).days]))
    say(2, 2, "purchase history into the lake")


def history(lines: pd.DataFrame) -> pa.Table:
    """Usable lines of the set as rows of PURCHASE_HISTORY."""
    keys = {"customer_id": "customer", "basket_id": "basket", "store_id": "store", "product_id": "product"}
    text = {name: pa.array(lines[column]).cast(pa.string()) for name, column in keys.items()}
    ds = np.datetime64(cj.FIRST, "D") + lines["day"].to_numpy().astype("timedelta64[D]")
    table = pa.table({**text, "ds": pa.array(ds), "units": lines["units"].to_numpy(), "revenue": lines["revenue"].to_numpy()})
    return table.select(PURCHASE_HISTORY.names)


def _window(start: date | None, end: date | None) -> tuple[date, date]:
    first, last = start or cj.FIRST, end or cj.LAST
    if not cj.FIRST <= first <= last <= cj.LAST:
        raise BadInput(f"replay from {first} to {last}: expected days in order from {cj.FIRST} to {cj.LAST}")
    return first, last


def _file_prefix(seed: int, pairs: pd.DataFrame) -> str:
    """Files of other pairs, another seed or another edition have other names."""
    told = f"{EDITION}|{seed}|" + "|".join(pairs["store_id"] + "-" + pairs["product_id"])
    return f"{cj.SOURCE}-{hashlib.blake2b(told.encode(), digest_size=4).hexdigest()}"
