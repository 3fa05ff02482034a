"""One micro-batch of the event log, judged and landed: good events in bronze, broken ones in quarantine, both counted.

What a batch is judged against (the moment, the versions of bronze and of the dimensions) is written down before the
batch writes anything. A batch that is replayed after a kill is judged against the same, so it reaches the same verdicts
and does not meet its own events as duplicates; the lake then ignores what it already has of that batch.

All topics are landed together, since on a micro-batch a query costs more than its rows do."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from data_ingest.log_compare import DUPLICATE_TIME, RETURN_TIME, closer, compared, cut, hashed, kept, purchases, twins
from data_ingest.rules import World, judged
from data_ingest.strict import strict
from data_ingest.tables import EVENTS, INGESTED, PRODUCTS, QUARANTINE, STORES
from infra.lake import Lake, months_between, of_parts
from infra.together import together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: more files than these are read by Delta, whose log lists them; fewer by their names, which costs a look at each
FILES_BY_NAME = 300
#: an event may be later than the batch by so much: clocks differ
TOLERANCE = timedelta(days=1)


class Kind(NamedTuple):
    """What a batch's lines are counted by: `rule` is None for what is accepted, `event_type` and `ds` where they could not
    be read."""

    topic: str
    event_type: str | None
    rule: str | None
    ds: date | None


@dataclass(frozen=True)
class Basis:
    """What a batch is judged against: `now` (UTC, naive) and the Delta version of each table, None where it was not there."""

    now: datetime
    versions: dict[str, int | None]

    def bronze(self, lake: Lake) -> set[str]:
        """The files of events that the batch is to see."""
        version = self.versions[EVENTS.name]
        return set() if version is None else lake.files(EVENTS, version)

    def known(self, spark: SparkSession, lake: Lake, bronze: set[str], months: Mapping[str, Iterable[str]]) -> DataFrame | None:
        """The events of some months (YYYY-MM) by topic, of the files `bronze`; None where there are none."""
        files = set[str]().union(*(of_parts(bronze, topic=[topic], month=wanted) for topic, wanted in months.items()))
        if len(files) <= FILES_BY_NAME:
            return lake.read_files(spark, EVENTS, files) if files else None
        spans = (f"topic = '{topic}' AND ds >= '{min(each)}-01' AND ds <= last_day('{max(each)}-01')" for topic, each in months.items())
        return lake.read(spark, EVENTS, self.versions[EVENTS.name]).where(" OR ".join(f"({span})" for span in spans))

    def world(self, lake: Lake) -> World:
        """The stores and products that the batch knows."""
        stores, products = self.versions[STORES.name], self.versions[PRODUCTS.name]
        offsets = None if stores is None else lake.read_pandas(STORES, ["store_id", "utc_offset_hours"], version=stores)
        sold = None if products is None else lake.read_pandas(PRODUCTS, ["product_id"], version=products)
        return World(
            self.now + TOLERANCE,
            None if offsets is None else dict(zip(offsets["store_id"], offsets["utc_offset_hours"].fillna(0.0), strict=True)),
            None if sold is None else frozenset(sold["product_id"]),
        )


#: the work of one micro-batch: upkeep takes its turn between two of them
LANDING = "landing"


@dataclass(frozen=True)
class Landing:
    """Where the batches of one query land: `query_id` is the identity of its checkpoint, `notes` the folder of bases."""

    spark: SparkSession
    lake: Lake
    query_id: str
    notes: Path

    def land(self, batch: DataFrame, number: int, now: datetime) -> dict[str, dict[str, int]]:
        """Land a micro-batch `topic, value, position`; returns events by topic and rule ("" for accepted). The same
        `number` again changes nothing."""
        basis = self._basis(number, now)
        with ExitStack() as held:
            world = basis.world(self.lake)
            parsed = held.enter_context(kept(strict(self._in_few_parts(batch), world)))
            sound, broken, counts = _judged(parsed, world, held)
            accepted, repeated, counts = self._compared(sound, counts, basis, held)
            writes = []
            if any(kind.rule is None for kind in counts):
                writes.append(partial(self.lake.append, self._in_few_parts(accepted), EVENTS, self.query_id, number))
            if any(kind.rule is not None for kind in counts):
                aside = _quarantined([frame for frame in (broken, repeated) if frame is not None], basis)
                writes.append(partial(self.lake.append, aside.coalesce(1), QUARANTINE, self.query_id, number))
            if not counts:  # a file without a line: the lake is to know that the batch was here
                nothing = self.spark.createDataFrame([], QUARANTINE.spark_schema())
                writes.append(partial(self.lake.append, nothing, QUARANTINE, self.query_id, number))
            together(writes)
        if counts:
            rows = [(self.query_id, number, *kind, count, basis.now) for kind, count in _dated(counts, basis.now.date()).items()]
            told = pa.table(list(map(pa.array, zip(*rows, strict=True), INGESTED.arrow_schema().types)), INGESTED.names)
            self.lake.append(self.spark.createDataFrame(told).coalesce(1), INGESTED, self.query_id, number)
        return _by_rule(counts)

    def _compared(
        self, sound: DataFrame, counts: Counter[Kind], basis: Basis, held: ExitStack
    ) -> tuple[DataFrame, DataFrame | None, Counter[Kind]]:
        """The sound lines that break no rule among the others, those that do (None: there are none), and all counted anew."""
        near: dict[str, set[str]] = {}
        for kind in counts:
            if kind.rule is None and kind.ds:
                near.setdefault(kind.topic, set()).update(months_between(kind.ds - DUPLICATE_TIME, kind.ds + DUPLICATE_TIME))
        if not near:
            return sound, None, counts
        sound, bronze = hashed(sound), basis.bronze(self.lake)
        found = held.enter_context(kept(twins(sound, basis.known(self.spark, self.lake, bronze, near))))
        again = None if found.isEmpty() else found
        returned = [kind.ds for kind in counts if kind.rule is None and kind.event_type == "return" and kind.ds]
        if again is None and not returned:
            return sound, None, counts
        bought = None
        if returned:
            # a purchase may be of a later day than its return: stores have calendars of their own
            paid = months_between(min(returned) - RETURN_TIME, (basis.now + TOLERANCE).date() + timedelta(days=1))
            bought = purchases(sound, basis.known(self.spark, self.lake, bronze, {"sales": paid}))
        clear, few = closer(sound, again, bool(returned))
        looked_at = held.enter_context(cut(compared(few, again, bought)))
        after = _counted(looked_at)
        before = Counter[Kind]()
        for kind, count in after.items():
            before[kind._replace(rule=None)] += count
        accepted = clear.unionByName(looked_at.where("verdict IS NULL").select(*clear.columns))
        return accepted, looked_at.where("verdict IS NOT NULL"), counts - before + after

    def _in_few_parts(self, lines: DataFrame) -> DataFrame:
        """The lines in at most as many partitions as there are cores: Kafka makes one of each topic's partitions, and a task,
        or a file, costs more than a few lines do."""
        return lines.coalesce(self.spark.sparkContext.defaultParallelism)

    def _basis(self, number: int, now: datetime) -> Basis:
        """The batch's basis: the one that was written down before, or a new one, written down."""
        note = self.notes / f"{self.query_id}-{number}.json"
        if not note.is_file():
            tables = [EVENTS, STORES, PRODUCTS]
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


