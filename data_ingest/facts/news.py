"""What bronze holds, and what of it is new since the facts were last brought up to date."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from data_ingest.tables import BRONZE, FACTS
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Mark:
    """How far the facts have come: the version and identity of each bronze table, and the last known day."""

    versions: dict[str, tuple[str, int]]
    last: date | None

    @staticmethod
    def load(settings: Settings) -> Mark:
        """The mark of the last finished run; an empty one when there is none, or a fact it speaks of is gone."""
        lake, path = Lake(settings.lake_url), _path(settings)
        if not path.is_file() or not all(lake.exists(table) for table in FACTS):
            return Mark({}, None)
        said = json.loads(path.read_text())
        return Mark({name: (identity, version) for name, (identity, version) in said["versions"].items()}, date.fromisoformat(said["last"]))

    def save(self, settings: Settings) -> None:
        """Write the mark whole, by a rename."""
        path = _path(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"versions": self.versions, "last": self.last.isoformat() if self.last else None}))
        partial.replace(path)


@dataclass(frozen=True)
class News:
    """Bronze as it is, by topic, and the rows that came since the mark; a topic without new rows has no entry there.
    New rows are read from the files that a table gained, so files that were only rewritten count as new: more days are
    then recomputed than need be, never fewer."""

    bronze: dict[str, DataFrame]
    added: dict[str, DataFrame]
    mark: Mark
    everything: bool

    def touched_days(self) -> set[date]:
        """The business days of the new rows."""
        parts = [frame.select("ds").distinct() for frame in self.added.values()]
        if not parts:
            return set()
        return {row.ds for row in reduce(lambda a, b: a.unionByName(b), parts).distinct().collect()}


def read_news(spark: SparkSession, settings: Settings) -> News:
    """Bronze at its newest versions against the mark; raises NotReady before the first ingest."""
    lake, since = Lake(settings.lake_url), Mark.load(settings)
    if not any(lake.exists(table) for table in BRONZE.values()):
        raise NotReady("bronze holds no events yet: run `shelfcast ingest` after `shelfcast replay`, `simulate` or `import`.")
    bronze, added, versions = {}, {}, {}
    for name, table in BRONZE.items():
        if not lake.exists(table):
            bronze[name] = spark.createDataFrame([], table.spark_schema())
            continue
        versions[name] = (lake.identity(table), lake.version(table))
        bronze[name] = lake.read(spark, table, versions[name][1])
        identity, version = since.versions.get(name, ("", 0))
        before = lake.files(table, version) if identity == versions[name][0] else set()
        new = sorted(lake.files(table, versions[name][1]) - before)
        if new and not before:
            added[name] = bronze[name]
        elif new:
            added[name] = spark.read.schema(table.spark_schema()).parquet(*new)
    return News(bronze, added, Mark(versions, since.last), everything=not since.versions)


def _path(settings: Settings) -> Path:
    return settings.checkpoints / "facts.json"
