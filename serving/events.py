"""The prediction log: each prediction is one JSON line below `<home>/predictions/<day>/`, which monitoring reads."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

#: answers that wait for the disk at most; beyond it they are dropped and counted, never waited for
WAITING_AT_MOST = 50_000
_BATCH_EVENTS = 2_000
_STOP = object()


def _ignore(count: int) -> None:
    """Count nothing."""


class PredictionLog:
    """Writes events from a bounded queue by a thread of its own. A batch is one file that appears by a rename, so a reader
    never sees half a line; a kill loses at most the batch that was being gathered (`flush_seconds`)."""

    def __init__(
        self, folder: Path, *, flush_seconds: float = 2.0, waiting_at_most: int = WAITING_AT_MOST, dropped: Callable[[int], None] = _ignore
    ) -> None:
        self.folder = folder
        self.flush_seconds = flush_seconds
        self._dropped = dropped
        self._queue: Queue[Any] = Queue(waiting_at_most)
        self._thread = threading.Thread(target=self._write_on, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, events: Iterable[dict[str, Any]]) -> int:
        """Hand over events without waiting; returns how many were dropped because the queue is full."""
        lost = 0
        for event in events:
            try:
                self._queue.put_nowait(event)
            except Full:
                lost += 1
        if lost:
            self._dropped(lost)
        return lost

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Write what waits, then end."""
        if self._thread.is_alive():
            self._queue.put(_STOP)
            self._thread.join(timeout_seconds)

    def _write_on(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            try:
                write_batch(self.folder, batch)
            except (OSError, TypeError, ValueError):
                # neither a full disk nor an answer that is no JSON may end the log: the loss is counted and the next batch tried
                self._dropped(len(batch))

    def _gather(self) -> tuple[list[dict[str, Any]], bool]:
        """The events of the next `flush_seconds` at most, and whether more may follow."""
        batch: list[dict[str, Any]] = []
        deadline = time.monotonic() + self.flush_seconds
        while len(batch) < _BATCH_EVENTS and (left := deadline - time.monotonic()) > 0:
            try:
                event = self._queue.get(timeout=left)
            except Empty:
                break
            if event is _STOP:
                return batch, False
            batch.append(event)
        return batch, True


def write_batch(folder: Path, events: list[dict[str, Any]]) -> list[Path]:
    """One new file a day of the events' `at` (ISO 8601, UTC); returns the files written."""
    days: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        days.setdefault(str(event["at"])[:10], []).append(event)
    written = []
    for day, rows in sorted(days.items()):
        target = folder / day / f"{uuid.uuid4().hex}.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        with partial.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n" for row in rows)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
        written.append(target)
    return written


def prediction_events(
    family: str, version: str, role: str, items: list[dict[str, Any]], answers: list[dict[str, Any]], request_id: str
) -> list[dict[str, Any]]:
    """An event for each item that got an answer; `role` is champion or challenger, `request_id` pairs the two."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [
        {"event_id": f"{request_id}-{position}-{role}", "at": at, "family": family, "model_version": version, "role": role,
         "request_id": request_id, "position": position, "item": item, "answer": {k: v for k, v in answer.items() if k != "ok"}}
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)) if answer.get("ok")
    ]  # fmt: skip
