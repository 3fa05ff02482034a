"""The streaming ingest: one query over all topics of the event log, through the quality rules, into lake and warehouse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_ingest.contracts import TOPICS
from data_ingest.landing import LANDING, Landing
from data_ingest.tables import EVENTS, INGESTED, QUARANTINE
from infra.alone import alone
from infra.errors import BadInput, NotReady
from infra.event_log import event_log
from infra.lake import Lake
from infra.patience import Tell, persevere
from infra.publish import publish
from infra.settings import Settings
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass
class IngestSummary:
    """What one run of the ingest took in: `accepted` by topic, `quarantined` by rule."""

    batches: int = 0
    events: int = 0
    #: the number of the batch that was counted last: one that is repeated is not counted again
    last: int = field(default=-1, repr=False)
    accepted: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, counts: dict[str, dict[str, int]]) -> None:
        """Count a micro-batch in; `counts` are events by topic and rule, "" for accepted ones."""
        if number <= self.last:
            return
        self.last, self.batches = number, self.batches + 1
        for topic, rules in counts.items():
            for rule, events in rules.items():
                where, name = (self.quarantined, rule) if rule else (self.accepted, topic)
                where[name] = where.get(name, 0) + events
                self.events += events


def ingest(
    spark: SparkSession, settings: Settings, *, now: datetime | None = None, available_now: bool = True, progress: Progress | None = None,
    tell: Tell | None = None, copied: Sequence[Table] = (QUARANTINE, INGESTED),
) -> IngestSummary:  # fmt: skip
    """Land what the event log holds beyond the checkpoint, then stop; with `available_now=False`, go on until the query
    is stopped. Events later than `now` (UTC; the present unless given) and a day are quarantined.

    A micro-batch is written to the lake under the checkpoint's identity and its own number, then the tables `copied` (none
    of them: the lake alone) to the warehouse by the lake's version, and it is committed to the checkpoint last: wherever a
    run is killed, the next one repeats that batch and changes nothing that was there. While a service is away it waits,
    told to `tell`, and goes on from the checkpoint. Raises NotReady while another ingest works on the same checkpoint,
    where the lake lacks what the checkpoint has landed, and where Kafka has dropped what was not read yet."""
    run = _Run(settings, now, progress, settings.checkpoints / "ingest", copied)
    with alone(settings, "ingest"):
        persevere(settings, lambda: run.follow(spark, available_now), tell or (lambda said: None))
    if progress:
        progress(run.summary.events, run.summary.events, f"ingested {run.summary.events:,} events")
    return run.summary


@dataclass
class _Run:
    """One run of the query, and what it has taken in so far."""

    settings: Settings
    now: datetime | None
    progress: Progress | None
    checkpoint: Path
    copied: Sequence[Table]
    summary: IngestSummary = field(default_factory=IngestSummary)
    stopped: BadInput | NotReady | None = None

    def start(self, spark: SparkSession, available_now: bool) -> StreamingQuery:
        """Start the query over all topics."""
        lines = event_log(self.settings).stream(spark, TOPICS)
        writer = lines.writeStream.foreachBatch(self.land).option("checkpointLocation", f"file://{self.checkpoint}").queryName("ingest")
        return (writer.trigger(availableNow=True) if available_now else writer.trigger(processingTime="5 seconds")).start()

    def follow(self, spark: SparkSession, available_now: bool) -> None:
        """Run the query to its end."""
        self.stopped = None
        self._require_what_was_landed()
        query, lost = self.start(spark, available_now), None
        try:
            query.awaitTermination()
        except Exception as error:
            lost = dropped_unread(error, self.checkpoint)
            if lost is None:
                # Spark tells as text what a batch raised; what was raised on purpose is handed on as it was
                raise (self.stopped or error) from error
        finally:
            query.stop()
        if lost is not None:  # raised alone: what it came from reads as if a server had been away, and would be tried again
            raise lost

    def _require_what_was_landed(self) -> None:
        """Raise NotReady where the checkpoint has gone further than the lake: what lies between would never come into it."""
        committed = [int(file.name) for file in (self.checkpoint / "commits").glob("[0-9]*")]
        if not committed:
            return
        lake, query = Lake(self.settings.lake_url), _query_id(self.checkpoint)
        there = max(-1 if (batch := lake.batch(table, query)) is None else batch for table in (EVENTS, QUARANTINE))
        if there < max(committed):
            said = "has none of it" if there < 0 else f"ends at batch {there}"
            raise NotReady(
                f"the checkpoint {self.checkpoint} has landed batch {max(committed)}, and the lake at {self.settings.lake_url} {said}: "
                "give the lake that it landed in, or remove this one's folder bronze and the checkpoints to land again what the "
                "log still holds."
            )

    def land(self, batch: DataFrame, number: int) -> None:
        """Land a micro-batch in the lake, then in the warehouse. Between two of them the lake's upkeep has its turn."""
        try:
            with alone(self.settings, LANDING, wait=True):
                self._land(batch, number)
        except (BadInput, NotReady) as error:
            self.stopped = error
            raise

    def _land(self, batch: DataFrame, number: int) -> None:
        landing = Landing(
            batch.sparkSession, Lake(self.settings.lake_url), _query_id(self.checkpoint), self.settings.checkpoints / "ingest-basis"
        )
        self.summary.add(number, landing.land(batch, number, _naive_utc(self.now or datetime.now(UTC))))
        publish(self.settings, *self.copied)
        if self.progress:
            aside = sum(self.summary.quarantined.values())
            self.progress(self.summary.events, 0, f"ingested {self.summary.events:,} events, {aside:,} to quarantine")


#: what Spark's reader says of records that Kafka has dropped, and then of which
_DROPPED = re.compile(r"not available in Kafka any more;.*?Reason:\s*(?P<which>[^\n]+)", re.DOTALL)


def dropped_unread(error: BaseException, checkpoint: Path) -> NotReady | None:
    """One sentence for an error that records which Kafka dropped before they were read are behind; None for any other."""
    found = _DROPPED.search(str(error))
    if found is None:
        return None
    return NotReady(
        f"Kafka has dropped records that the ingest had not read ({found['which'].strip().rstrip('.')}): unless their source writes them "
        f"again, they are lost. Move the folder {checkpoint} away, and the next ingest lands what the log still holds; what was landed "
        "before is not doubled, since its ids are known."
    )


def _query_id(checkpoint: Path) -> str:
    """The identity that Spark gave the checkpoint; a checkpoint made anew has another."""
    return json.loads((checkpoint / "metadata").read_text())["id"]


def _naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
