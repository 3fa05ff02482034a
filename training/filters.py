"""Filters that a planner writes: comparisons of a table's columns joined by and, or, not, such as
`category == 'dairy' and velocity > 2`. Read as an expression of a few allowed parts, never run as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput

_COMPARED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def columns_of(when: str, with_text: bool = False) -> set[str]:
    """The columns that a filter compares, or those that it compares `with_text`. Raises BadInput for what is no filter."""
    compared = [node for node in ast.walk(_parsed(when)) if isinstance(node, ast.Compare)]
    if with_text:
        compared = [
            node for node in compared if any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in ast.walk(node))
        ]
    return {part.id for node in compared for part in ast.walk(node) if isinstance(part, ast.Name)}


def matches(when: str, facts: pd.DataFrame) -> np.ndarray:
    """Which rows of `facts` a filter holds for (rows,)."""
    return np.broadcast_to(np.asarray(_value(_parsed(when).body, facts, when), bool), (len(facts),))


def _parsed(when: str) -> ast.Expression:
    try:
        tree = ast.parse(when, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise BadInput(f"filter {when!r}; expected comparisons joined by and, or, not") from problem
    allowed = (ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Name, ast.Load,
               ast.Constant, ast.List, ast.Tuple, ast.In, ast.NotIn, *_COMPARED)  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise BadInput(f"filter {when!r}: {type(node).__name__.lower()} is not known; expected comparisons joined by and, or, not")
    _check(tree.body, when)
    return tree


def _check(node: ast.expr, when: str) -> None:
    """Raise BadInput unless the parts joined by and, or, not are comparisons of a column with something."""
    match node:
        case ast.BoolOp(_, values):
            for value in values:
                _check(value, when)
        case ast.UnaryOp(ast.Not(), value):
            _check(value, when)
        case ast.Compare(left, ops, rights):
            if not any(isinstance(term, ast.Name) for term in (left, *rights)):
                raise BadInput(f"filter {when!r} compares no column; expected comparisons such as category == 'dairy'")
            for op, term in zip(ops, rights, strict=True):
                if isinstance(term, (ast.List, ast.Tuple)) != isinstance(op, (ast.In, ast.NotIn)):
                    raise BadInput(f"filter {when!r}: expected a list after in and not in, such as ['A', 'B'], and nowhere else")
            for term in (left, *rights):
                if isinstance(term, ast.UnaryOp) and not _negative(term):
                    raise BadInput(f"filter {when!r}: expected a minus before numbers only")
        case _:
            raise BadInput(f"filter {when!r} is no comparison; expected comparisons joined by and, or, not")


def _negative(term: ast.UnaryOp) -> bool:
    number = term.operand
    return isinstance(term.op, ast.USub) and isinstance(number, ast.Constant) and isinstance(number.value, (int, float))


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
                raise BadInput(f"filter {when!r}: there is no column {name!r}; it may be {', '.join(sorted(map(str, facts.columns)))}")
            return facts[name]
        case ast.List(elements) | ast.Tuple(elements):
            return [_value(element, facts, when) for element in elements]
        case ast.Constant(value):
            return value
    raise BadInput(f"filter {when!r}; expected comparisons joined by and, or, not")


def _compared(op: ast.cmpop, left: Any, right: Any, when: str) -> Any:
    try:
        if isinstance(op, (ast.In, ast.NotIn)):
            found = pd.Series(left).isin(right).to_numpy()
            return found if isinstance(op, ast.In) else ~found
        return np.asarray(_COMPARED[type(op)](left, right), bool)
    except TypeError as problem:
        raise BadInput(f"filter {when!r}: text is compared with a number") from problem
