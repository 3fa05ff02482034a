"""A planner's rules, in one readable TOML file: limits over all items, what holds for a segment, and for single items.

    budget = 5000          # money of one day's orders, at unit cost
    capacity = 900         # units of one day's orders

    [transfer]             # units may be moved between stores, before anything is ordered
    days = 1
    unit_cost = 0.05       # money a unit, and a line of one product from one store to another
    line_cost = 0.5

    [[segment]]
    when = "category == 'dairy' and velocity > 2"
    service_level = 0.98
    order_days = "mon thu"
    policy = "order_up_to" # one of training.stock.named.POLICIES

    [[item]]
    product_id = "milk"
    store_id = "S1"
    pack_size = 12

A segment's filter compares columns of the items file, `store_id`, `product_id`, and `velocity` (units a day, last 13 weeks);
what it sets wins over the items file, a later segment over an earlier one, an item over all segments."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.filters import columns_of, matches
from training.stock.named import policy_number
from training.stock.order_days import weekdays
from training.stock.panel import PAIR
from training.stock.terms import HIGHEST_SERVICE, NUMBERS, WORDS, lead_points
from training.stock.transfers import Transfer

VELOCITY = "velocity"


@dataclass(frozen=True)
class Rules:
    """`budget` money and `capacity` units of all orders together (None: no limit); `segments` and `items`, in their order, as
    (filter or keys, values set); `transfer`: how units may be moved between stores (None: they are not)."""

    budget: float | None = None
    capacity: float | None = None
    segments: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    items: tuple[tuple[Mapping[str, str], Mapping[str, Any]], ...] = ()
    transfer: Transfer | None = None

    @property
    def columns(self) -> set[str]:
        """The columns that the filters compare."""
        return set().union(*(columns_of(when) for when, _ in self.segments))

    @property
    def texts(self) -> set[str]:
        """The columns that the filters compare with text: 010 is a name there and no ten."""
        return set().union(*(columns_of(when, with_text=True) for when, _ in self.segments))

    def idle(self, facts: pd.DataFrame) -> list[str]:
        """The segments and items that none of `facts`, a row a pair, belongs to, in words."""
        segments = [f"[[segment]] when {when!r}" for when, _ in self.segments if not matches(when, facts).any()]
        items = [", ".join(f"{name} {key!r}" for name, key in keys.items()) for keys, _ in self.items if not _of(keys, facts).any()]
        return segments + [f"[[item]] {said}" for said in items]

    def applied(self, facts: pd.DataFrame) -> pd.DataFrame:
        """`facts`, a row a pair, with what the rules set. Raises BadInput for a filter whose column is not there."""
        out = facts.copy()
        for when, values in self.segments:
            _set(out, matches(when, facts), values)
        for keys, values in self.items:
            _set(out, _of(keys, out), values)
        return out


def _of(keys: Mapping[str, str], pairs: pd.DataFrame) -> np.ndarray:
    """(pairs,) which have all of the keys."""
    return np.all([(pairs[name] == key).to_numpy() for name, key in keys.items()], axis=0)


def read_rules(path: Path) -> Rules:
    """The rules of a file. Raises BadInput naming the file, the place in it and what was expected."""
    try:
        found = tomllib.loads(Path(path).read_text())
    except FileNotFoundError as problem:
        raise BadInput(f"rules file {path}: there is no such file") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"rules file {path}: it cannot be read as TOML ({problem})") from problem
    try:
        return rules(found)
    except BadInput as problem:
        raise BadInput(f"rules file {path}: {problem}") from problem


def rules(found: Mapping[str, Any]) -> Rules:
    """The rules of a parsed file."""
    unknown = set(found) - {"budget", "capacity", "transfer", "segment", "item"}
    if unknown:
        raise BadInput(f"{sorted(unknown)[0]!r} is not known; expected budget, capacity, [transfer], [[segment]] or [[item]]")
    limits = {name: _number(name, found[name], name) for name in ("budget", "capacity") if name in found}
    segments = tuple(_segment(number, table) for number, table in enumerate(_tables(found, "segment"), 1))
    items = tuple(_item(number, table) for number, table in enumerate(_tables(found, "item"), 1))
    return Rules(limits.get("budget"), limits.get("capacity"), segments, items, _transfer(found.get("transfer")))


def _transfer(found: Any) -> Transfer | None:
    if found is None:
        return None
    names = [field.name for field in fields(Transfer)]
    if not isinstance(found, dict) or set(found) - set(names):
        raise BadInput(f"transfer is {found!r}; expected a table [transfer] of {', '.join(names)}")
    return Transfer(**{name: _number(name, value, f"transfer: {name}") for name, value in found.items()})


def _tables(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    tables = found.get(name, [])
    if not isinstance(tables, list):
        raise BadInput(f"{name} is a single table; expected [[{name}]]")
    return tables


def _segment(number: int, table: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    where = f"segment {number}"
    when = table.get("when")
    if not isinstance(when, str):
        raise BadInput(f"{where}: when is missing; expected a filter such as \"category == 'dairy' and velocity > 2\"")
    try:
        columns_of(when)
    except BadInput as problem:
        raise BadInput(f"{where}: {problem}") from problem
    return when, _values({name: value for name, value in table.items() if name != "when"}, where)


def _item(number: int, table: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    where = f"item {number}"
    keys = {name: str(table[name]) for name in PAIR if name in table}
    if not keys:
        raise BadInput(f"{where}: product_id and store_id are missing; expected at least one of them")
    return keys, _values({name: value for name, value in table.items() if name not in PAIR}, where)


def _store_of(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"supplied_by is {text!r}; expected the store_id of a distribution centre, in quotes")
    return text


#: how what is said in words is read
_READ: dict[str, Callable[[Any], Any]] = {
    "order_days": weekdays,
    "lead_time_distribution": lead_points,
    "supplied_by": _store_of,
    "policy": policy_number,
}


def _values(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    for name, value in table.items():
        if name in NUMBERS:
            _number(name, value, f"{where}: {name}")
        elif name not in WORDS:
            raise BadInput(f"{where}: {name!r} is not known; expected one of {', '.join(sorted(NUMBERS | WORDS))}")
        else:
            try:
                _READ[name](value)
            except BadInput as problem:
                raise BadInput(f"{where}: {problem}") from problem
    return table


def _number(name: str, value: Any, where: str) -> float:
    most = HIGHEST_SERVICE if name == "service_level" else np.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (0 <= value <= most and np.isfinite(value)):
        raise BadInput(f"{where} is {value!r}; expected a number of at least 0{f' and at most {most:g}' if np.isfinite(most) else ''}")
    return float(value)


def _set(facts: pd.DataFrame, rows: np.ndarray, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in facts:
            facts[name] = pd.Series(None if name in WORDS else np.nan, index=facts.index, dtype=object if name in WORDS else float)
        elif name in NUMBERS:
            facts[name] = facts[name].astype(float)  # whole numbers of the items file, of which a rule may set a part
        facts.loc[rows, name] = value
