"""Foot traffic and the baskets it led to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def visits_daily(visits: DataFrame, sales: DataFrame) -> DataFrame:
    """Visits and sales events to VISITS_DAILY: a row for every store and day with either; `visits` is null where nobody
    counted. A later count of the same day corrects the earlier one."""
    from pyspark.sql import functions as F

    people = F.expr("aggregate(visits, 0L, (total, hour) -> total + hour)")
    counted = (
        visits.withColumn("people", people)
        .groupBy("store_id", "ds")
        .agg(F.expr("max_by(people, struct(occurred_at, event_id))").alias("visits"))
    )
    sold = sales.where("event_type = 'purchase'").groupBy("store_id", "ds").agg(F.countDistinct("basket_id").alias("baskets"))
    return counted.join(sold, ["store_id", "ds"], "full").withColumn("baskets", F.coalesce("baskets", F.lit(0)))
