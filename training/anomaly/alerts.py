"""The alerts in the lake, which two keep: the batch, which judges whole days from the facts, and the watch, which judges what
has just landed. Neither takes back what the other judged by more than itself has seen."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from data_ingest.facts.sales_daily import sales_daily
from data_ingest.tables import EVENTS, of_topic
from infra.lake import MONTH, Lake
from training.anomaly.examples import KEYS, day_facts
from training.tables import ALERTS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def landed_days(spark: SparkSession, lake: Lake, keys: DataFrame, days: list[date]) -> DataFrame:
    """Keys, `units, revenue, lines, baskets, returns` of the pairs' days of `keys`, all of `days`, from every event that has landed."""
    from pyspark.sql import functions as F

    sales = of_topic(lake.read(spark, EVENTS), "sales").where(F.col("ds").isin(days))
    return sales_daily(sales.join(keys.select(*KEYS), list(KEYS), "left_semi")).withColumnRenamed("returned_units", "returns")


def fair() -> Column:
    """What may be told of a day that may still be open: it may sell too much, but not yet too little."""
    from pyspark.sql import functions as F

    return F.col("alert") & (F.col("kind") != "drop")


def merge_alerts(lake: Lake, rows: DataFrame) -> None:
    """Keep the alerts among `rows` (of ALERTS) that an open day can have; a row that is there is brought up to date, but for a
    drop that the batch has found in the whole day."""
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    told = rows.withColumn("alert", fair())
    if not lake.exists(ALERTS):
        lake.overwrite(told.where("false"), ALERTS)
    source = told.withColumn(MONTH, F.date_format("ds", "yyyy-MM")).alias("new")
    same = " AND ".join(f"old.{name} = new.{name}" for name in (MONTH, *ALERTS.key))
    table = DeltaTable.forPath(rows.sparkSession, lake.path(ALERTS)).alias("old")
    merged = table.merge(source, same).whenMatchedUpdateAll(condition="new.alert OR NOT (old.alert AND old.kind = 'drop')")
    merged.whenNotMatchedInsertAll(condition="new.alert").execute()


def standing_alerts(spark: SparkSession, lake: Lake, after: date, last: date) -> DataFrame:
    """Rows of ALERTS that a batch over the days after `after` up to `last` must leave: alerts on pairs' days of which more, or
    other, has landed than the facts know. They are few, and read once."""
    from pyspark.sql import functions as F

    if not (lake.exists(ALERTS) and lake.exists(EVENTS)):
        return spark.createDataFrame([], ALERTS.spark_schema())
    alerts = lake.read(spark, ALERTS).where((F.col("ds") > F.lit(after)) & (F.col("ds") <= F.lit(last)) & fair())
    told = ("units", "lines", "returns")
    seen = day_facts(spark, lake, after).select(*KEYS, *(F.col(name).alias(f"seen_{name}") for name in told))
    same = " AND ".join(f"{name} <=> seen_{name}" for name in told)
    days = [row[0] for row in alerts.select("ds").distinct().collect()]
    more = landed_days(spark, lake, alerts, days).join(seen, list(KEYS), "left").where(f"NOT ({same})")
    return alerts.join(more.select(*KEYS), list(KEYS), "left_semi").localCheckpoint()
