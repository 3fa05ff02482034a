"""A planner's rules, in one readable TOML file: limits over all items, what holds for a segment, and for single items.

    budget = 5000          # money of one day's orders, at unit cost
    capacity = 900         # units of one day's orders

    [[segment]]
    when = "category == 'dairy' and velocity > 2"
    service_level = 0.98
    order_days = "mon thu"

    [[item]]
    product_id = "milk"
    store_id = "S1"
    pack_size = 12

A segment's filter compares columns of the items file, `store_id`, `product_id`, and `velocity` (units a day, last 13 weeks);
what it sets wins over the items file, a later segment over an earlier one, an item over all segments."""

from __future__ import annotations

import ast
import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.stock.order_days import weekdays
from training.stock.panel import PAIR
from training.stock.terms import HIGHEST_SERVICE, NUMBERS, WORDS, lead_points

VELOCITY = "velocity"
_COMPARED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """`budget` money and `capacity` units of all orders together (None: no limit); `segments` and `items`, in their order, as
    (filter or keys, values set)."""

    budget: float | None = None
    capacity: float | None = None
    segments: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    items: tuple[tuple[Mapping[str, str], Mapping[str, Any]], ...] = ()

    @property
    def columns(self) -> set[str]:
        """The columns that the filters compare."""
        return {node.id for when, _ in self.segments for node in ast.walk(_parsed(when)) if isinstance(node, ast.Name)}

    def applied(self, facts: pd.DataFrame) -> pd.DataFrame:
        """`facts`, a row a pair, with what the rules set. Raises BadInput for a filter whose column is not there."""
        out = facts.copy()
        for when, values in self.segments:
            _set(out, matches(when, facts), values)
        for keys, values in self.items:
            rows = np.ones(len(out), bool)
            for name, key in keys.items():
                rows &= (out[name] == key).to_numpy()
            _set(out, rows, values)
        return out


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
    unknown = set(found) - {"budget", "capacity", "segment", "item"}
    if unknown:
        raise BadInput(f"{sorted(unknown)[0]!r} is not known; expected budget, capacity, [[segment]] or [[item]]")
    limits = {name: _number(name, found[name], name) for name in ("budget", "capacity") if name in found}
    segments = tuple(_segment(number, table) for number, table in enumerate(_tables(found, "segment"), 1))
    items = tuple(_item(number, table) for number, table in enumerate(_tables(found, "item"), 1))
    return Rules(limits.get("budget"), limits.get("capacity"), segments, items)


def matches(when: str, facts: pd.DataFrame) -> np.ndarray:
    """Which rows of `facts` a filter holds for (rows,)."""
    found = _value(_parsed(when).body, facts, when)
    return np.broadcast_to(np.asarray(found, bool), (len(facts),))


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
        _parsed(when)
    except BadInput as problem:
        raise BadInput(f"{where}: {problem}") from problem
    return when, _values({name: value for name, value in table.items() if name != "when"}, where)


def _item(number: int, table: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    where = f"item {number}"
    keys = {name: str(table[name]) for name in PAIR if name in table}
    if not keys:
        raise BadInput(f"{where}: product_id and store_id are missing; expected at least one of them")
    return keys, _values({name: value for name, value in table.items() if name not in PAIR}, where)


def _values(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    for name, value in table.items():
        if name in NUMBERS:
            _number(name, value, f"{where}: {name}")
        elif name not in WORDS:
            raise BadInput(f"{where}: {name!r} is not known; expected one of {', '.join(sorted(NUMBERS | WORDS))}")
        else:
            try:
                (weekdays if name == "order_days" else lead_points)(value)
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
        facts.loc[rows, name] = value


def _parsed(when: str) -> ast.Expression:
    try:
        tree = ast.parse(when, mode="eval")
    except (SyntaxError, ValueError) as problem:
        raise BadInput(f"when is {when!r}; expected comparisons joined by and, or, not") from problem
    allowed = (ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Name, ast.Load,
               ast.Constant, ast.List, ast.Tuple, ast.In, ast.NotIn, *_COMPARED)  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise BadInput(f"when is {when!r}: {type(node).__name__.lower()} is not known; expected comparisons joined by and, or, not")
    return tree


def _value(node: ast.expr, facts: pd.DataFrame, when: str) -> Any:
    match node:
        case ast.BoolOp(op, values):
            parts = [np.broadcast_to(np.asarray(_value(value, facts, when), bool), (len(facts),)) for value in values]
            return np.all(parts, axis=0) if isinstance(op, ast.And) else np.any(parts, axis=0)
        case ast.UnaryOp(op, value):
            found = _value(value, facts, when)
            return ~np.asarray(found, bool) if isinstance(op, ast.Not) else -found
        case ast.Compare(left, [op], [right]):
            return _compared(op, _value(left, facts, when), _value(right, facts, when), when)
        case ast.Compare(left, ops, rights):
            terms = [left, *rights]
            return np.all([_value(ast.Compare(a, [op], [b]), facts, when) for a, op, b in zip(terms, ops, rights, strict=False)], axis=0)
        case ast.Name(name):
            if name not in facts:
                raise BadInput(f"when is {when!r}: there is no column {name!r}; it may be {', '.join(sorted(map(str, facts.columns)))}")
            return facts[name]
        case ast.List(elements) | ast.Tuple(elements):
            return [_value(element, facts, when) for element in elements]
        case ast.Constant(value):
            return value
    raise BadInput(f"when is {when!r}; expected comparisons joined by and, or, not")


def _compared(op: ast.cmpop, left: Any, right: Any, when: str) -> Any:
    try:
        if isinstance(op, (ast.In, ast.NotIn)):
            found = pd.Series(left).isin(right).to_numpy()
            return found if isinstance(op, ast.In) else ~found
        return np.asarray(_COMPARED[type(op)](left, right), bool)
    except TypeError as problem:
        raise BadInput(f"when is {when!r}: text is compared with a number") from problem
