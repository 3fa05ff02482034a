"""What bronze holds, and what of it is new since the facts were last brought up to date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from data_ingest.contracts import TOPICS
from data_ingest.landing import FILES_BY_NAME
from data_ingest.tables import EVENTS, FACTS, of_topic
from infra.errors import NotReady
from infra.lake import Lake, months_of, of_parts
from infra.mark import Mark
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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
    """Bronze at its newest version against the mark; raises NotReady before the first ingest."""
    lake = Lake(settings.lake_url)
    # a fact that is gone is made again, and the others with it
    since = Mark.load(mark_path(settings)) if all(lake.exists(table) for table in FACTS) else Mark({})
    if not lake.exists(EVENTS):
        raise NotReady("bronze holds no events yet: run `shelfcast ingest` after `shelfcast replay`, `simulate` or `import`.")
    now = Mark.of(lake, [EVENTS], since.last)
    version, seen = now.versions[EVENTS.name][1], since.version(lake, EVENTS)
    events = lake.read(spark, EVENTS, version)
    before = set() if seen is None else lake.files_seen(EVENTS, seen)
    bronze = {topic: of_topic(events, topic) for topic in TOPICS}
    gained = lake.files(EVENTS, version) - before
    new = {topic: of_parts(gained, topic=[topic]) for topic in TOPICS}
    added = {
        topic: of_topic(_rows_of(spark, lake, version, files), topic) if before else bronze[topic] for topic, files in new.items() if files
    }
    return News(bronze, added, now, everything=not since.versions)


def _rows_of(spark: SparkSession, lake: Lake, version: int, files: set[str]) -> DataFrame:
    """The events of some of the files of a version. A few are read by their names; of many, as a day of small batches leaves
    them, Delta lists the version once, and each row says of which file it is."""
    from pyspark.sql import functions as F

    if len(files) <= FILES_BY_NAME:
        return lake.read_files(spark, EVENTS, files)
    names = spark.createDataFrame([(PurePosixPath(file).name,) for file in sorted(files)], "file string")
    whole = spark.read.format("delta").option("versionAsOf", version).load(lake.path(EVENTS))
    rows = whole.where(F.col("ds") >= f"{min(months_of(files))}-01").select(*EVENTS.names, F.col("_metadata.file_name").alias("file"))
    return rows.join(F.broadcast(names), "file", "left_semi").drop("file")


def mark_path(settings: Settings) -> Path:
    """Where the facts write down how far they have come."""
    return settings.checkpoints / "facts.json"
