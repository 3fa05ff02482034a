"""The simulator: the events of a made-up retailer, any number of stores and products, by seed. Demand meets the same
simulated shelf as in the replay; who buys, what is strange and what was lost is known and kept as truth.

Work goes store by store in blocks, so that memory does not grow with the number of stores."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.catalogue import declare_products, declare_stores, remember_purchases
from data_ingest.chance import keys_of, uniform
from data_ingest.offers import line_promotion_ids, offers_feed
from data_ingest.producers import SIMULATED, Progress, weekly_windows, write_windows
from data_ingest.shelf import CLOSE_HOUR, OPEN_HOUR, ShelfRun, run_shelf
from data_ingest.shelf_events import shelf_feed
from data_ingest.simulated_world import LOYAL, TASTES, World, latent_demand, make_world, offers_of, planted
from data_ingest.tables import PRODUCTS
from data_ingest.till import baskets_by_hour, opening_feed, purchases, returns, store_days, visit_feed
from data_ingest.truth import DEMAND, demand_truth, open_truth, write_truth
from infra.errors import BadInput
from infra.event_log import EventLog, event_log
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: raised when the same seed would give other events
EDITION = 1
UTC_OFFSET_HOURS = 1.0
#: pair-days a block holds at most (one store at least): bounds memory at about 1 GB
BLOCK_PAIR_DAYS = 400_000
#: units that an average basket holds, and customers for each basket of a day
_BASKET_UNITS, _CUSTOMERS = 6, 15
_ANOMALIES = pa.schema(
    [("store_id", pa.string()), ("product_id", pa.string()), ("ds", pa.date32()), ("kind", pa.string()), ("factor", pa.float64())]
)


@dataclass(frozen=True)
class SimulateSummary:
    """What was simulated; `written` counts the events of this run only, 0 when all files were there."""

    first: date
    last: date
    stores: int
    products: int
    events: dict[str, int]
    written: int
    demanded_units: float
    sold_units: float
    anomalies: dict[str, int]


@dataclass(frozen=True)
class Block:
    """Some stores' run: the shelf's pairs (store by store), demand lines with what was sold, and planted anomalies."""

    stores: np.ndarray
    pairs: pd.DataFrame
    lines: pd.DataFrame
    shelf: ShelfRun
    anomalies: pd.DataFrame


def simulate(
    spark: SparkSession,
    settings: Settings,
    *,
    stores: int,
    products: int,
    days: int,
    seed: int,
    start: date,
    progress: Progress | None = None,
) -> SimulateSummary:
    """Write the events of `days` days from `start` on, the truth files demand, anomalies and parameters, and the
    dimension tables; raises BadInput for counts below 1."""
    for name, value in (("stores", stores), ("products", products), ("days", days)):
        if value < 1:
            raise BadInput(f"simulate: {name} is {value}: expected at least 1")
    world, say = make_world(stores, products, days, seed, start), progress or (lambda done, total, label: None)
    log = event_log(settings)
    declare(spark, settings, world)
    events: Counter[str] = Counter()
    strange: list[pa.Table] = []
    written, demanded, sold = 0, 0.0, 0.0
    blocks = store_blocks(world)
    with open_truth(settings, "demand", DEMAND) as truth:
        for done, rows in enumerate(blocks):
            say(done, len(blocks), f"stores {rows[0] + 1} to {rows[-1] + 1}")
            block = live_block(world, rows)
            feed = block_feed(world, block)
            written += _write(log, world, done, feed)
            remember_purchases(spark, settings, _history(feed["sales"]))
            truth.write_table(demand_truth(block.shelf, block.pairs, start))
            strange.append(_anomaly_truth(world, block))
            events.update({topic: table.num_rows for topic, table in feed.items()})
            demanded, sold = demanded + float(block.shelf.demand.sum()), sold + float(block.shelf.units.sum())
    say(len(blocks), len(blocks), "simulated")
    anomalies = pa.concat_tables(strange)
    write_truth(settings, "anomalies", anomalies)
    write_truth(settings, "parameters", pa.Table.from_pandas(world.products, preserve_index=False))
    kinds = Counter(anomalies["kind"].to_pylist())
    return SimulateSummary(start, start + timedelta(days=days - 1), stores, products, dict(events), written, demanded, sold, dict(kinds))


def store_blocks(world: World) -> list[np.ndarray]:
    """The stores (rows of `world.stores`) in blocks that memory bounds."""
    size = max(1, BLOCK_PAIR_DAYS // (len(world.products) * world.days))
    return [np.arange(low, min(low + size, len(world.stores))) for low in range(0, len(world.stores), size)]


def live_block(world: World, stores: np.ndarray) -> Block:
    """Let the demand of some stores (rows of `world.stores`) meet their shelves."""
    names = world.stores["store_id"].to_numpy()[stores]
    anomalies = planted(world, names)
    count = len(world.products)
    pairs = pd.concat([world.products] * len(stores), ignore_index=True).assign(store_id=np.repeat(names, count))
    shape = pairs["shape"].to_numpy()
    mean = pairs["base"] * np.repeat(world.stores["size"].to_numpy()[stores], count)
    pairs = pairs.assign(mean_units=mean, dispersion=np.clip(3 + np.nan_to_num(mean / shape), 1, 12))
    lines = pd.concat([
        _shoppers(world, names[at], at * count, latent_demand(world, store, anomalies[anomalies["store"] == at]))
        for at, store in enumerate(stores)
    ], ignore_index=True)  # fmt: skip
    shelf = run_shelf(pairs, lines, world.days, world.seed)
    lines = _priced(world, pairs, lines.assign(sold=shelf.sold), anomalies)
    return Block(names, pairs, lines, shelf, anomalies)


def _shoppers(world: World, store_id: str, first_pair: int, demand: np.ndarray) -> pd.DataFrame:
    """Demand lines of one store: every demanded unit goes to a shopper of the day, mostly one of the product's taste;
    what a shopper takes of a product is one line, and all of a shopper's day is one basket."""
    product, day = np.nonzero(demand)
    units = demand[product, day]
    product, day = np.repeat(product, units), np.repeat(day, units)
    key, nth = keys_of([store_id])[0], np.arange(len(product))
    taste = np.where(uniform(world.seed, "loyal", key, nth) < LOYAL, world.products["taste"].to_numpy()[product],
                     np.floor(TASTES * uniform(world.seed, "other", key, nth)).astype(int))  # fmt: skip
    crowd = np.bincount(day * TASTES + taste, minlength=world.days * TASTES) / _BASKET_UNITS
    slots = np.maximum(np.round(crowd), 1)[day * TASTES + taste]
    slot = np.floor(slots * uniform(world.seed, "slot", key, nth)).astype(int)
    club = max(int(crowd.mean() * _CUSTOMERS), 5)
    member = np.floor(club * uniform(world.seed, "member", key, day, taste, slot)).astype(int)
    customer = member * TASTES + taste
    lines = (
        pd.DataFrame({"pair": first_pair + product, "day": day, "customer": customer}).value_counts(sort=False).reset_index(name="units")
    )
    lines = lines.sort_values(["day", "customer", "pair"], ignore_index=True)
    open_seconds = (CLOSE_HOUR - OPEN_HOUR) * 3600
    rush = sum(uniform(world.seed, purpose, key, lines["day"], lines["customer"]) for purpose in ("hour", "hour2")) / 2
    arrival = OPEN_HOUR * 3600 + np.floor(rush * (open_seconds - 600)).astype(int)
    number = lines.groupby(["day", "customer"]).cumcount()
    return lines.assign(
        units=lines["units"].astype(float), line=number, second=arrival + number.to_numpy(),
        basket_id=store_id + "-" + lines["day"].astype(str) + "-" + lines["customer"].astype(str),
        customer_id=store_id + "-c" + lines["customer"].astype(str),
    )  # fmt: skip


