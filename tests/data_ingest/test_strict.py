"""The fast lane never takes a line that the rules would set aside, and reads the same values as they do."""

from __future__ import annotations

import json
import random
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from data_ingest.contracts import FIELD_TYPES, TOPICS, Event, Topic
from data_ingest.rules import World, judged
from data_ingest.strict import parse, strict
from tests.data_ingest import events

LATEST = datetime(2024, 6, 2)
_FILL = {"string": "x", "double": 1.5, "bigint": 1, "timestamp": "2024-05-01T10:00:00Z", "date": "2024-05-01", "array<int>": [1] * 24}
#: values and pieces of text that JSON readers are known to differ on
_VALUES = [None, True, 0, -1, 3, 1.0, 2.5, "", "3", "é", "a\u0000b", "2024-05-01", "2024-05-01 10:00", "2024-05-01T10:00:00.25+02:00",
           "2024-02-30T10:00:00Z", "2024-05-01T10Z", "24:00", [1, None], [1] * 24, {"a": 1}]  # fmt: skip
_PIECES = [b"NaN", b"-Infinity", b"1e999", b"01", b"1.", b"+1", b"/**/", b" ", b"\r", b"\t", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b",", b'"',
           b"\\u0000", b"\\ud800", b"9223372036854775808", b'"event_id": "again",', b"'", b"nul", b"\x00"]  # fmt: skip


def body_of(event: Event) -> dict[str, Any]:
    fields = {f.name: f.choices[0] if f.choices else _FILL[f.type] for f in (*event.required, *event.optional)}
    return {**events.event(event.name, "2024-05-01T10:00", store="s1", event_id="e1"), **fields}


def broken_lines(topic: Topic, count: int) -> list[bytes]:
    """Events with a value changed, or with a piece put in or over some bytes of their line."""
    rng, lines = random.Random(topic.name), []
    for _ in range(count):
        body = body_of(rng.choice(topic.events))
        if rng.random() < 0.5:
            lines.append(json.dumps({**body, rng.choice([*body, "unknown"]): rng.choice(_VALUES)}).encode())
            continue
        line = events.line(body)
        at = rng.choice([0, len(line), *[i + 1 for i, byte in enumerate(line) if byte in b':,"'], rng.randrange(len(line))])
        lines.append(line[:at] + rng.choice(_PIECES) + line[at + rng.choice([0, 0, 1, 3]) :])
    return [line.replace(b"\n", b" ") for line in lines]


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_a_clean_line_breaks_no_rule_and_has_the_same_values(spark, name) -> None:
    topic = TOPICS[name]
    lines = broken_lines(topic, 400)
    world = World(LATEST, {"s1": -3.5}, frozenset(["x"]))
    # as text: Python cannot hold the year 12024
    values = f"CAST(struct({', '.join(FIELD_TYPES)}) AS STRING) AS told"
    parsed = strict(events.raw(spark, name, lines), world).persist()
    fast = {row.position: row for row in parsed.selectExpr("position", "clean", values).collect()}
    every = parsed.select("topic", "value", "position", F.lit(LATEST).alias("latest"))
    slow = judged(every, world).selectExpr("position", "verdict", values).collect()
    clean = [row for row in slow if fast[row.position].clean]
    assert len(fast) == len(slow) == len(lines) and 20 < len(clean) < len(lines)
    for row in clean:
        line = lines[int(row.position.removeprefix("f@"))]
        assert row.verdict is None, (line, row.verdict)
        assert row.told == fast[row.position].told, line


def test_what_does_not_fit_the_world_is_not_clean(spark) -> None:
    bought, seen = events.purchase("2024-05-01T10:00"), events.visits("2024-05-01", [1] * 24)
    strange = [{**bought, "store_id": "s2"}, {**bought, "product_id": "p2"}]
    late = [{**bought, "occurred_at": "2024-06-02T00:00:01Z"}, {**bought, "occurred_at": "1989-12-31T23:59:59Z"},
            {**seen, "ds": "2024-06-03"}, {**seen, "ds": "1989-12-31"}]  # fmt: skip
    bodies = [bought, seen, events.event("refund", "2024-05-01T10:00", basket_id="b", amount=1), *strange, *late]
    raw = spark.createDataFrame(
        [(events.topic_of(body), bytearray(events.line(body)), f"{place}") for place, body in enumerate(bodies)],
        "topic string, value binary, position string",
    )
    for world, strangers in ((World(LATEST, {"s1": 0.0}, frozenset(["p1"])), False), (World(LATEST), True)):
        clean = {int(row.position): row.clean for row in strict(raw, world).collect()}
        assert [clean[place] for place in range(len(bodies))] == [True] * 3 + [strangers] * 2 + [False] * 4


def test_sound_lines_are_clean_whatever_stands_between_them() -> None:
    for topic in TOPICS.values():
        sound = [events.line(body_of(event)) for event in topic.events] * 3
        mixed = [line for good in sound for line in (good, b"", good[:-4], good.replace(b'"s1"', b"7"), good + good)]
        columns, clean = parse(topic, pa.array(mixed, pa.binary()))
        assert clean.to_pylist() == [True, False, False, False, False] * len(sound)
        assert columns["event_id"].to_pylist() == ["e1", None, None, None, None] * len(sound)


def test_no_lines_and_only_broken_lines_are_answered() -> None:
    topic = TOPICS["visits"]
    for lines in ([], [b"x"], [b"{}"], [b'{"a": 1}', b"{}"]):
        columns, clean = parse(topic, pa.array(lines, pa.binary()))
        assert clean.to_pylist() == [False] * len(lines)
        assert {len(column) for column in columns.values()} == {len(lines)}
