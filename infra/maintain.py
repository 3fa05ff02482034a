"""What a lake needs from time to time: small files made large, and files of forgotten versions removed. Nothing that a
table holds changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.alone import alone
from infra.errors import BadInput
from infra.lake import Lake
from infra.mark import Mark
from infra.settings import Settings
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: who began to read a table before, or repeats a batch that was killed, may need files that are younger
SHORTEST_HOURS = 168
#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Maintained:
    """Files of a table's newest version, before and after."""

    table: str
    files_before: int
    files_after: int


def maintain(
    spark: SparkSession, settings: Settings, tables: Iterable[Table], works: Callable[[Table], Sequence[str]], *,
    keep_hours: int = SHORTEST_HOURS, progress: Progress | None = None,
) -> list[Maintained]:  # fmt: skip
    """Compact those of `tables` that are there, and remove files that no version of the last `keep_hours` needs. A step
    that had seen all of a table has seen it afterwards: files that were only rewritten are no news to it. Each table is
    written by nobody meanwhile: the locks of its `works` are waited for, one after the other, and held while it takes.
    Raises BadInput for fewer than SHORTEST_HOURS."""
    if keep_hours < SHORTEST_HOURS:
        raise BadInput(
            f"--keep-hours is {keep_hours}: expected at least {SHORTEST_HOURS}, since who reads a table may still need its files"
        )
    lake, say = Lake(settings.lake_url), progress or (lambda done, total, label: None)
    there, done = [table for table in tables if lake.exists(table)], []
    for number, table in enumerate(there):
        say(number, len(there), f"maintain: {table.name}")
        with ExitStack() as held:
            for work in works(table):
                held.enter_context(alone(settings, work, wait=True))
            before, version = len(lake.files(table)), lake.version(table)
            spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`")
            spark.sql(f"VACUUM delta.`{lake.path(table)}` RETAIN {keep_hours} HOURS")
            _carry_marks(settings, lake, table, version)
            done.append(Maintained(table.name, before, len(lake.files(table))))
    say(len(there), len(there), "maintain: done")
    return done


def _carry_marks(settings: Settings, lake: Lake, table: Table, before: int) -> None:
    """Let the steps whose mark is at version `before` of a table know its newest."""
    for path in sorted(settings.checkpoints.glob("*.json")):
        mark = Mark.load(path)
        if mark.version(lake, table) == before:
            mark.versions[table.name] = (lake.identity(table), lake.version(table))
            mark.save(path)
