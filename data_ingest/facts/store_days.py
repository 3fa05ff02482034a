"""What a day without a sale means: the store was closed, nothing sold, or its feed is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING

from data_ingest.facts.days import Days

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def heard(topics: Mapping[str, DataFrame]) -> DataFrame:
    """Events of all topics to `store_id, ds, opened`: a row for every store and day with any event."""
    from pyspark.sql import functions as F

    parts = [frame.select("store_id", "ds", "event_type") for frame in topics.values()]
    every = reduce(lambda a, b: a.unionByName(b), parts)
    return every.groupBy("store_id", "ds").agg(F.expr("bool_or(event_type IN ('store_opened', 'purchase'))").alias("opened"))


def store_days(heard: DataFrame, first_days: Mapping[str, date], days: Days) -> DataFrame:
    """STORE_DAYS of `days`: every store from its first day on. A day is open with an opening or a sale, closed with other
    events only, and feed_missing without any."""
    from pyspark.sql import functions as F

    spark = heard.sparkSession
    stores = spark.createDataFrame(list(first_days.items()), "store_id string, first date")
    panel = stores.crossJoin(days.frame(spark)).where("ds >= first").select("store_id", "ds")
    status = F.expr("CASE WHEN opened IS NULL THEN 'feed_missing' WHEN opened THEN 'open' ELSE 'closed' END")
    return panel.join(heard, ["store_id", "ds"], "left").select("store_id", "ds", status.alias("status"))
