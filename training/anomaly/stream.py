"""Alerts on the stream: a second query over the lake's events, which judges the days of newly landed sales by the champion, so
that a wrong price or a till fed twice is told within the minute and not the next morning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_ingest.tables import EVENTS, of_topic
from feature_repo.tables import DEMAND_FEATURES
from infra.alone import alone
from infra.errors import NothingToDo, NotReady
from infra.lake import Lake
from infra.publish import publish
from infra.registry import CHAMPION, Registry
from infra.settings import Settings
from training.anomaly.alerts import fair, landed_days, merge_alerts
from training.anomaly.card import CARD, FEATURES
from training.anomaly.examples import KEYS, with_shelf_price
from training.anomaly.family import scored
from training.anomaly.model import FRESH_DAYS
from training.portable import Portable, load_portable
from training.tables import ALERTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Watched:
    """What a watch has judged: pairs' days, and those of them that are alerts."""

    days: int = 0
    alerts: int = 0


def watch(spark: SparkSession, settings: Settings, *, available_now: bool = True, progress: Progress | None = None) -> Watched:
    """Judge the days that newly landed sales touch and keep their alerts in ALERTS. With `available_now=False`, go on until
    the query is stopped.

    A day is judged anew from all of its events whenever one more lands, so a repeated micro-batch changes nothing, and an
    alert that no longer holds is taken back. A day that has not closed can sell too much, at a wrong price, or be fed
    twice, but not yet too little: drops are left to the batch, and so are days further from the newest features than
    FRESH_DAYS. Raises NotReady without champion, sales or features, while another watch works on the same checkpoint, and where
    the lake no longer has what was not read yet."""
    with alone(settings, "watch"):
        return _watch(spark, settings, available_now, progress or (lambda done, total, label: None))


def _watch(spark: SparkSession, settings: Settings, available_now: bool, say: Progress) -> Watched:
    lake, judges = Lake(settings.lake_url), _Judges(settings, say)
    judges.follow_the_champion()
    for table in (EVENTS, DEMAND_FEATURES):
        if not lake.exists(table):
            lake.version(table)  # says which step makes it
    lines = of_topic(spark.readStream.format("delta").load(lake.path(EVENTS)), "sales")
    checkpoint = settings.checkpoints / "alerts"
    writer = lines.writeStream.foreachBatch(judges.judge).option("checkpointLocation", f"file://{checkpoint}").queryName("alerts")
    query = (writer.trigger(availableNow=True) if available_now else writer.trigger(processingTime="5 seconds")).start()
    try:
        query.awaitTermination()
    except Exception as error:
        raise (_removed_unread(error, checkpoint) or error) from error
    finally:
        query.stop()
    return judges.summary


#: what Spark and Delta say of a file, or of a part of the log, that upkeep has removed
_REMOVED = ("FILE_NOT_EXIST", "DELTA_FILE_NOT_FOUND", "DELTA_LOG_FILE_NOT_FOUND", "DELTA_MISSING_FILES", "DELTA_TRUNCATED_TRANSACTION_LOG")


def _removed_unread(error: BaseException, checkpoint: Path) -> NotReady | None:
    """One sentence for an error that files which `maintain` removed before they were read are behind; None for any other."""
    if not any(name in str(error) for name in _REMOVED):
        return None
    return NotReady(
        f"the watch was off so long that the lake's upkeep has removed files of events which it had not read: remove {checkpoint}, and "
        "the next watch judges the newest days of all events that the lake holds."
    )


@dataclass
class _Judges:
    """The champion of the moment, and what has been judged so far."""

    settings: Settings
    say: Progress
    summary: Watched = field(default_factory=Watched)
    version: str | None = None
    model: Portable | None = None

    def judge(self, batch: DataFrame, number: int) -> None:
        """Judge a micro-batch's days, in the lake and then in the warehouse."""
        version, model = self.follow_the_champion()
        with alone(self.settings, ALERTS.name, wait=True):
            found = _judge(Lake(self.settings.lake_url), batch, model, version)
            publish(self.settings, ALERTS)
        summary = self.summary = Watched(self.summary.days + found.days, self.summary.alerts + found.alerts)
        self.say(summary.days, 0, f"judged {summary.days:,} days, {summary.alerts:,} alerts")

    def follow_the_champion(self) -> tuple[str, Portable]:
        """The champion and its model, loaded again where another was promoted."""
        registry = Registry(self.settings)
        version = registry.version(CARD.name, CHAMPION)
        if version is None:
            raise NothingToDo(f"{CARD.name} has no champion: run `shelfcast train {CARD.name}` and `shelfcast promote {CARD.name}` first.")
        if self.model is None or version != self.version:
            self.version, self.model = version, load_portable(registry.folder(CARD.name, version))
        return version, self.model


def _judge(lake: Lake, batch: DataFrame, model: Portable, version: str) -> Watched:
    from pyspark.sql import functions as F

    spark = batch.sparkSession
    newest = lake.read(spark, DEMAND_FEATURES).agg(F.max("ds")).collect()[0][0]
    touched = batch.where(F.col("product_id").isNotNull() & (F.col("ds") > F.lit(newest - timedelta(days=FRESH_DAYS))))
    touched = touched.select(*KEYS).distinct().persist()
    days = sorted(row[0] for row in touched.select("ds").distinct().collect())
    if not days:
        touched.unpersist()
        return Watched()
    facts = landed_days(spark, lake, touched, days)
    before = lake.read(spark, DEMAND_FEATURES).where(F.col("ds") >= F.lit(days[0] - timedelta(days=FRESH_DAYS)))
    known = with_shelf_price(_with_features(facts, before), spark, lake, days[0])
    found = scored(known, model, version).persist()
    merge_alerts(lake, found)
    judged, alerts = found.agg(F.count("*"), F.count_if(fair())).collect()[0]
    found.unpersist()
    touched.unpersist()
    return Watched(judged, alerts)


def _with_features(facts: DataFrame, features: DataFrame) -> DataFrame:
    """Each fact with the newest features that were known before its day; facts of unknown pairs are left out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    known = features.select("store_id", "product_id", F.col("ds").alias("known_ds"), *FEATURES)
    both = facts.join(known, ["store_id", "product_id"]).where(
        (F.col("known_ds") < F.col("ds")) & (F.col("known_ds") >= F.date_sub("ds", FRESH_DAYS))
    )
    newest = Window.partitionBy(*KEYS).orderBy(F.col("known_ds").desc())
    return both.withColumn("_place", F.row_number().over(newest)).where("_place = 1").drop("_place", "known_ds")
