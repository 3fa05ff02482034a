"""The bronze and silver tables: events as they came, quarantine, dimensions and daily facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_ingest.contracts import FIELD_TYPES, TOPICS
from infra.tables import Column, Table, columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEYS = (("store_id", "string"), ("product_id", "string"))


def _event_columns() -> tuple[Column, ...]:
    said = {field.name: field.doc for topic in TOPICS.values() for field in topic.fields}
    own = tuple(Column(name, kind, said[name]) for name, kind in FIELD_TYPES.items() if name != "ds")
    return columns(("topic", "string", "the kind of event")) + own + columns(
        ("ds", "date", "the store's local business day"), ("position", "string", "file or offset it was read from")
    )  # fmt: skip


EVENTS = Table(
    "events", "bronze", _event_columns(), ("topic", "event_id"), "ds",
    "the events of all topics as they came; fields that an event's topic does not have are null", split="topic",
)  # fmt: skip


def of_topic(events: DataFrame, topic: str) -> DataFrame:
    """The events of one topic, with the columns that it has."""
    own = [field.name for field in TOPICS[topic].fields if field.name != "ds"]
    return events.where(f"topic = '{topic}'").select(*own, "ds", "position")


QUARANTINE = Table(
    "quarantine", "bronze",
    columns(("topic", "string"), ("rule", "string", "name of the rule it broke"), ("reason", "string", "what was found, in words"),
            ("raw", "binary", "the bytes as they came"), ("position", "string"), ("event_id", "string", "where it could be read"),
            ("ds", "date", "day of quarantine, UTC"), ("quarantined_at", "timestamp")),
    ("topic", "position", "raw"), "ds", "what broke a rule: nothing malformed vanishes",
)  # fmt: skip

INGESTED = Table(
    "ingested", "bronze",
    columns(("query_id", "string", "identity of the stream's checkpoint"), ("batch", "bigint"), ("topic", "string"),
            ("event_type", "string", "where it could be read"), ("rule", "string", "null: accepted into bronze"),
            ("ds", "date", "business day of the events; day of ingest where it could not be read"),
            ("events", "bigint"), ("landed_at", "timestamp", "UTC")),
    ("query_id", "batch", "topic", "event_type", "rule", "ds"), "ds", "what each micro-batch took in, counted",
)  # fmt: skip

STORES = Table(
    "stores", "silver",
    columns(("store_id", "string"), ("utc_offset_hours", "double", "local time = UTC + this"),
            ("open_hour", "int", "first open hour of the local day"), ("close_hour", "int", "hour at which it closes")),
    ("store_id",), doc="the stores that are known",
)  # fmt: skip

PRODUCTS = Table(
    "products", "silver",
    columns(("product_id", "string"), ("description", "string"), ("department", "string"), ("category", "string"),
            ("brand", "string"), ("supplier_id", "string"), ("unit_cost", "double", "money"),
            ("pack_size", "double", "units an order is a multiple of"),
            ("shelf_life_days", "double", "days, null when it keeps"), ("lead_time_days", "double", "promised days from order to shelf"),
            ("review_period_days", "double", "days between orders")),
    ("product_id",), doc="the catalogue: what may be sold",
)  # fmt: skip

PURCHASE_HISTORY = Table(
    "purchase_history", "silver",
    columns(("customer_id", "string"), ("basket_id", "string"), ("store_id", "string"), ("product_id", "string"),
            ("ds", "date"), ("units", "double"), ("revenue", "double", "money")),
    ("basket_id", "product_id"), "ds", "basket lines known before events told of them, also of pairs that are not replayed",
)  # fmt: skip

SALES_DAILY = Table(
    "sales_daily", "silver",
    columns(*_KEYS, ("ds", "date"), ("units", "double", "units sold, before returns"), ("returned_units", "double"),
            ("revenue", "double", "money after discount, before returns and refunds"), ("discount", "double", "money"),
            ("refunds", "double", "money paid back"), ("lines", "bigint", "purchase lines"), ("baskets", "bigint", "distinct baskets")),
    ("store_id", "product_id", "ds"), "ds", "a row for every pair and day with a sale, return or refund",
)  # fmt: skip

STOCK_DAILY = Table(
    "stock_daily", "silver",
    columns(*_KEYS, ("ds", "date"), ("on_hand_open", "double", "units at opening"), ("on_hand_close", "double", "units at closing"),
            ("received_units", "double"), ("waste_units", "double"), ("adjusted_units", "double", "signed"),
            ("in_stock", "double", "share of open hours with stock, 0..1, null where not known: below 1 sales are censored demand")),
    ("store_id", "product_id", "ds"), "ds", "a row for every pair and open day from its first stock event on",
)  # fmt: skip

PRICE_DAILY = Table(
    "price_daily", "silver",
    columns(*_KEYS, ("ds", "date"), ("price", "double", "shelf price of the day"), ("regular_price", "double", "price without promotion")),
    ("store_id", "product_id", "ds"), "ds", "a row for every pair and day from its first price on",
)  # fmt: skip

PROMOTIONS = Table(
    "promotions", "silver",
    columns(*_KEYS, ("promotion_id", "string"), ("promotion_kind", "string", "discount, display or mailer"),
            ("starts_on", "date"), ("ends_on", "date", "last day; null while it runs"), ("price", "double", "promotional price")),
    ("store_id", "product_id", "promotion_id", "starts_on"), doc="each promotion of a pair, once for each time that it ran",
)  # fmt: skip

VISITS_DAILY = Table(
    "visits_daily", "silver",
    columns(("store_id", "string"), ("ds", "date"), ("visits", "bigint", "people"), ("baskets", "bigint", "distinct baskets sold")),
    ("store_id", "ds"), "ds", "foot traffic and the baskets it led to",
)  # fmt: skip

STORE_DAYS = Table(
    "store_days", "silver",
    columns(("store_id", "string"), ("ds", "date"), ("status", "string", "open, closed, or feed_missing: no word of the store itself")),
    ("store_id", "ds"), "ds", "what a day without a sale means",
)  # fmt: skip

LEAD_TIMES = Table(
    "lead_times", "silver",
    columns(("order_id", "string"), ("supplier_id", "string"), *_KEYS, ("ordered_on", "date"), ("promised_on", "date"),
            ("dispatched_on", "date"), ("received_on", "date", "of its last part so far; null while nothing has come"),
            ("lead_time_days", "double", "received_on - ordered_on"),
            ("ordered_units", "double"), ("received_units", "double"), ("unit_cost", "double", "money")),
    ("order_id", "store_id", "product_id"), doc="a row for every purchase order line",
)  # fmt: skip

DELIVERIES = Table(
    "deliveries", "silver",
    columns(("order_id", "string"), *_KEYS, ("ds", "date", "day of receipt"), ("units", "double", "units received")),
    ("order_id", "store_id", "product_id", "ds"), "ds", "what came of each purchase order line, by day",
)  # fmt: skip

BASKETS = Table(
    "baskets", "silver",
    columns(("basket_id", "string"), ("store_id", "string"), ("customer_id", "string"), ("product_id", "string"),
            ("ds", "date"), ("units", "double"), ("revenue", "double", "money")),
    ("basket_id", "product_id"), "ds", "what was bought together",
)  # fmt: skip

FACTS: tuple[Table, ...] = (SALES_DAILY, STOCK_DAILY, PRICE_DAILY, PROMOTIONS, VISITS_DAILY, STORE_DAYS, LEAD_TIMES, DELIVERIES, BASKETS)
BRONZE: tuple[Table, ...] = (EVENTS, QUARANTINE, INGESTED)
DIMENSIONS: tuple[Table, ...] = (STORES, PRODUCTS, PURCHASE_HISTORY)
