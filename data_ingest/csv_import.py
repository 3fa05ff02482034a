"""A user's own file of sale lines or stock rows as events. Everything is checked before anything is written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.catalogue import Declared, declare_products, declare_stores, remember_purchases, require_same_offset
from data_ingest.contracts import ENVELOPE, SALES, STOCK, TOPICS, Topic
from data_ingest.encoding import check
from data_ingest.landing import TOLERANCE
from data_ingest.producers import content_ids, event_table, joined, producer
from data_ingest.shelf import CLOSE_HOUR, OPEN_HOUR
from data_ingest.tables import PRODUCTS
from data_ingest.user_file import UserFile, read_user_file
from infra.errors import BadInput
from infra.event_log import EventLog, event_log
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: events a file of the log holds at most
_EVENTS_PER_FILE = 200_000
#: fields of a file that are not in the events' contract
_EXTRA = ("ds", "price", "event_type", "description", "department", "category", "brand")
#: of a day, after its midnight
_LAST_SECOND = np.timedelta64(24 * 3600 - 1, "s")
_NUMBERS = ("unit_cost", "pack_size", "shelf_life_days", "lead_time_days", "review_period_days")


@dataclass(frozen=True)
class ImportSummary:
    """What a file held and what it became; `written` is 0 when the same rows were imported before. Rows that stood in another
    file too are written, and the ingest counts them as quarantined by `duplicate_event`."""

    file: str
    kind: str
    rows: int
    events: dict[str, int]
    written: int
    new_stores: int
    new_products: int
    #: known stores and products that lacked something which the file tells
    completed_stores: int
    completed_products: int
    first: date
    last: date


@dataclass(frozen=True)
class _Rows:
    """The rows of a file, typed: keys, UTC time, local day and units."""

    file: UserFile
    source: str
    offset: float
    store_id: np.ndarray
    product_id: np.ndarray
    occurred_at: np.ndarray
    ds: np.ndarray
    units: np.ndarray


def import_csv(
    spark: SparkSession, settings: Settings, path: Path | str, *, kind: str = "sales", mapping: Mapping[str, str] | None = None,
    utc_offset_hours: float = 0.0, source: str = "import", unique_baskets: bool = False, now: datetime | None = None,
) -> ImportSummary:  # fmt: skip
    """Write the rows of a .csv or .parquet file as events and declare the stores and products that are new.

    `mapping` gives the file's column for a field where the names differ. Sale lines need `store_id, product_id, units` and
    `occurred_at` or `ds`; where known `unit_price` (or `price`; 0 when unknown), `basket_id` (else each row is a basket),
    `customer_id, discount, line, promotion_id`. Stock rows need the same keys and a stock `event_type` (count when there is
    no such column); a count without a time is of its day's end. A row of 0 units sold only says that the store was open. Times
    without a zone and days are local, UTC + `utc_offset_hours`.

    A `basket_id` is taken for a receipt number, which tills begin anew: of a source, a store and a day, unless `unique_baskets`
    says that no two baskets share one. Event ids are made of the source and what a row tells, and of equal rows in a file also
    of their number: the same file again, or one that overlaps with it, doubles nothing; a row that was corrected is another row.
    Raises BadInput naming file, column, row and what was expected (a row later than `now`, the present unless given, is a slip),
    or the store that is known with another offset; nothing is written then."""
    topic = _topic(kind)
    _check_source(source)
    _check_mapping(mapping or {}, topic, kind)
    path = Path(path)
    file = read_user_file(path, mapping or {})
    rows = _typed(file, kind, utc_offset_hours, source)
    _refuse_future(rows, now or datetime.now(UTC))
    require_same_offset(Lake(settings.lake_url), rows.store_id, utc_offset_hours, file.name)
    feed = _sales_feed(rows, unique_baskets) if topic is SALES else {"stock": _stock_events(rows)}
    for name, table in feed.items():
        check(TOPICS[name], table)
    log = event_log(settings)
    stores, products = _declare(spark, settings, rows)
    if topic is SALES and file.has("basket_id"):
        remember_purchases(spark, settings, _history(rows, feed["sales"]))
    written = sum(_write(log, name, rows, table) for name, table in feed.items())
    days = rows.ds.astype(object)
    return ImportSummary(
        file.name, kind, len(file.frame), {n: t.num_rows for n, t in feed.items()}, written, stores.new, products.new,
        stores.completed, products.completed, days.min(), days.max(),
    )  # fmt: skip


def _topic(kind: str) -> Topic:
    if kind not in (SALES.name, STOCK.name):
        raise BadInput(f"kind is {kind!r}: expected sales or stock")
    return TOPICS[kind]


def _check_source(source: str) -> None:
    # it begins the names of files, and Spark passes over those that begin with a dot or an underscore
    if not re.fullmatch(r"[^\W_][\w.-]*", source):
        raise BadInput(f"--source is {source!r}: expected letters, digits, '.', '_' and '-', a letter or digit first")


def _check_mapping(mapping: Mapping[str, str], topic: Topic, kind: str) -> None:
    envelope = {f.name for f in ENVELOPE} - {"occurred_at", "store_id", "event_type"}
    known = [f.name for f in topic.fields if f.name not in envelope]
    allowed = list(dict.fromkeys([*known, *_EXTRA, *_NUMBERS, "supplier_id"]))
    wrong = next((field for field in mapping if field not in allowed), None)
    if wrong is not None:
        raise BadInput(f"mapping of a {kind} file: there is no field {wrong!r}; expected {', '.join(allowed)}")


def _typed(file: UserFile, kind: str, offset: float, source: str) -> _Rows:
    if not -14 <= offset <= 14:
        raise BadInput(f"utc_offset_hours is {offset}: expected -14 to 14")
    shift = np.timedelta64(round(offset * 3600), "s")
    store, product = (file.text(name).to_numpy(object) for name in ("store_id", "product_id"))
    if file.has("occurred_at"):
        occurred = file.times("occurred_at", offset)
        ds = (occurred + shift).astype("datetime64[D]")
    else:
        ds = file.days("ds")
        occurred = ds.astype("datetime64[us]") + _time_of_day(file, kind) - shift
    # only an adjustment is signed
    signed = kind == STOCK.name and file.has("event_type")
    units = file.number("units", -1e9 if signed else 0, 1e9)
    return _Rows(file, source, offset, store, product, occurred, ds, units)


def _time_of_day(file: UserFile, kind: str) -> np.ndarray:
    """When on its day each row happened that tells its day alone: noon, but for counts. Those are of the day's end: a count of the
    evening, taken for one of noon, would lose the day's sales a second time."""
    counted = np.full(len(file.frame), kind == STOCK.name)
    if kind == STOCK.name and file.has("event_type"):
        counted = (file.text("event_type") == "count").to_numpy()
    return np.where(counted, _LAST_SECOND, np.timedelta64(12 * 3600, "s"))


