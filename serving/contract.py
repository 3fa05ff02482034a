"""What an endpoint takes and gives, derived from the family's card: checks of one item in words, JSON Schemas, examples.

A card's type is a JSON type or `date`; `integer 1..28` and `number 0..` bound it, inclusive; a `?` behind it says that the field
may be left out or null; `or stored`, that the online feature of its name then stands for it and must be there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

#: characters of a text and texts of a list at most: what is answered is also kept, for the log and for the proof of later versions
_LONGEST_TEXT, _LONGEST_LIST = 256, 1_000
_TEXT = {"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT}
#: what an item field may be: how a message calls it, its JSON Schema, and an example
_TYPES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "string": ("text", _TEXT, "S001"),
    "date": ("a day as YYYY-MM-DD", {"type": "string", "format": "date"}, "2024-03-01"),
    "number": ("a finite number", {"type": "number"}, 1.5),
    "integer": ("an integer", {"type": "integer"}, 7),
    "boolean": ("true or false", {"type": "boolean"}, True),
    "array": (f"a list of at most {_LONGEST_LIST:,} texts", {"type": "array", "maxItems": _LONGEST_LIST, "items": _TEXT}, []),
    "object": ("an object", {"type": "object"}, {}),
}
_OR_STORED = " or stored"
#: examples that read better than their type's
_EXAMPLES: dict[str, Any] = {
    "store_id": "S001", "product_id": "P0001", "customer_id": "C0001", "basket_id": "B0001", "supplier_id": "V01",
    "k": 10, "horizon": 7, "rank": 1, "units": 3.4, "probability": 0.12, "score": 2.7, "alert": False,
    "on_hand": 12, "on_order": 24, "why": "one sentence that shows the arithmetic", "action": "keep",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A card's type, read: its base, bounds, whether the field may be missing, and whether what is stored then stands for it."""

    base: str
    low: float | None = None
    high: float | None = None
    optional: bool = False
    stored: bool = False

    @property
    def called(self) -> str:
        """What a message says was expected."""
        said = _TYPES.get(self.base, (f"a value of type {self.base}",))[0]
        if self.low is not None and self.high is not None:
            return f"{said} from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{said} of at least {self.low:g}"
        return said if self.high is None else f"{said} of at most {self.high:g}"


@cache
def kind_of(text: str) -> Kind:
    """The type that a card wrote."""
    told = text.removesuffix(_OR_STORED).removesuffix("?")
    base, _, bounds = told.partition(" ")
    low, _, high = bounds.partition("..")
    return Kind(base, float(low) if low else None, float(high) if high else None, told != text, text.endswith(_OR_STORED))


def problem(request: Mapping[str, str], item: Any) -> str | None:
    """The first breach of a request contract in one item, as a sentence, or None."""
    if not isinstance(item, dict):
        return f"an item is {_shown(item)}: expected an object with {', '.join(request)}."
    unknown = next((name for name in item if name not in request), None)
    if unknown is not None:
        return f"{_shown(unknown)} is not a field of this endpoint: expected {', '.join(request)}."
    return next((said for name, kind in request.items() if (said := _field_problem(name, kind, item.get(name)))), None)


def required(request: Mapping[str, str]) -> list[str]:
    """The fields that an item must have."""
    return [name for name, kind in request.items() if not kind_of(kind).optional]


def schema(fields: Mapping[str, str]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one item, with an example."""
    properties = {name: _schema_of(kind) for name, kind in fields.items()}
    return {"type": "object", "properties": properties, "required": required(fields), "example": example(fields)}


def example(fields: Mapping[str, str]) -> dict[str, Any]:
    """An item that fulfils the contract, for the documentation."""
    return {name: _EXAMPLES.get(name, _TYPES[kind_of(kind).base][2]) for name, kind in fields.items() if kind_of(kind).base in _TYPES}


def plain(value: Any) -> Any:
    """A JSON value of what a model gave: numpy scalars unwrapped, days as ISO text, what is not a number as null."""
    if hasattr(value, "tolist") and not isinstance(value, (str, bytes)):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, date):  # a datetime and a pandas timestamp are dates too; NaT prints as such
        return None if str(value) == "NaT" else value.isoformat()[:10]
    return value if isinstance(value, (str, int, bool, type(None))) else _null_or_text(value)


def _null_or_text(value: Any) -> str | None:
    return None if str(value) in ("<NA>", "NaT") else str(value)


def _field_problem(name: str, text: str, value: Any) -> str | None:
    kind = kind_of(text)
    if value is None:
        return None if kind.optional else f"{name} is missing: expected {kind.called}."
    return None if _fits(kind, value) else f"{name} is {_shown(value)}: expected {kind.called}."


def _fits(kind: Kind, value: Any) -> bool:
    if kind.base == "string":
        return _is_text(value)
    if kind.base == "array":
        return isinstance(value, list) and len(value) <= _LONGEST_LIST and all(map(_is_text, value))
    if kind.base == "date":
        return isinstance(value, str) and _is_day(value)
    if kind.base in ("integer", "number"):
        whole = isinstance(value, int) and abs(value) < 2**53
        return not isinstance(value, bool) and (whole or (kind.base == "number" and isinstance(value, float))) and _within(kind, value)
    expected = {"boolean": bool, "object": dict}.get(kind.base, object)
    return isinstance(value, expected)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _within(kind: Kind, value: float) -> bool:
    low, high = -1e15 if kind.low is None else kind.low, 1e15 if kind.high is None else kind.high
    return low <= value <= high


#: years that a day of a request may lie in: others are slips, and beyond what times of a nanosecond can tell
_FIRST_YEAR, _LAST_YEAR = 1900, 2199


def _is_day(value: str) -> bool:
    try:
        day = date.fromisoformat(value)
        return day.isoformat() == value and _FIRST_YEAR <= day.year <= _LAST_YEAR
    except ValueError:
        return False


def _schema_of(text: str) -> dict[str, Any]:
    kind = kind_of(text)
    bounds = {"minimum": kind.low, "maximum": kind.high}
    found = dict(_TYPES.get(kind.base, ("", {}, None))[1]) | {name: bound for name, bound in bounds.items() if bound is not None}
    if kind.optional and "type" in found:
        found["type"] = [found["type"], "null"]
    if kind.stored:
        found["description"] = "left out or null: the value that is stored online"
    return found


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