def _priced(world: World, pairs: pd.DataFrame, lines: pd.DataFrame, anomalies: pd.DataFrame) -> pd.DataFrame:
    product, week = lines["pair"].to_numpy() % len(world.products), world.week[lines["day"].to_numpy()]
    regular = world.regular[product, week].copy()
    discount = np.round((regular - world.price[product, week]) * lines["units"].to_numpy(), 4)
    wrong = anomalies[anomalies["kind"] == "price_error"]
    cells = pd.Index((wrong["store"] * len(world.products) + wrong["product"]) * world.days + wrong["day"])
    mistaken = (lines["pair"] * world.days + lines["day"]).isin(cells).to_numpy()
    regular[mistaken] *= 10.0
    discount[mistaken] *= 10.0
    offers = offers_of(world, len(pairs) // len(world.products))
    ids = line_promotion_ids(offers, pairs, lines["pair"].to_numpy(), week, discount > 0)
    return lines.assign(unit_price=np.round(regular, 4), discount=np.round(discount, 4), promotion_id=ids)


def block_feed(world: World, block: Block) -> dict[str, pa.Table]:
    """Every event of the block by topic, less those that a feed gap swallowed (orders and shipments come from another
    system and are never swallowed)."""
    prefix, first, offset, count = f"sim{world.seed}", world.start, UTC_OFFSET_HOURS, len(block.stores)
    store, day = block.lines["pair"].to_numpy() // len(world.products), block.lines["day"].to_numpy()
    second, basket = block.lines["second"].to_numpy(), block.lines["basket_id"].to_numpy()
    opens, closes = store_days(np.repeat(np.arange(count), world.days), np.tile(np.arange(world.days), count),
                               np.full(count * world.days, OPEN_HOUR * 3600), count, world.days)  # fmt: skip
    baskets = baskets_by_hour(store, basket, day, second, count, world.days)
    weeks = np.arange(world.price.shape[1])
    ends = np.minimum(weeks * 7 + 6, world.days - 1)
    offers = offers_of(world, count)
    sales = [
        purchases(block.lines, block.pairs, prefix, SIMULATED, first, offset),
        returns(block.lines, block.pairs, prefix, first, world.days, offset, world.seed),
    ]
    pos = [
        opening_feed(opens, closes, block.stores, prefix, first, offset),
        offers_feed(offers, block.pairs, prefix, SIMULATED, first, weeks * 7, ends, offset),
    ]
    feed = {
        "sales": pa.concat_tables(sales, promote_options="default"), "pos": pa.concat_tables(pos, promote_options="default"),
        "visits": visit_feed(baskets, opens, closes, block.stores, prefix, first, offset, world.seed),
        **shelf_feed(block.shelf, block.pairs, prefix, first, offset),
    }  # fmt: skip
    return {topic: table if topic == "supply" else _without_gaps(table, world, block) for topic, table in feed.items()}


def _without_gaps(table: pa.Table, world: World, block: Block) -> pa.Table:
    gaps = block.anomalies[block.anomalies["kind"] == "feed_gap"]
    local = table["occurred_at"].to_numpy() + np.timedelta64(round(UTC_OFFSET_HOURS * 3600), "s")
    day = (local.astype("datetime64[D]") - np.datetime64(world.start)).astype(int)
    code = pd.Index(block.stores).get_indexer(table["store_id"].to_pandas()) * world.days + day
    return table.filter(pa.array(~np.isin(code, gaps["store"] * world.days + gaps["day"])))


def _write(log: EventLog, world: World, block: int, feed: dict[str, pa.Table]) -> int:
    told = f"{EDITION}|{world.seed}|{len(world.stores)}|{len(world.products)}|{world.days}|{world.start}"
    name = f"simulated-{hashlib.blake2b(told.encode(), digest_size=4).hexdigest()}-b{block:04d}"
    windows = weekly_windows(name, world.start, world.start + timedelta(days=world.days - 1))
    return write_windows(log, feed, windows, UTC_OFFSET_HOURS)


def _anomaly_truth(world: World, block: Block) -> pa.Table:
    rows = block.anomalies
    products = np.array([*world.products["product_id"], None], dtype=object)
    ds = np.datetime64(world.start, "D") + rows["day"].to_numpy().astype("timedelta64[D]")
    return pa.table([pa.array(block.stores[rows["store"]], pa.string()), pa.array(products[rows["product"]], pa.string()),
                     pa.array(ds), pa.array(rows["kind"], pa.string()), pa.array(rows["factor"])], schema=_ANOMALIES)  # fmt: skip


def _history(sales: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    bought = sales.filter(pc.equal(sales["event_type"], "purchase"))
    local = bought["occurred_at"].to_numpy() + np.timedelta64(round(UTC_OFFSET_HOURS * 3600), "s")
    revenue = pc.subtract(pc.multiply(bought["units"], bought["unit_price"]), bought["discount"])
    return bought.select(["customer_id", "basket_id", "store_id", "product_id", "units"]).append_column(
        "ds", pa.array(local.astype("datetime64[D]"))).append_column("revenue", revenue)  # fmt: skip


def declare(spark: SparkSession, settings: Settings, world: World) -> None:
    """Declare the retailer's stores and products to the lake."""
    places = world.stores[["store_id"]].assign(utc_offset_hours=UTC_OFFSET_HOURS, open_hour=OPEN_HOUR, close_hour=CLOSE_HOUR)
    declare_stores(spark, settings, places)
    declare_products(spark, settings, world.products[PRODUCTS.names])