def _refuse_future(rows: _Rows, now: datetime) -> None:
    """Raise BadInput for a row that the ingest would set aside: what is remembered of its purchase would go on to be learnt from."""
    latest = now.astimezone(UTC).replace(tzinfo=None) + TOLERANCE
    column = rows.file.column("occurred_at" if rows.file.has("occurred_at") else "ds")
    rows.file.refuse(
        column, rows.occurred_at > np.datetime64(latest), "is in the future", f"nothing later than {latest:%Y-%m-%d %H:%M} UTC"
    )


def _optional(file: UserFile, rows: np.ndarray, names: tuple[str, ...]) -> dict[str, pa.Array]:
    return {n: pa.array(file.text(n, required=False).to_numpy(object)[rows], pa.string()) for n in names if file.has(n)}


def _sales_feed(rows: _Rows, unique_baskets: bool) -> dict[str, pa.Table]:
    """Purchases of the rows with units; opening hours of every store-day in the file; shelf prices as they change."""
    file = rows.file
    sold = np.flatnonzero(rows.units > 0)
    price = _prices(file)
    more: dict[str, object] = _optional(file, sold, ("customer_id", "promotion_id"))
    if file.has("discount"):
        more["discount"] = file.number("discount", 0, 1e9, default=0.0)[sold]
    if file.has("line"):
        more["line"] = file.number("line", 0, 1e9, default=0.0)[sold].astype(int)
    if file.has("basket_id"):
        receipt = file.text("basket_id").to_numpy(object)[sold]
        day = _day_text(pd.Series(rows.ds[sold]))
        more["basket_id"] = pa.array(receipt, pa.string()) if unique_baskets else joined(rows.source, rows.store_id[sold], day, receipt)
    purchases = _identified(event_table(
        "purchase", rows.source, occurred_at=rows.occurred_at[sold], store_id=rows.store_id[sold], product_id=rows.product_id[sold],
        units=rows.units[sold], unit_price=np.zeros(len(sold)) if price is None else price[sold], **more,
    ), rows.source)  # fmt: skip
    if not file.has("basket_id"):
        purchases = purchases.append_column("basket_id", purchases["event_id"])
    pos = [_openings(rows), *([] if price is None else [_price_changes(rows, price)])]
    return {"sales": purchases, "pos": pa.concat_tables(pos, promote_options="default")}


def _identified(events: pa.Table, source: str) -> pa.Table:
    return events.append_column("event_id", content_ids(events, source))


def _prices(file: UserFile) -> np.ndarray | None:
    field = next((name for name in ("unit_price", "price") if file.has(name)), None)
    if field is None:
        # a column that was asked for and is not there is a mistake, not an absence
        for name in ("unit_price", "price"):
            if name in file.mapping:
                file.column(name)
        return None
    return file.number(field, 0, 1e9)


def _openings(rows: _Rows) -> pa.Table:
    days = pd.DataFrame({"store_id": rows.store_id, "ds": rows.ds}).drop_duplicates()
    start = days["ds"].to_numpy("datetime64[us]") - np.timedelta64(round(rows.offset * 3600), "s")
    store, day = days["store_id"].to_numpy(object), _day_text(days["ds"])
    tables = [
        event_table(kind, rows.source, event_id=joined(rows.source, kind, store, day), store_id=store, occurred_at=start + hours)
        for kind, hours in (("store_opened", np.timedelta64(OPEN_HOUR, "h")), ("store_closed", np.timedelta64(CLOSE_HOUR, "h")))
    ]
    return pa.concat_tables(tables)


