"""Alerts on the stream, for a caller of `watch` (no verb runs it): a second query over the lake's events, which judges the days of
newly landed sales by the champion."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from data_ingest.facts.sales_daily import sales_daily
from data_ingest.tables import EVENTS, of_topic
from feature_repo.tables import DEMAND_FEATURES
from infra.errors import NotReady
from infra.lake import MONTH, Lake
from infra.publish import publish
from infra.registry import CHAMPION, Registry
from infra.settings import Settings
from training.anomaly.card import CARD, FEATURES
from training.anomaly.family import scored
from training.anomaly.model import FRESH_DAYS
from training.portable import Portable, load_portable
from training.tables import ALERTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_KEY = ("store_id", "product_id", "ds")


def watch(spark: SparkSession, settings: Settings, *, available_now: bool = True) -> int:
    """Judge the days that newly landed sales touch and keep their alerts in ALERTS; the number of days judged. With
    `available_now=False`, go on until the query is stopped.

    A day is judged anew from all of its events whenever one more lands, so a repeated micro-batch changes nothing, and an
    alert that no longer holds is taken back. A day that has not closed can sell too much, at a wrong price, or be fed
    twice, but not yet too little: drops are left to the batch. Raises NotReady without champion, sales or features."""
    lake, version, model = Lake(settings.lake_url), *_champion(settings)
    for table in (EVENTS, DEMAND_FEATURES):
        if not lake.exists(table):
            lake.version(table)  # says which step makes it
    judged = 0

    def judge(batch: DataFrame, number: int) -> None:
        nonlocal judged
        judged += _judge(lake, batch, model, version)
        if lake.exists(ALERTS):
            publish(settings, ALERTS)

    lines = of_topic(spark.readStream.format("delta").load(lake.path(EVENTS)), "sales")
    checkpoint = settings.checkpoints / "alerts"
    writer = lines.writeStream.foreachBatch(judge).option("checkpointLocation", f"file://{checkpoint}").queryName("alerts")
    query = (writer.trigger(availableNow=True) if available_now else writer.trigger(processingTime="5 seconds")).start()
    try:
        query.awaitTermination()
    finally:
        query.stop()
    return judged


def _champion(settings: Settings) -> tuple[str, Portable]:
    registry = Registry(settings)
    version = registry.version(CARD.name, CHAMPION)
    if version is None:
        raise NotReady(f"{CARD.name} has no champion: run `shelfcast train {CARD.name}` and `shelfcast promote {CARD.name}` first.")
    return version, load_portable(registry.folder(CARD.name, version))


def _judge(lake: Lake, batch: DataFrame, model: Portable, version: str) -> int:
    from pyspark.sql import functions as F

    touched = batch.where("product_id IS NOT NULL").select(*_KEY).distinct().persist()
    days = sorted(row[0] for row in touched.select("ds").distinct().collect())
    if days:
        sales = of_topic(lake.read(batch.sparkSession, EVENTS), "sales").where(F.col("ds").isin(days))
        facts = sales_daily(sales.join(touched, list(_KEY), "left_semi")).withColumnRenamed("returned_units", "returns")
        before = lake.read(batch.sparkSession, DEMAND_FEATURES).where(F.col("ds") >= F.lit(days[0] - timedelta(days=FRESH_DAYS)))
        merge_alerts(lake, scored(_with_features(facts, before), model, version))
    count = touched.count()
    touched.unpersist()
    return count


def _with_features(facts: DataFrame, features: DataFrame) -> DataFrame:
    """Each fact with the newest features that were known before its day; facts of unknown pairs are left out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    known = features.select("store_id", "product_id", F.col("ds").alias("known_ds"), *FEATURES)
    both = facts.join(known, ["store_id", "product_id"]).where(
        (F.col("known_ds") < F.col("ds")) & (F.col("known_ds") >= F.date_sub("ds", FRESH_DAYS))
    )
    newest = Window.partitionBy(*_KEY).orderBy(F.col("known_ds").desc())
    return both.withColumn("_place", F.row_number().over(newest)).where("_place = 1").drop("_place", "known_ds")


def merge_alerts(lake: Lake, rows: DataFrame) -> None:
    """Keep the alerts among `rows` (of ALERTS) that an open day can have; a row that is there is brought up to date."""
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    fair = rows.withColumn("alert", F.col("alert") & (F.col("kind") != "drop"))
    if not lake.exists(ALERTS):
        lake.overwrite(fair.where("false"), ALERTS)
    source = fair.withColumn(MONTH, F.date_format("ds", "yyyy-MM")).alias("new")
    same = " AND ".join(f"old.{name} = new.{name}" for name in (MONTH, *ALERTS.key))
    table = DeltaTable.forPath(rows.sparkSession, lake.path(ALERTS)).alias("old")
    table.merge(source, same).whenMatchedUpdateAll().whenNotMatchedInsertAll(condition="new.alert").execute()
