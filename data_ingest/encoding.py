"""Tables of events to JSON lines, column by column: the contract is checked and the text is built without a Python
object an event."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from data_ingest.contracts import ENVELOPE, Field, Topic, problem
from infra.errors import BadInput

_NEEDS_ESCAPE = r'["\\\x00-\x1f]'


def encode(topic: Topic, table: pa.Table) -> list[bytes]:
    """A JSON line for each row of `table`, absent fields left out; raises BadInput naming topic, event and field for the
    first row that breaks the contract. Columns that the topic does not know are refused."""
    columns = check(topic, table)
    fragments: list[pa.Array] = []
    for field in topic.fields:
        if field.name in columns:
            comma = "," if fragments else ""
            texts = pc.binary_join_element_wise(f'{comma}"{field.name}":', _json_text(field, columns[field.name]), "")
            fragments.append(pc.fill_null(texts, ""))
    lines = pc.binary_join_element_wise("{", *fragments, "}", "")
    return pc.cast(lines, pa.binary()).to_pylist()


def check(topic: Topic, table: pa.Table) -> dict[str, pa.Array]:
    """The columns of `table` in the contract's types; raises BadInput as `encode` does, without building any text."""
    unknown = next((name for name in table.column_names if name not in {f.name for f in topic.fields}), None)
    if unknown:
        raise BadInput(f"{topic.name} events: column {unknown!r} is not a field of the contract")
    table = table.combine_chunks()
    columns = {f.name: _typed(topic, f, table) for f in topic.fields if f.name in table.column_names}
    _check(topic, columns, table.num_rows)
    return columns


def _typed(topic: Topic, field: Field, table: pa.Table) -> pa.Array:
    target = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "date": pa.date32(),
              "timestamp": pa.timestamp("us"), "array<int>": pa.list_(pa.int32())}[field.type]  # fmt: skip
    column = table[field.name]
    array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    fits = array.type == target or pa.types.is_null(array.type) or _widens(array.type, field.type)
    if not fits:
        raise BadInput(f"{topic.name} events: column {field.name} is {array.type}: expected {field.type}")
    array = pc.cast(array, target, safe=not pa.types.is_timestamp(target))
    if field.type == "double":
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    return array


def _widens(found: pa.DataType, wanted: str) -> bool:
    checks = {
        "double": lambda t: pa.types.is_integer(t) or pa.types.is_floating(t),
        "bigint": pa.types.is_integer,
        "timestamp": lambda t: pa.types.is_timestamp(t) and t.tz in (None, "UTC"),
        "array<int>": pa.types.is_list,
        "string": lambda t: pa.types.is_dictionary(t) or pa.types.is_large_string(t),
    }
    return wanted in checks and checks[wanted](found)


def _check(topic: Topic, columns: dict[str, pa.Array], rows: int) -> None:
    if not rows:
        return
    first = pc.index(breaches(topic, columns, rows), True).as_py()
    if first >= 0:
        event_object = {name: _plain(column[first].as_py()) for name, column in columns.items() if column[first].is_valid}
        said = problem(topic, event_object) or "it breaks the contract"
        raise BadInput(f"{topic.name} event {first + 1}: {said}")


def breaches(topic: Topic, columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """Whether each row of typed columns breaks the contract: an unknown event type, a missing field, a value out of range."""
    types = columns.get("event_type", pa.nulls(rows, pa.string()))
    wrong = pc.invert(pc.fill_null(pc.is_in(types, pa.array([e.name for e in topic.events])), False))
    for event in topic.events:
        of_type = pc.fill_null(pc.equal(types, event.name), False)
        for field in (*ENVELOPE, *event.required):
            column = columns.get(field.name)
            wrong = pc.or_(wrong, of_type if column is None else pc.and_(of_type, _missing(column)))
        for field in (*ENVELOPE, *event.required, *event.optional):
            if field.name in columns:
                outside = pc.fill_null(_out_of_range(field, columns[field.name]), False)
                wrong = pc.or_(wrong, pc.and_(of_type, outside))
    return wrong


def _missing(column: pa.Array) -> pa.Array:
    empty = pc.is_null(column)
    return pc.or_(empty, pc.fill_null(pc.equal(column, ""), False)) if pa.types.is_string(column.type) else empty


def _out_of_range(field: Field, column: pa.Array) -> pa.Array:
    wrong = pa.repeat(False, len(column))
    if field.type == "array<int>":
        whole = pc.not_equal(pc.list_value_length(column), field.length or 0) if field.length else wrong
        items = pc.list_flatten(column)
        bad_items = pc.fill_null(_outside(field, items), True)
        owners = pc.filter(pc.list_parent_indices(column), bad_items)
        return pc.or_(pc.fill_null(whole, False), pc.is_in(pa.array(range(len(column)), pa.int64()), pc.cast(owners, pa.int64())))
    if field.type in ("double", "bigint", "date"):
        wrong = _outside(field, column)
    elif field.choices:
        wrong = pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, pa.array(list(field.choices)))))
    return wrong


def _outside(field: Field, values: pa.Array) -> pa.Array:
    wrong = pa.repeat(False, len(values))
    if field.minimum is not None:
        wrong = pc.or_(wrong, pc.less(values, field.minimum))
    if field.maximum is not None:
        wrong = pc.or_(wrong, pc.greater(values, field.maximum))
    return wrong


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _json_text(field: Field, column: pa.Array) -> pa.Array:
    if field.type == "string":
        return _quoted(column)
    if field.type == "timestamp":
        whole = pc.cast(column, pa.timestamp("s"), safe=False)
        exact = pc.all(pc.equal(pc.cast(whole, pa.timestamp("us")), column)).as_py() in (True, None)
        text = pc.replace_substring(pc.cast(whole if exact else column, pa.string()), " ", "T")
        return pc.binary_join_element_wise('"', text, 'Z"', "")
    if field.type == "date":
        return pc.binary_join_element_wise('"', pc.cast(column, pa.string()), '"', "")
    if field.type == "array<int>":
        return pc.binary_join_element_wise("[", pc.binary_join(pc.cast(column, pa.list_(pa.string())), ","), "]", "")
    return pc.cast(column, pa.string())


def _quoted(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, _NEEDS_ESCAPE)).as_py():
        return pc.binary_join_element_wise('"', column, '"', "")
    return pa.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()], pa.string())
