"""The five event kinds: their names, fields, types, units, ranges and keys. The tables' schema, the JSON Schema and the
validation of a single event are all derived from this one file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

SCHEMA_VERSION = 1

#: no event is older, and none names a day outside of these: one stray year would stretch every daily panel, and warehouses
#: have days from 1970 to 2149 only. What a system writes for "not known" (9999-12-31) is to be left out
EARLIEST, LATEST = date(1990, 1, 1), date(2099, 12, 31)

#: JSON type and Spark type of each field type
_JSON = {"string": "string", "double": "number", "bigint": "integer", "timestamp": "string", "date": "string", "array<int>": "array"}

#: a time says the minute at least; ISO 8601's other ways to write a day (by week, without dashes) are not taken
_SHAPES = {"timestamp": re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d"), "date": re.compile(r"^\d{4}-\d\d-\d\d$")}


@dataclass(frozen=True)
class Field:
    """A field of an event: bounds are inclusive, `unit` is what the number counts."""

    name: str
    type: str
    doc: str
    unit: str = ""
    minimum: float | date | None = None
    maximum: float | date | None = None
    choices: tuple[str, ...] = ()
    length: int | None = None


@dataclass(frozen=True)
class Event:
    """An event type: the fields it must have and those it may have, besides the envelope."""

    name: str
    required: tuple[Field, ...]
    optional: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Topic:
    """A kind of event: one topic of the log, its event types, and the field that orders them (the record key)."""

    name: str
    key: tuple[str, ...]
    events: tuple[Event, ...]
    doc: str

    def event(self, name: str) -> Event | None:
        """The event type of that name, or None."""
        return next((event for event in self.events if event.name == name), None)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Envelope and the union of all event types' fields, each once, in order."""
        every = [*ENVELOPE, *(f for event in self.events for f in (*event.required, *event.optional))]
        return tuple({f.name: f for f in every}.values())

    @property
    def tells_day(self) -> bool:
        """Whether its events tell their local business day themselves, as `ds`; for others it follows from `occurred_at`."""
        return any(field.name == "ds" for field in self.fields)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the topic's events."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.doc,
            "oneOf": [_event_schema(event) for event in self.events],
        }


def _string(name: str, doc: str, **more: Any) -> Field:
    return Field(name, "string", doc, **more)


def _number(name: str, doc: str, unit: str, minimum: float | None = 0, maximum: float | None = 1e9) -> Field:
    return Field(name, "double", doc, unit, minimum, maximum)


def _day(name: str, doc: str) -> Field:
    return Field(name, "date", doc, minimum=EARLIEST, maximum=LATEST)


ENVELOPE = (
    _string("event_id", "unique over all events of the topic; a second one is a duplicate"),
    _string("event_type", "one of the topic's event types"),
    Field("occurred_at", "timestamp", "when it happened, UTC, ISO 8601"),
    _string("store_id", "the store it happened in"),
    _string("source", "the system that wrote it; `simulated` marks what no real system saw"),
    Field("schema_version", "bigint", "version of this contract", minimum=1, maximum=SCHEMA_VERSION),
)

_PRODUCT = _string("product_id", "the product")
_SUPPLIER = _string("supplier_id", "the supplier")
_BASKET = _string("basket_id", "the basket (till receipt); unique over all stores and for all time")
_ORDER = _string("order_id", "the purchase order")
_CUSTOMER = _string("customer_id", "the customer, where known")
_REASON = _string("reason", "free text")
_UNITS = _number("units", "how many", "sales units", minimum=0)

SALES = Topic(
    "sales", ("store_id", "product_id"),
    (
        Event(
            "purchase",
            (_BASKET, _PRODUCT, _UNITS, _number("unit_price", "price of one unit before `discount`", "money")),
            (_CUSTOMER, Field("line", "bigint", "line number in the basket", minimum=0),
             _number("discount", "money off the whole line", "money"), _string("promotion_id", "the promotion it fell under")),
        ),
        Event("return", (_BASKET, _PRODUCT, _UNITS), (_CUSTOMER, _number("unit_price", "price paid back per unit", "money"), _REASON)),
        Event("refund", (_BASKET, _number("amount", "money paid back without goods", "money")), (_CUSTOMER, _PRODUCT, _REASON)),
    ),
    "what the tills sold and took back; a return and a refund name the basket of the purchase",
)  # fmt: skip

STOCK = Topic(
    "stock", ("store_id", "product_id"),
    (
        Event("receipt", (_PRODUCT, _UNITS), (_SUPPLIER, _ORDER)),
        Event("count", (_PRODUCT, _number("units", "units found on the shelf", "sales units"))),
        Event("adjustment", (_PRODUCT, _number("units", "signed correction", "sales units", minimum=-1e9)), (_REASON,)),
        Event("waste", (_PRODUCT, _UNITS), (_REASON,)),
        Event("transfer_in", (_PRODUCT, _UNITS), (_string("other_store_id", "where it came from"),)),
        Event("transfer_out", (_PRODUCT, _UNITS), (_string("other_store_id", "where it went"),)),
    ),
    "what came onto and left the shelf other than by sales",
)  # fmt: skip

