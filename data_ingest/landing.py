"""One micro-batch of the event log, judged and landed: good events in bronze, broken ones in quarantine, both counted.

What a batch is judged against (the moment, the versions of bronze and of the dimensions) is written down before the
batch writes anything. A batch that is replayed after a kill is judged against the same, so it reaches the same verdicts
and does not meet its own events as duplicates; the lake then ignores what it already has of that batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial, reduce
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from data_ingest.contracts import TOPICS, Topic
from data_ingest.rules import judged, log_rules_of, verdict
from data_ingest.strict import strict
from data_ingest.tables import BRONZE, INGESTED, PRODUCTS, QUARANTINE, STORES
from infra.lake import Lake
from infra.tables import Table
from infra.together import together

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

#: a repeated event id is looked for among events at most so many days from those of the batch
DUPLICATE_DAYS = 62
#: a return's purchase is looked for so many days back
RETURN_DAYS = 400


@dataclass(frozen=True)
class Basis:
    """What a batch is judged against: `now` (UTC, naive) and the Delta version of each table, None where it was not there."""

    now: datetime
    versions: dict[str, int | None]

    def read(self, spark: SparkSession, lake: Lake, table: Table) -> DataFrame | None:
        """The table as the batch is to see it."""
        version = self.versions[table.name]
        return None if version is None else lake.read(spark, table, version)


@dataclass(frozen=True)
class Landing:
    """Where the batches of one query land: `query_id` is the identity of its checkpoint, `notes` the folder of bases."""

    spark: SparkSession
    lake: Lake
    query_id: str
    notes: Path
    setting_aside: Lock = field(default_factory=Lock)

    def land(self, batch: DataFrame, number: int, now: datetime) -> dict[str, dict[str, int]]:
        """Land a micro-batch `topic, value, position`; returns events by topic and rule ("" for accepted). The same
        `number` again changes nothing."""
        basis = self._basis(number, now)
        with _kept(_in_few_parts(batch.select("topic", "value", "position"), self.spark)) as lines:
            there = {row.topic for row in lines.select("topic").distinct().collect()}
            topics = [topic for name, topic in TOPICS.items() if name in there]
            counts = together([partial(self._land_topic, lines, topic, number, basis) for topic in topics])
        if counts:
            rows = [row for _, topic_rows in counts for row in topic_rows]
            self.lake.append(self.spark.createDataFrame(rows, INGESTED.spark_schema()), INGESTED, self.query_id, number)
        return {name: _by_rule(rows) for name, rows in counts}

    def _land_topic(self, lines: DataFrame, topic: Topic, number: int, basis: Basis) -> tuple[str, list[tuple]]:
        from pyspark.sql import functions as F

        mine = lines.where(F.col("topic") == topic.name)
        stores, products = (basis.read(self.spark, self.lake, table) for table in (STORES, PRODUCTS))
        with (
            _kept(strict(mine, topic)) as parsed,
            self._against_log(judged(parsed, topic, basis.now, stores, products), topic, basis) as (final, counts),
        ):
            if any(count.rule is None for count in counts):
                self.lake.append(final.where("verdict IS NULL"), BRONZE[topic.name], self.query_id, number)
            if any(count.rule is not None for count in counts):
                broken = self._quarantined(final.where("verdict IS NOT NULL"), topic, basis)
                # each topic has its own count of batches in the one quarantine, which two must not create at once
                with self.setting_aside:
                    self.lake.append(broken, QUARANTINE, f"{self.query_id}-{topic.name}", number)
        return topic.name, [self._told(count, topic, number, basis) for count in counts]

    def _told(self, count: Row, topic: Topic, number: int, basis: Basis) -> tuple:
        """A row of INGESTED."""
        day = count.ds if count.ds and count.rule is None else basis.now.date()
        return self.query_id, number, topic.name, count.event_type, count.rule, day, count["count"], basis.now

    @contextmanager
    def _against_log(self, alone: DataFrame, topic: Topic, basis: Basis) -> Iterator[tuple[DataFrame, list[Row]]]:
        """The judged lines with the verdicts of the rules that compare events with each other, and their counts by event
        type, rule and day. Only suspects are compared: ids that are there already or twice in the batch, and returns."""
        good, counts = alone.where("verdict IS NULL"), _counted(alone)
        days = [count.ds for count in counts if count.rule is None]
        if not days:
            yield alone, counts
            return
        known = basis.read(self.spark, self.lake, BRONZE[topic.name])
        returns = min((count.ds for count in counts if count.rule is None and count.event_type == "return"), default=None)
        with _kept(_suspects(good, known, min(days), max(days))) as suspects:
            if suspects.isEmpty() and returns is None:
                yield alone, counts
                return
            suspected = good.join(suspects, "event_id", "left")
            marked = _marked(suspected, _purchased(good, known, returns) if returns else None)
            final = marked.withColumn("verdict", _expr(verdict(log_rules_of(topic)))).select(*alone.columns)
            with _kept(alone.where("verdict IS NOT NULL").unionByName(final)) as compared:
                yield compared, _counted(compared)

    def _quarantined(self, broken: DataFrame, topic: Topic, basis: Basis) -> DataFrame:
        from pyspark.sql import functions as F

        return broken.select(
            F.lit(topic.name).alias("topic"), "verdict.rule", "verdict.reason", F.col("value").alias("raw"), "position", "event_id",
            F.lit(basis.now.date()).alias("ds"), F.lit(basis.now).alias("quarantined_at"),
        )  # fmt: skip

    def _basis(self, number: int, now: datetime) -> Basis:
        """The batch's basis: the one that was written down before, or a new one, written down."""
        note = self.notes / f"{self.query_id}-{number}.json"
        if not note.is_file():
            tables = [*BRONZE.values(), STORES, PRODUCTS]
            versions = {table.name: self.lake.version(table) if self.lake.exists(table) else None for table in tables}
            self.notes.mkdir(parents=True, exist_ok=True)
            partial = note.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps({"now": now.isoformat(), "versions": versions}))
            partial.replace(note)
        said = json.loads(note.read_text())
        for old in self.notes.glob("*.json"):
            query, _, count = old.stem.rpartition("-")
            if query != self.query_id or int(count) < number - 1:  # the notes of another query are of a checkpoint that is gone
                old.unlink()
        return Basis(datetime.fromisoformat(said["now"]), said["versions"])


