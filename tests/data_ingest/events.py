"""Small hand-made events, a line of JSON each, for tests of what reads the event log."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from data_ingest.contracts import SCHEMA_VERSION, TOPICS
from data_ingest.tables import EVENTS
from infra.event_log import event_log
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Column

_NUMBERS = itertools.count(1)


def event(event_type: str, at: str, store: str = "s1", **fields: Any) -> dict[str, Any]:
    """An event as a JSON object; `at` is UTC such as `2024-01-05T10:00`; its id is new unless given."""
    return {
        "event_id": fields.pop("event_id", f"{event_type}-{next(_NUMBERS)}"),
        "event_type": event_type,
        "occurred_at": f"{at}:00Z" if len(at) == 16 else at,
        "store_id": store,
        "source": "test",
        "schema_version": SCHEMA_VERSION,
        **fields,
    }


def purchase(at: str, product: str = "p1", units: float = 1, basket: str = "b1", **fields: Any) -> dict[str, Any]:
    """A purchase line at a price of 2.0."""
    return event("purchase", at, **{"product_id": product, "units": units, "basket_id": basket, "unit_price": 2.0, **fields})


def returned(at: str, product: str = "p1", units: float = 1, basket: str = "b1", **fields: Any) -> dict[str, Any]:
    """A return of a basket's product."""
    return event("return", at, **{"product_id": product, "units": units, "basket_id": basket, **fields})


def stock(event_type: str, at: str, units: float, product: str = "p1", **fields: Any) -> dict[str, Any]:
    """A stock move."""
    return event(event_type, at, **{"product_id": product, "units": units, **fields})


def price(at: str, amount: float, product: str = "p1", **fields: Any) -> dict[str, Any]:
    """A price change."""
    return event("price_changed", at, **{"product_id": product, "price": amount, **fields})


def visits(ds: str, by_hour: list[int], at: str = "", **fields: Any) -> dict[str, Any]:
    """A day's foot traffic, told at 23:30 of it."""
    return event("visit_count", at or f"{ds}T23:30", **{"ds": ds, "visits": by_hour, **fields})


def topic_of(body: Mapping[str, Any]) -> str:
    """The topic that has the event's type."""
    return next(topic.name for topic in TOPICS.values() if topic.event(body["event_type"]))


def line(body: Mapping[str, Any]) -> bytes:
    """The event as a line of the log."""
    return json.dumps(body).encode()


def send(settings: Settings, bodies: Iterable[Mapping[str, Any]], name: str = "") -> int:
    """Write events to the log, each to its topic; returns how many."""
    by_topic: dict[str, list[bytes]] = {}
    for body in bodies:
        by_topic.setdefault(topic_of(body), []).append(line(body))
    return sum(send_lines(settings, topic, lines, name) for topic, lines in by_topic.items())


def send_lines(settings: Settings, topic: str, lines: Iterable[bytes], name: str = "") -> int:
    """Write raw lines to a topic."""
    return event_log(settings).write(topic, lines, name)


def to_bronze(spark: Any, settings: Settings, bodies: Iterable[Mapping[str, Any]], batch: int, utc_offset_hours: float = 0.0) -> None:
    """Append good events to bronze as the ingest would, without judging them; `batch` counts from 0 in a home."""
    rows = [tuple(_bronze_value(column, body, utc_offset_hours) for column in EVENTS.columns) for body in bodies]
    Lake(settings.lake_url).append(spark.createDataFrame(rows, EVENTS.spark_schema()), EVENTS, "test", batch)


def raw(spark: Any, topic: str, lines: Iterable[bytes]) -> Any:
    """Lines as the event log gives them, their positions in their order."""
    rows = [(topic, bytearray(line), f"f@{place:06d}") for place, line in enumerate(lines)]
    return spark.createDataFrame(rows, "topic string, value binary, position string")


def _bronze_value(column: Column, body: Mapping[str, Any], utc_offset_hours: float) -> Any:
    at = datetime.fromisoformat(body["occurred_at"].replace("Z", "")).replace(tzinfo=None)
    if column.name == "topic":
        return topic_of(body)
    if column.name == "ds":
        return date.fromisoformat(body["ds"]) if "ds" in body else (at + timedelta(hours=utc_offset_hours)).date()
    value = body.get(column.name)
    if value is None:
        return None
    if column.type == "timestamp":
        return at.replace(tzinfo=UTC)
    if column.type == "date":
        return date.fromisoformat(value)
    return float(value) if column.type == "double" else value
