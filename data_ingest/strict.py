"""The fast lane of the ingest: lines that keep their topic's contract and fit what is known of the world beyond doubt, parsed
in blocks by Arrow's JSON reader.

It may only doubt, never judge: what it is not sure of (another JSON type, a field that the contract does not know, a
fraction where an integer belongs, a second object on the line, a store that nobody declared) goes to the rules, which find
the same values or name what is wrong. So a feed that is sound costs a tenth of what the rules cost a line, and a broken
one is named as ever."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from data_ingest.contracts import EARLIEST, FIELD_TYPES, TOPICS, Field, Topic, problem
from data_ingest.encoding import breaches
from data_ingest.rules import World

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: characters of the shortest time that says hour and minute, with its zone
_SHORTEST_TIME = len("2024-05-01T10:00Z")
_ARROW = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "date": pa.date32(),
          "timestamp": pa.timestamp("us", "UTC"), "array<int>": pa.list_(pa.int32())}  # fmt: skip


def strict(raw: DataFrame, world: World) -> DataFrame:
    """Lines `topic, value, position` of any topics with the fields of FIELD_TYPES typed, the local business day `ds`, and
    `clean`: whether the line keeps its contract and fits the world beyond doubt. Where it does not, the fields mean nothing
    and `latest` says the world's: as a column, since a literal that changes from batch to batch would have the code of
    every rule generated and compiled for each."""
    fields = ", ".join(f"`{name}` {kind}" for name, kind in FIELD_TYPES.items())
    schema = f"topic string, value binary, position string, {fields}, clean boolean, latest timestamp"
    return raw.select("topic", "value", "position").mapInArrow(_sieving(world), schema)


def _sieving(world: World) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def sieving(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            topics = pc.unique(batch["topic"]).to_pylist()
            for name in topics:
                yield _sieved(TOPICS[name], batch if len(topics) == 1 else batch.filter(pc.equal(batch["topic"], name)), world)

    return sieving


def _sieved(topic: Topic, batch: pa.RecordBatch, world: World) -> pa.RecordBatch:
    columns, clean = parse(topic, batch["value"])
    if not topic.tells_day:
        columns["ds"] = _local_day(columns, world)
    clean = pc.and_(clean, pc.fill_null(_fits(topic, columns, world), False))
    fields = [columns.get(name, pa.nulls(batch.num_rows, _ARROW[kind])) for name, kind in FIELD_TYPES.items()]
    latest = pc.if_else(clean, pa.scalar(None, _ARROW["timestamp"]), pa.scalar(world.latest.replace(tzinfo=UTC), _ARROW["timestamp"]))
    return pa.record_batch([*batch.columns, *fields, clean, latest], ["topic", "value", "position", *FIELD_TYPES, "clean", "latest"])


def _local_day(columns: Mapping[str, pa.Array], world: World) -> pa.Array:
    at = columns["occurred_at"].cast(pa.timestamp("us"))
    if world.utc_offset_hours is not None:
        offsets = world.utc_offset_hours
        hours = _looked_up(columns["store_id"], lambda store: offsets.get(store, 0.0), pa.float64())
        at = pc.add(at, pc.round(pc.multiply(hours, 3_600e6)).cast(pa.int64()).cast(pa.duration("us")))
    return at.cast(pa.date32(), safe=False)


def _fits(topic: Topic, columns: Mapping[str, pa.Array], world: World) -> pa.Array:
    """Whether each event keeps the rules of the world beyond doubt; null where it has not even a time."""
    at = columns["occurred_at"].cast(pa.timestamp("us"))
    fits = pc.and_(pc.greater_equal(at, datetime.combine(EARLIEST, time())), pc.less_equal(at, world.latest))
    if topic.tells_day:
        fits = pc.and_(fits, pc.less_equal(columns["ds"], world.latest.date()))
    if world.utc_offset_hours is not None:
        stores = world.utc_offset_hours
        fits = pc.and_(fits, _looked_up(columns["store_id"], lambda store: store in stores, pa.bool_()))
    if world.products is not None and "product_id" in columns:
        products = world.products
        known = _looked_up(columns["product_id"], lambda product: product in products, pa.bool_())
        fits = pc.and_(fits, pc.fill_null(known, True))
    return fits


def _looked_up(column: pa.Array, found: Callable[[str], object], kind: pa.DataType) -> pa.Array:
    """What `found` says of each value, asked once for each that occurs: the cost is that of the block, not of the catalogue."""
    encoded = column.dictionary_encode()
    return pa.array([found(value) for value in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def parse(topic: Topic, lines: pa.Array) -> tuple[dict[str, pa.Array], pa.Array]:
    """Each of the topic's fields in its Arrow type, and whether each of `lines` (binary) is clean; rows in the lines' order,
    fields null where a line is not."""
    plain = _one_object(lines)
    table, sound = _sound(topic, lines.filter(plain))
    clean = pc.and_(plain, pc.replace_with_mask(plain, plain, sound))
    places = pc.if_else(clean, pc.cumulative_sum(pc.cast(clean, pa.int64())), pa.scalar(None, pa.int64()))
    rows = table.take(pc.subtract(places, 1)).combine_chunks()
    return {name: _whole(rows[name]) for name in rows.column_names}, clean


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks) if column.num_chunks else column.combine_chunks()


def _one_object(lines: pa.Array) -> pa.Array:
    """Whether a line has one opening brace, at its start, and a closing one at its end: no contract nests objects."""
    ends = pc.and_(pc.starts_with(lines, b"{"), pc.ends_with(lines, b"}"))
    alone = pc.and_(pc.equal(pc.count_substring(lines, b"{"), 1), pc.equal(pc.count_substring(lines, b"\n"), 0))
    return pc.fill_null(pc.and_(ends, alone), False)


def _sound(topic: Topic, lines: pa.Array) -> tuple[pa.Table, pa.Array]:
    """The rows of the lines that keep the contract, and which of the lines they are. A block that does not parse is sieved
    line by line; where the sieve finds nothing to blame, the block is halved until what is to blame stands alone."""
    try:
        table = _typed(topic, lines)
    except pa.ArrowInvalid:
        kept = pa.array([_keeps(topic, line) for line in lines.to_pylist()], pa.bool_())
        if pc.all(kept).as_py():
            return _halved(topic, lines)
        table, sound = _sound(topic, lines.filter(kept))
        return table, pc.replace_with_mask(kept, kept, sound)
    sound = pc.invert(breaches(topic, {name: _whole(table[name]) for name in table.column_names}, table.num_rows))
    for field in topic.fields:
        sound = pc.and_(sound, _certain(field, _whole(table[field.name])))
    return table.filter(sound), sound


def _halved(topic: Topic, lines: pa.Array) -> tuple[pa.Table, pa.Array]:
    if len(lines) == 1:
        return _none(topic), pa.array([False])
    parts = [_sound(topic, half) for half in (lines[: len(lines) // 2], lines[len(lines) // 2 :])]
    return pa.concat_tables([table for table, _ in parts]), pa.concat_arrays([sound for _, sound in parts])


def _keeps(topic: Topic, line: bytes) -> bool:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # a line may nest lists as deep as it is long
        return False
    return isinstance(event, dict) and event.keys() <= {field.name for field in topic.fields} and problem(topic, event) is None


def _typed(topic: Topic, lines: pa.Array) -> pa.Table:
    """The lines as a table of the contract's types; raises ArrowInvalid when any of them is not beyond doubt."""
    text = [field for field in topic.fields if field.type in ("timestamp", "date")]
    told = pa.schema([(field.name, pa.string() if field in text else _ARROW[field.type]) for field in topic.fields])
    if not len(lines):
        return _none(topic)
    lines.cast(pa.string())  # raises where the bytes are not UTF-8, which the reader takes as they are
    block = io.BytesIO(b"\n".join(lines.to_pylist()))
    options = pj.ParseOptions(explicit_schema=told, unexpected_field_behavior="error")
    table = pj.read_json(block, pj.ReadOptions(use_threads=False, block_size=max(block.getbuffer().nbytes, 1)), options)
    if table.num_rows != len(lines):
        raise pa.ArrowInvalid("lines and objects do not pair up")
    for field in text:
        place = table.column_names.index(field.name)
        table = table.set_column(place, field.name, _time(field, table[field.name]))
    return table.select([field.name for field in topic.fields])


def _time(field: Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if field.type == "timestamp" and pc.any(pc.less(pc.utf8_length(column), _SHORTEST_TIME)).as_py():
        raise pa.ArrowInvalid(f"{field.name} says no minute")
    return column.cast(_ARROW[field.type])


def _certain(field: Field, column: pa.Array) -> pa.Array:
    """What Arrow reads and JSON does not know: NaN and infinity; and lists with a hole."""
    if field.type == "double":
        return pc.fill_null(pc.is_finite(column), True)
    if field.type == "array<int>" and column.null_count < len(column):
        holes = pc.filter(pc.list_parent_indices(column), pc.is_null(pc.list_flatten(column)))
        return pc.invert(pc.is_in(pa.array(range(len(column)), holes.type), holes))
    return pa.repeat(True, len(column))


def _none(topic: Topic) -> pa.Table:
    return pa.schema([(field.name, _ARROW[field.type]) for field in topic.fields]).empty_table()