def _judged(parsed: DataFrame, world: World, held: ExitStack) -> tuple[DataFrame, DataFrame | None, Counter[Kind]]:
    """The lines that break no rule on their own, those that do (None: there are none), and both counted."""
    # days of other lines may be of years that no calendar of Python's has
    rows = parsed.selectExpr("clean", "topic", "event_type", "IF(clean, ds, NULL) AS ds").groupBy("clean", "topic", "event_type", "ds")
    tallies = rows.count().collect()
    clean = Counter({Kind(row.topic, row.event_type, None, row.ds): row["count"] for row in tallies if row.clean})
    sound = parsed.where("clean").drop("clean", "latest")
    if all(row.clean for row in tallies):
        return sound, None, clean
    doubted = held.enter_context(cut(judged(parsed.where("NOT clean"), world)))
    cleared = doubted.where("verdict IS NULL").select(*sound.columns)
    told = doubted.selectExpr("topic", "event_type", "verdict", "IF(verdict IS NULL, ds, NULL) AS ds")
    return sound.unionByName(cleared), doubted.where("verdict IS NOT NULL"), clean + _counted(told)


def _counted(judged: DataFrame) -> Counter[Kind]:
    rows = judged.groupBy("topic", "event_type", "verdict.rule", "ds").count().collect()
    return Counter({Kind(row.topic, row.event_type, row.rule, row.ds): row["count"] for row in rows})


def _quarantined(broken: Sequence[DataFrame], basis: Basis) -> DataFrame:
    from pyspark.sql import functions as F

    return reduce(lambda a, b: a.unionByName(b), [
        frame.select(
            "topic", "verdict.rule", "verdict.reason", F.col("value").alias("raw"), "position", "event_id",
            F.lit(basis.now.date()).alias("ds"), F.lit(basis.now.replace(tzinfo=UTC)).alias("quarantined_at"),
        ) for frame in broken
    ])  # fmt: skip


def _dated(counts: Counter[Kind], today: date) -> Counter[Kind]:
    """The counts by days of INGESTED: what was set aside counts for the day on which that was done."""
    told = Counter[Kind]()
    for kind, count in counts.items():
        told[kind._replace(ds=kind.ds if kind.ds and kind.rule is None else today)] += count
    return told


def _by_rule(counts: Mapping[Kind, int]) -> dict[str, dict[str, int]]:
    """Events by topic and rule, "" for those that were accepted."""
    told: dict[str, dict[str, int]] = {}
    for kind, count in counts.items():
        rules = told.setdefault(kind.topic, {})
        rules[kind.rule or ""] = rules.get(kind.rule or "", 0) + count
    return told