def _in_few_parts(lines: DataFrame, spark: SparkSession) -> DataFrame:
    """The lines in at most as many partitions as there are cores. Kafka makes one of each topic's partitions, and each topic's
    queries would start a task in all of them, of which those of the other topics find nothing."""
    return lines.coalesce(spark.sparkContext.defaultParallelism)


def _counted(judged: DataFrame) -> list[Row]:
    return judged.groupBy("event_type", "verdict.rule", "ds").count().collect()


def _suspects(good: DataFrame, known: DataFrame | None, first: date, last: date) -> DataFrame:
    """Event ids that need a closer look: `event_id`, `seen` (in bronze already). Each once. The batch's ids are
    broadcast: they are bounded by what a micro-batch takes, bronze is not."""
    from pyspark.sql import functions as F

    ids = good.select("event_id")
    twice = ids.groupBy("event_id").count().where("count > 1").select("event_id", F.lit(False).alias("seen"))
    if known is None:
        return twice
    near = f"ds BETWEEN DATE '{first}' - INTERVAL {DUPLICATE_DAYS} DAYS AND DATE '{last}' + INTERVAL {DUPLICATE_DAYS} DAYS"
    there = (
        known.where(near).select("event_id").join(F.broadcast(ids), "event_id", "left_semi").select("event_id", F.lit(True).alias("seen"))
    )
    return twice.unionByName(there).groupBy("event_id").agg(F.max("seen").alias("seen"))


def _marked(suspected: DataFrame, purchased: DataFrame | None) -> DataFrame:
    """Adds `copy` (1 for the first of its id), `seen` and `purchased` to good lines joined with the suspects."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy("event_id").orderBy("position", "value")
    clear = suspected.where("seen IS NULL").withColumns({"copy": F.lit(1), "seen": F.lit(False)})
    twice = suspected.where("seen IS NOT NULL").withColumn("copy", F.row_number().over(order))
    every = clear.unionByName(twice.select(*clear.columns))
    if purchased is None:
        return every.withColumn("purchased", F.lit(True))
    found = every.where("event_type = 'return'").join(purchased, ["basket_id", "product_id"], "left")
    others = every.where("event_type != 'return'").withColumn("purchased", F.lit(True))
    return others.unionByName(found.withColumn("purchased", F.coalesce("purchased", F.lit(False))).select(*others.columns))


def _purchased(good: DataFrame, known: DataFrame | None, since: date) -> DataFrame:
    """The (basket_id, product_id) of the batch's returns, the first of them on `since`, that were purchased, in the batch or
    before; each once."""
    from pyspark.sql import functions as F

    pair = ["basket_id", "product_id"]
    sources = [good] if known is None else [good, known.where(f"ds >= DATE '{since}' - INTERVAL {RETURN_DAYS} DAYS")]
    bought = [frame.where("event_type = 'purchase'").select(*pair) for frame in sources]
    wanted = F.broadcast(good.where("event_type = 'return'").select(*pair))
    found = reduce(lambda a, b: a.unionByName(b), bought).join(wanted, pair, "left_semi")
    return found.distinct().withColumn("purchased", F.lit(True))


def _by_rule(rows: list[tuple]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[4] or ""] = counts.get(row[4] or "", 0) + row[6]
    return counts


def _expr(sql: str) -> Column:
    from pyspark.sql import functions as F

    return F.expr(sql)


@contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once and kept while it is used."""
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()
