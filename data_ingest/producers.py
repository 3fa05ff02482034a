"""Producers: one a topic. They fill the envelope, hold every event to the contract, and write JSON lines to the log;
tables of events take the columnar path (a million events in seconds), single events the plain one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_ingest.contracts import SCHEMA_VERSION, TOPICS, Topic, problem
from data_ingest.encoding import encode
from infra.errors import BadInput
from infra.event_log import EventLog

#: done, total, what is being done
Progress = Callable[[int, int, str], None]

#: marks events that no real system saw
SIMULATED = "simulated"


@dataclass(frozen=True)
class Producer:
    """The producer of one topic's events for one source system."""

    topic: Topic
    source: str

    def event(self, event_type: str, occurred_at: datetime, store_id: str, **fields: Any) -> dict[str, Any]:
        """One event with its envelope; `occurred_at` is aware or UTC. The id is a digest of the content unless given,
        so that the same event sent twice is one event."""
        moment = occurred_at if occurred_at.tzinfo else occurred_at.replace(tzinfo=UTC)
        body = {
            "event_type": event_type,
            "occurred_at": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "store_id": store_id,
            "source": self.source,
            "schema_version": SCHEMA_VERSION,
            **{name: value.isoformat() if isinstance(value, date) else value for name, value in fields.items() if value is not None},
        }
        digest = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=12).hexdigest()
        return {"event_id": digest, **body}

    def send(self, log: EventLog, events: Iterable[Mapping[str, Any]], name: str = "") -> int:
        """Write events given as JSON objects; nothing is written when one of them breaks the contract (BadInput)."""
        checked = list(events)
        for number, event in enumerate(checked, start=1):
            said = problem(self.topic, event)
            if said:
                raise BadInput(f"{self.topic.name} event {number}: {said}")
        lines = (json.dumps(event, separators=(",", ":")).encode() for event in checked)
        return log.write(
            self.topic.name, lines, name, ["|".join(str(event.get(part, "")) for part in self.topic.key).encode() for event in checked]
        )

    def send_table(self, log: EventLog, table: pa.Table, name: str = "") -> int:
        """Write a table of events, one a row; nothing is written when one of them breaks the contract (BadInput)."""
        return log.write(self.topic.name, encode(self.topic, table), name, record_keys(self.topic, table))


def record_keys(topic: Topic, table: pa.Table) -> list[bytes]:
    """The record key of each event of a table: what shares a key keeps its order in the log."""
    rows = table.num_rows
    parts = [pc.fill_null(table[name].cast(pa.string()), "") if name in table.column_names else pa.repeat("", rows) for name in topic.key]
    return pc.cast(pc.binary_join_element_wise(*parts, "|"), pa.binary()).to_pylist()


def producer(topic: str, source: str) -> Producer:
    """The producer of a topic by its name; raises BadInput with the known names."""
    if topic not in TOPICS:
        raise BadInput(f"there is no topic {topic!r}: expected one of {', '.join(TOPICS)}")
    return Producer(TOPICS[topic], source)


def event_table(event_type: str, source: str, **fields: Any) -> pa.Table:
    """A table of events of one type: `fields` are equally long arrays, `event_id`, `occurred_at` (datetime64, UTC) and
    `store_id` among them; NaN and None become absent fields."""
    arrays = {
        name: value if isinstance(value, (pa.Array, pa.ChunkedArray)) else pa.array(value, from_pandas=True)
        for name, value in fields.items()
    }
    rows = len(next(iter(arrays.values())))
    constants = {"event_type": event_type, "source": source, "schema_version": SCHEMA_VERSION}
    return pa.table({**arrays, **{name: pa.repeat(value, rows) for name, value in constants.items()}})


def names_of(codes: np.ndarray, names: Any) -> pa.Array:
    """Text column of the `names` that integer `codes` point to, without a Python string a row."""
    return pa.array(np.asarray(names, dtype=object), pa.string()).take(pa.array(codes))


def joined(*parts: Any) -> pa.Array:
    """Text column of the parts joined by dashes; a part is an array or one constant. For event ids."""
    texts = [
        pa.scalar(str(p)) if np.isscalar(p) else pc.cast(p if isinstance(p, (pa.Array, pa.ChunkedArray)) else pa.array(p), pa.string())
        for p in parts
    ]
    return pc.binary_join_element_wise(*texts, "-")


def content_ids(events: pa.Table, prefix: str) -> pa.Array:
    """An event id for each row, made of what it tells and, of equal rows, of their number among them: the same rows in another
    table get the same ids, whatever else stands there. Columns without a value in a row count as absent."""
    told = [name for name in sorted(events.column_names) if name != "schema_version"]
    fields = [pc.binary_join_element_wise(f"{name}=", pc.cast(events[name], pa.string()), "") for name in told]
    texts = pc.binary_join_element_wise(*fields, "\x1f", null_handling="skip").to_pylist()
    digests = pd.Series([hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in texts], dtype=object)
    return joined(prefix, digests.to_numpy(), digests.groupby(digests).cumcount().to_numpy())


@dataclass(frozen=True)
class Window:
    """Local days `first` to `last`, both included, and the file name that they are written under."""

    name: str
    first: date
    last: date


def weekly_windows(name: str, first: date, last: date) -> list[Window]:
    """Monday-to-Sunday weeks that cover `first` to `last`, cut at both ends; names carry their days, so that two
    windows of different length never share a file."""
    out = []
    day = first
    while day <= last:
        until = min(day + timedelta(days=6 - day.weekday()), last)
        out.append(Window(f"{name}-{day:%Y%m%d}-{until:%Y%m%d}", day, until))
        day = until + timedelta(days=1)
    return out


def write_windows(
    log: EventLog, feed: Mapping[str, pa.Table], windows: list[Window], utc_offset_hours: float, progress: Progress | None = None
) -> int:
    """Write each topic's events of each window as one named file, in time order; a file that is there is left alone.
    Returns the number of events written."""
    ordered = {topic: _in_time_order(table) for topic, table in feed.items()}
    written = 0
    for done, window in enumerate(windows, start=1):
        for topic, (table, moments) in ordered.items():
            low, high = np.searchsorted(moments, _bounds(window, utc_offset_hours))
            if high > low and not log.has(topic, window.name):
                written += producer(topic, SIMULATED).send_table(log, table.slice(low, high - low), window.name)
        if progress:
            progress(done, len(windows), f"events {window.first} to {window.last}")
    return written


def _in_time_order(table: pa.Table) -> tuple[pa.Table, np.ndarray]:
    moments = table["occurred_at"].to_numpy().astype("datetime64[us]")
    order = np.argsort(moments, kind="stable")
    return table.take(pa.array(order)).combine_chunks(), moments[order]


def _bounds(window: Window, utc_offset_hours: float) -> np.ndarray:
    shift = np.timedelta64(round(utc_offset_hours * 3600), "s")
    days = np.array([window.first, window.last + timedelta(days=1)], dtype="datetime64[D]")
    return days.astype("datetime64[us]") - shift
