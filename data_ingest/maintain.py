"""What a lake needs from time to time: small files made large, files of forgotten versions removed, notes of checkpoints
that are gone removed. Nothing that a table holds changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_ingest.facts.news import Mark
from data_ingest.ingest import alone
from data_ingest.tables import BRONZE, FACTS, INGESTED, PRODUCTS, PURCHASE_HISTORY, QUARANTINE, STORES
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: a query that began before may still read files that are younger
SHORTEST_HOURS = 24
TABLES: tuple[Table, ...] = (*BRONZE.values(), QUARANTINE, INGESTED, STORES, PRODUCTS, PURCHASE_HISTORY, *FACTS)
#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Maintained:
    """Files of a table's newest version, before and after."""

    table: str
    files_before: int
    files_after: int


def maintain(spark: SparkSession, settings: Settings, *, keep_hours: int, progress: Progress | None = None) -> list[Maintained]:
    """Compact and vacuum the events and facts of the lake, and drop the notes of checkpoints that are gone. Waits for
    nobody: raises NotReady while an ingest or the facts are at work, BadInput for fewer than SHORTEST_HOURS."""
    if keep_hours < SHORTEST_HOURS:
        raise BadInput(
            f"--keep-hours is {keep_hours}: expected at least {SHORTEST_HOURS}, since who reads a table may still need its files"
        )
    lake, done = Lake(settings.lake_url), []
    there = [table for table in TABLES if lake.exists(table)]
    with alone(settings), alone(settings, "facts"):
        mark = Mark.load(settings)
        for number, table in enumerate(there):
            if progress:
                progress(number, len(there), f"maintain: {table.name}")
            before = lake.files(table)
            known = mark.versions.get(table.name) == (lake.identity(table), lake.version(table))
            spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`")
            spark.sql(f"VACUUM delta.`{lake.path(table)}` RETAIN {keep_hours} HOURS")
            if known:  # the facts knew all of it: files that were only rewritten are no news to them
                mark.versions[table.name] = (lake.identity(table), lake.version(table))
                mark.save(settings)
            done.append(Maintained(table.name, len(before), len(lake.files(table))))
        _drop_notes(settings)
    if progress:
        progress(len(there), len(there), "maintain: done")
    return done


def _drop_notes(settings: Settings) -> None:
    """Drop the bases of batches whose checkpoint is no longer there."""
    told = settings.checkpoints / "ingest" / "metadata"
    alive = json.loads(told.read_text())["id"] if told.is_file() else ""
    for note in (settings.checkpoints / "ingest-basis").glob("*.json"):
        if not alive or not note.stem.startswith(alive):
            note.unlink()
