"""The prediction log: each prediction is one JSON line below `<home>/predictions/<day>/`, which monitoring reads."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

#: bytes of lines that wait for the disk at most; what comes on top is dropped and counted, never waited for
WAITING_BYTES = 64 * 2**20
#: bytes of files that are kept at most unless the settings say otherwise; the oldest go first
DISK_BYTES = 2 * 2**30
#: a file is closed when it is so long
_FILE_BYTES = 8 * 2**20
#: the share of the disk's limit that is written between two looks at what lies there, which takes a look at each file
_BETWEEN_LOOKS = 0.05

log = logging.getLogger("shelfcast.serving")


class Line(NamedTuple):
    """An event as it is written: its day (UTC, ISO 8601) and its JSON with the line's end."""

    day: str
    text: bytes


def _ignore(count: int) -> None:
    """Count nothing."""


class PredictionLog:
    """Writes events by a thread of its own. A batch is one file that appears by a rename, so a reader never sees half a line; a
    kill loses at most the batch that was being gathered (`flush_seconds`). Neither memory nor disk grows without end: beyond
    `waiting_bytes` new events are `dropped`, beyond `disk_bytes` the oldest files are `deleted` (which is told the bytes); either
    is said once."""

    def __init__(
        self,
        folder: Path,
        *,
        flush_seconds: float = 2.0,
        waiting_bytes: int = WAITING_BYTES,
        disk_bytes: int = DISK_BYTES,
        dropped: Callable[[int], None] = _ignore,
        deleted: Callable[[int], None] = _ignore,
    ) -> None:
        self.folder = folder
        self.flush_seconds = flush_seconds
        self.waiting_bytes = waiting_bytes
        self.disk_bytes = disk_bytes
        self._dropped = dropped
        self._deleted = deleted
        self._queue: SimpleQueue[Line | None] = SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._write_on, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, events: Iterable[dict[str, Any]]) -> int:
        """Hand over events without waiting; returns how many were dropped, since too much waits or they are no JSON."""
        lost = sum(not self._take(event) for event in events)
        if lost:
            self._drop(lost, "too much waits for the disk, or an answer is no JSON")
        return lost

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Write what waits, then end; a disk that hangs is not waited for any longer than `timeout_seconds`."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout_seconds)

    def _take(self, event: dict[str, Any]) -> bool:
        if self._waiting >= self.waiting_bytes:  # not even made into a line
            return False
        try:
            line = line_of(event)
        except (TypeError, ValueError):
            return False
        with self._counting:
            fits = self._waiting + len(line.text) <= self.waiting_bytes
            self._waiting += len(line.text) if fits else 0
        if fits:
            self._queue.put(line)
        return fits

    def _write_on(self) -> None:
        going, unseen = True, self.disk_bytes
        while going:
            batch, going = self._gather()
            size = sum(len(line.text) for line in batch)
            try:
                write_batch(self.folder, batch)
            except OSError as error:  # a full disk must not end the log: the loss is counted and the next batch tried
                self._drop(len(batch), _told(error))
            with self._counting:
                self._waiting -= size
            unseen += size
            if batch and unseen > self.disk_bytes * _BETWEEN_LOOKS:
                self._make_room()
                unseen = 0

    def _make_room(self) -> None:
        """Leave room for what is written until the next look."""
        try:
            deleted = delete_oldest(self.folder, int(self.disk_bytes * (1 - _BETWEEN_LOOKS)))
        except OSError as error:
            self._say(f"the oldest predictions in {self.folder} cannot be deleted ({_told(error)}).")
            return
        if deleted:
            self._deleted(deleted)
            self._say(f"{self.folder} has reached its {self.disk_bytes:,} bytes: from now on the oldest predictions are deleted.")

    def _drop(self, count: int, why: str) -> None:
        self._dropped(count)
        self._say(f"predictions are not written down ({why}): shelfcast_events_dropped_total counts them.")

    def _say(self, sentence: str) -> None:
        """Warn, of each thing once: what it happens to happens with every request."""
        if sentence not in self._said:
            self._said.add(sentence)
            log.warning(sentence)

    def _gather(self) -> tuple[list[Line], bool]:
        """The lines of the next `flush_seconds` at most, and whether more may follow."""
        batch: list[Line] = []
        size, deadline = 0, time.monotonic() + self.flush_seconds
        while size < _FILE_BYTES and (left := deadline - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left)
            except Empty:
                break
            if line is None:
                return batch, False
            batch.append(line)
            size += len(line.text)
        return batch, True


def _told(error: OSError) -> str:
    # without the file's name, which is another each time
    return f"{type(error).__name__}: {error.strerror}"


def line_of(event: dict[str, Any]) -> Line:
    """An event as a line, in the day of its `at` (ISO 8601, UTC); raises TypeError or ValueError where it is no JSON."""
    return Line(str(event["at"])[:10], json.dumps(event, allow_nan=False, separators=(",", ":")).encode() + b"\n")


def write_batch(folder: Path, lines: Iterable[Line]) -> list[Path]:
    """One new file a day of the lines; returns the files written."""
    days: dict[str, list[bytes]] = {}
    for line in lines:
        days.setdefault(line.day, []).append(line.text)
    return [_write(folder / day / f"{uuid.uuid4().hex}.jsonl", texts) for day, texts in sorted(days.items())]


def _write(target: Path, texts: list[bytes]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as out:
            out.writelines(texts)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return target


def delete_oldest(folder: Path, bytes_at_most: int) -> int:
    """Delete the oldest files of the days below `folder`, whole ones, until the others take `bytes_at_most`; returns the bytes
    deleted. What a kill left half-written is among them. Several services may write and delete in one folder."""
    files = sorted(_files(folder))
    left, deleted = sum(size for _, _, size in files), 0
    for _, path, size in files:
        if left - deleted <= bytes_at_most:
            break
        Path(path).unlink(missing_ok=True)
        deleted += size
    return deleted


def _files(folder: Path) -> Iterator[tuple[tuple[str, int], str, int]]:
    """Age, path and bytes on the disk of each file; age: its day, then when it was written."""
    for day in folder.iterdir():
        if not day.is_dir():
            continue
        with os.scandir(day) as entries:
            for entry in entries:
                try:
                    told = entry.stat()
                except FileNotFoundError:  # renamed or deleted since by another service
                    continue
                yield (day.name, told.st_mtime_ns), entry.path, max(told.st_size, told.st_blocks * 512)


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