def _day_text(ds: pd.Series) -> np.ndarray:
    return ds.dt.strftime("%Y%m%d").to_numpy(object)


def _price_changes(rows: _Rows, price: np.ndarray) -> pa.Table:
    """The pair's median price of each day in the file, where it differs from that of its day before in the file."""
    frame = pd.DataFrame({"store_id": rows.store_id, "product_id": rows.product_id, "ds": rows.ds, "price": price})
    daily = frame.groupby(["store_id", "product_id", "ds"], as_index=False)["price"].median()
    changed = daily[daily["price"] != daily.groupby(["store_id", "product_id"])["price"].shift()]
    store, product = changed["store_id"].to_numpy(object), changed["product_id"].to_numpy(object)
    start = changed["ds"].to_numpy("datetime64[us]") - np.timedelta64(round(rows.offset * 3600), "s")
    return _identified(event_table(
        "price_changed", rows.source, store_id=store, product_id=product, occurred_at=start + np.timedelta64(OPEN_HOUR - 1, "h"),
        price=changed["price"].to_numpy(),
    ), rows.source)  # fmt: skip


def _stock_events(rows: _Rows) -> pa.Table:
    file, every = rows.file, np.arange(len(rows.units))
    kinds = file.text("event_type").to_numpy(object) if file.has("event_type") else np.full(len(every), "count", dtype=object)
    known = [e.name for e in STOCK.events]
    wrong = ~np.isin(kinds.astype(str), known) | ((rows.units < 0) & (kinds != "adjustment"))
    if wrong.any():
        row = int(wrong.argmax())
        expected = f"expected one of {', '.join(known)}, of 0 or more (an adjustment is signed)"
        raise BadInput(f"{file.name}: column 'event_type', row {row + 1}: {kinds[row]!r} of {rows.units[row]:g} units; {expected}")
    more = _optional(file, every, ("supplier_id", "order_id", "reason", "other_store_id"))
    table = event_table(
        "count", rows.source, occurred_at=rows.occurred_at, store_id=rows.store_id, product_id=rows.product_id, units=rows.units, **more
    )
    return _identified(table.set_column(table.column_names.index("event_type"), "event_type", pa.array(kinds, pa.string())), rows.source)


def _declare(spark: SparkSession, settings: Settings, rows: _Rows) -> tuple[Declared, Declared]:
    stores = pd.DataFrame(
        {
            "store_id": np.unique(rows.store_id.astype(str)),
            "utc_offset_hours": rows.offset,
            "open_hour": OPEN_HOUR,
            "close_hour": CLOSE_HOUR,
        }
    )
    goods = pd.DataFrame({"product_id": rows.product_id})
    for name in PRODUCTS.names[1:]:
        if not rows.file.has(name):
            goods[name] = np.nan if name in _NUMBERS else None
        elif name in _NUMBERS:
            goods[name] = rows.file.number(name, 0, 1e9, default=np.nan)
        else:
            goods[name] = rows.file.text(name, required=False).to_numpy(object)
    goods = goods.groupby("product_id", as_index=False).first()
    goods["description"] = goods["description"].where(goods["description"].notna(), goods["product_id"])
    return declare_stores(spark, settings, stores, keep=True), declare_products(spark, settings, goods, keep=True)


def _history(rows: _Rows, sales: pa.Table) -> pa.Table:
    frame = sales.select(
        [n for n in ("customer_id", "basket_id", "store_id", "product_id", "units", "unit_price", "discount") if n in sales.column_names]
    ).to_pandas()
    frame["ds"] = rows.ds[rows.units > 0]
    frame["customer_id"] = frame.get("customer_id", pd.Series([None] * len(frame), dtype=object))
    frame["revenue"] = frame["units"] * frame["unit_price"] - frame.get("discount", 0.0)
    keys = ["customer_id", "basket_id", "store_id", "product_id", "ds"]
    summed = frame.groupby(keys, as_index=False, dropna=False)[["units", "revenue"]].sum().drop_duplicates(["basket_id", "product_id"])
    return pa.table({name: pa.array(summed[name], from_pandas=True) for name in (*keys[:4], "units", "revenue")}).append_column(
        "ds", pa.array(summed["ds"].to_numpy("datetime64[D]")))  # fmt: skip


def _write(log: EventLog, topic: str, rows: _Rows, table: pa.Table) -> int:
    """Write the events as files named by the ids that they hold, but for those that are there; returns how many were written."""
    written = 0
    for low in range(0, table.num_rows, _EVENTS_PER_FILE):
        part = table.slice(low, _EVENTS_PER_FILE)
        digest = hashlib.blake2b("\n".join(part["event_id"].to_pylist()).encode(), digest_size=12).hexdigest()
        name = f"{rows.source}-{digest}"
        if not log.has(topic, name):
            written += producer(topic, rows.source).send_table(log, part, name)
    return written
