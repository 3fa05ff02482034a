"""A steady pace: events leave at a given rate, as tills would send them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.event_log import EventLog

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: seconds between two looks at the clock
_BEAT_SECONDS = 0.05


@dataclass
class Pace:
    """`rate` events a second over everything that is passed through; what was late is caught up."""

    rate: float
    _started: float = field(default_factory=time.monotonic)
    _passed: int = 0

    def of(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines, each when its time has come."""
        beat = max(1, int(self.rate * _BEAT_SECONDS))
        for line in lines:
            if self._passed % beat == 0:
                time.sleep(max(0.0, self._started + self._passed / self.rate - time.monotonic()))
            self._passed += 1
            yield line


@dataclass(frozen=True)
class PacedLog:
    """An event log that is written at a steady pace."""

    log: EventLog
    pace: Pace

    def write(self, topic: str, lines: Iterable[bytes], name: str = "", keys: Iterable[bytes] | None = None) -> int:
        """As the log does, each line when its time has come."""
        return self.log.write(topic, self.pace.of(lines), name, keys)

    def has(self, topic: str, name: str) -> bool:
        """As the log does."""
        return self.log.has(topic, name)

    def stream(self, spark: SparkSession, topics: Iterable[str]) -> DataFrame:
        """As the log does."""
        return self.log.stream(spark, topics)


def paced(log: EventLog, rate: float | None) -> EventLog:
    """The log, written at `rate` events a second when that is given."""
    return log if rate is None else PacedLog(log, Pace(rate))