POS = Topic(
    "pos", ("store_id",),
    (
        Event("store_opened", ()),
        Event("store_closed", ()),
        Event("price_changed", (_PRODUCT, _number("price", "shelf price of one unit from now on", "money")),
              (_number("regular_price", "price without promotion", "money"),)),
        Event("promotion_started",
              (_PRODUCT, _string("promotion_id", "the promotion"),
               _string("promotion_kind", "what is done", choices=("discount", "display", "mailer"))),
              (_number("price", "promotional price", "money"),)),
        Event("promotion_ended", (_PRODUCT, _string("promotion_id", "the promotion"))),
    ),
    "what the store did: opening and closing of a business day, prices, promotions",
)  # fmt: skip

VISITS = Topic(
    "visits", ("store_id",),
    (Event("visit_count", (Field("visits", "array<int>", "people who came in, by hour 0-23 of the local business day",
                                 "people", 0, 1e6, length=24), _day("ds", "the local business day"))),),
    "foot traffic; the conversion to baskets is derived from sales",
)  # fmt: skip

SUPPLY = Topic(
    "supply", ("store_id", "order_id"),
    (
        Event("order_placed", (_ORDER, _SUPPLIER, _PRODUCT, _UNITS),
              (_day("promised_on", "promised day of arrival"), _number("unit_cost", "cost of one unit", "money"))),
        Event("shipment_dispatched", (_ORDER, _SUPPLIER, _PRODUCT, _UNITS)),
        Event("shipment_received", (_ORDER, _SUPPLIER, _PRODUCT, _UNITS)),
    ),
    "purchase order lines and their deliveries; lead times are derived",
)  # fmt: skip

TOPICS: dict[str, Topic] = {topic.name: topic for topic in (SALES, STOCK, POS, VISITS, SUPPLY)}

#: every field that an event may have, by name: topics that share a name share its type
FIELD_TYPES: dict[str, str] = {field.name: field.type for topic in TOPICS.values() for field in topic.fields}


def _event_schema(event: Event) -> dict[str, Any]:
    required = (*ENVELOPE, *event.required)
    properties = {f.name: _field_schema(f) for f in (*required, *event.optional)}
    properties["event_type"] = {"const": event.name}
    return {"title": event.name, "type": "object", "required": [f.name for f in required], "properties": properties}


def _field_schema(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _JSON[field.type], "description": field.doc + (f" ({field.unit})" if field.unit else "")}
    bounds = {key: bound for key, bound in (("minimum", field.minimum), ("maximum", field.maximum)) if bound is not None}
    if field.type == "array<int>":
        return {**schema, "items": {"type": "integer", **bounds}, "minItems": field.length, "maxItems": field.length}
    if field.type in ("timestamp", "date"):
        schema["format"] = "date-time" if field.type == "timestamp" else "date"
    if field.type == "date":  # JSON Schema bounds numbers only
        bounds = {}
        schema["description"] += f", {field.minimum} to {field.maximum}"
    return {**schema, **bounds, **({"enum": list(field.choices)} if field.choices else {})}


def problem(topic: Topic, event: Mapping[str, Any]) -> str | None:
    """The first breach of the contract in an event given as a JSON object, in words, or None; for producers."""
    kind = topic.event(str(event.get("event_type")))
    if kind is None:
        names = ", ".join(e.name for e in topic.events)
        return f"event_type is {event.get('event_type')!r}: expected one of {names}"
    for field in (*ENVELOPE, *kind.required):
        if event.get(field.name) in (None, ""):
            return f"{field.name} is missing"
    known = {f.name: f for f in (*ENVELOPE, *kind.required, *kind.optional)}
    return next((said for name, value in event.items() if name in known and (said := _value_problem(known[name], value))), None)


def _value_problem(field: Field, value: Any) -> str | None:
    if value is None:
        return None
    if field.type == "array<int>":
        if not isinstance(value, list) or (field.length and len(value) != field.length):
            return f"{field.name} is {value!r}: expected a list of {field.length} integers"
        return next((said for item in value if (said := _bound_problem(field, item))), None)
    if field.type in ("double", "bigint"):
        return _bound_problem(field, value)
    if not isinstance(value, str):
        return f"{field.name} is {value!r}: expected text"
    if field.type in ("timestamp", "date"):
        try:
            shaped = bool(_SHAPES[field.type].search(value))
            told = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            shaped = False
        if not shaped:
            return f"{field.name} is {value!r}: expected an ISO 8601 {field.type}"
        if field.type == "date" and _outside(field, told.date()):
            return f"{field.name} is {value!r}: expected {field.minimum} to {field.maximum}"
    if field.choices and value not in field.choices:
        return f"{field.name} is {value!r}: expected one of {', '.join(field.choices)}"
    return None


def _bound_problem(field: Field, value: Any) -> str | None:
    whole = field.type != "double"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return f"{field.name} is {value!r}: expected {'an integer' if whole else 'a number'}"
    if value != value or _outside(field, value):
        return f"{field.name} is {value!r}: expected {field.minimum} to {field.maximum} {field.unit}".rstrip()
    return None


def _outside(field: Field, value: Any) -> bool:
    return (field.minimum is not None and value < field.minimum) or (field.maximum is not None and value > field.maximum)
