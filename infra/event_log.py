"""The event log: topics of JSON lines, in a landing folder (`file://`) or in Kafka (`kafka://`)."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import psutil

from infra.errors import BadInput, without_credentials
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


#: a half-written file this old has no one who writes it any more
LEFT_SECONDS = 24 * 3600


class EventLog(Protocol):
    """Where producers write and the ingest reads."""

    def write(self, topic: str, lines: Iterable[bytes], name: str = "", keys: Iterable[bytes] | None = None) -> int:
        """Append one record a line and return how many. `keys` (one a line) say which records keep their order. A
        non-empty `name` stands for one content: writing it again leaves the log with that content once."""
        ...

    def has(self, topic: str, name: str) -> bool:
        """Whether the write of that name is complete."""
        ...

    def stream(self, spark: SparkSession, topics: Iterable[str]) -> DataFrame:
        """A streaming frame of `topic` (string), `value` (binary: the raw bytes) and `position` (string: where it lay)."""
        ...


@dataclass(frozen=True)
class LandingFolder:
    """Topics as folders of JSON-lines files; a file appears whole, by a rename, and never changes afterwards."""

    root: Path
    #: bytes of files a micro-batch takes, at least one file; bounds memory and makes progress visible
    bytes_per_batch: int = 128 * 2**20
    _swept: set[str] = field(default_factory=set, repr=False, compare=False)

    def write(self, topic: str, lines: Iterable[bytes], name: str = "", keys: Iterable[bytes] | None = None) -> int:
        """One new file of the topic, its lines in their order whatever the keys; the same `name` again replaces it. Raises
        BadInput for a name that would lie elsewhere, or that Spark would not read."""
        folder = self.root / topic
        target = folder / f"{name or uuid.uuid4().hex}.jsonl"
        if {"/", "\\"} & set(topic + name) or target.name.startswith((".", "_")):
            raise BadInput(f"{topic}: no file of the event log can be named {name!r}: expected no / or \\, and no . or _ to begin with")
        folder.mkdir(parents=True, exist_ok=True)
        if topic not in self._swept:  # to look at every file of a topic at each write would grow with what was ever written
            _sweep(folder)
            self._swept.add(topic)
        partial = folder / f".{target.name}.{os.getpid()}.partial"
        try:
            count = _write_lines(partial, lines)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return count

    def has(self, topic: str, name: str) -> bool:
        """Whether the file is there: it appears whole."""
        return (self.root / topic / f"{name}.jsonl").is_file()

    def stream(self, spark: SparkSession, topics: Iterable[str]) -> DataFrame:
        """Raw lines of all `topics`: Spark's text source keeps the bytes as they are, valid UTF-8 or not. A carriage
        return is part of a line, and a file with an old modification time is read too (by default Spark passes over those
        more than a week older than the newest)."""
        from pyspark.sql import functions as F

        wanted = list(topics)
        for topic in wanted:
            (self.root / topic).mkdir(parents=True, exist_ok=True)
        reader = spark.readStream.format("text").option("maxBytesPerTrigger", str(self.bytes_per_batch))
        reader = reader.option("lineSep", "\n").option("maxFileAge", "36500d")
        raw = reader.load(f"{self.root}/{{{','.join(wanted)}}}/*.jsonl")
        path = F.col("_metadata.file_path")
        return raw.select(
            F.element_at(F.split(path, "/"), -2).alias("topic"),
            F.col("value").cast("binary").alias("value"),
            F.concat_ws("@", path, F.col("_metadata.file_block_start").cast("string")).alias("position"),
        )


def _write_lines(file: Path, lines: Iterable[bytes]) -> int:
    count = 0
    with file.open("wb") as out:
        for line in lines:
            out.write(line.rstrip(b"\n") + b"\n")
            count += 1
        out.flush()
        os.fsync(out.fileno())
    return count


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed have left. A writer on another machine is known by nothing but its file's age."""
    for partial in folder.glob(".*.partial"):
        writer = partial.name.split(".")[-2]
        with suppress(FileNotFoundError):  # another swept it meanwhile, or its writer came to its end
            old = partial.stat().st_mtime + LEFT_SECONDS <= time.time()
            if old and not (writer.isdigit() and psutil.pid_exists(int(writer))):
                partial.unlink()


def _landing(settings: Settings) -> EventLog:
    return LandingFolder(Path(urlsplit(settings.events_url).path))


def _kafka(settings: Settings) -> EventLog:
    from infra.kafka_log import kafka_log

    return kafka_log(settings.events_url, LandingFolder(settings.home / "dead-letters"))


#: the log of each scheme
_LOGS: dict[str, Callable[[Settings], EventLog]] = {"file": _landing, "kafka": _kafka}


def event_log(settings: Settings) -> EventLog:
    """The event log at `settings.events_url`; raises BadInput where the URL cannot be one."""
    scheme = urlsplit(settings.events_url).scheme
    if scheme not in _LOGS:
        raise BadInput(f"SHELFCAST_EVENTS_URL is {without_credentials(settings.events_url)!r}: no event log speaks {scheme}://")
    return _LOGS[scheme](settings)
