"""What a day without a sale means: the store was closed, nothing sold, or its feed is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from data_ingest.facts.days import Days

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


#: what only a till that works tells; prices, orders, deliveries and counts come from other systems, which go on without it
_OPEN, _CLOSED = ("store_opened", "purchase", "return"), "store_closed"


def heard(sales: DataFrame, pos: DataFrame) -> DataFrame:
    """Sales and pos events to `store_id, ds, opened`: a row for every store and day that the store itself tells of."""
    from pyspark.sql import functions as F

    names = ("store_id", "ds", "event_type")
    own = sales.select(*names).unionByName(pos.select(*names)).where(F.col("event_type").isin(*_OPEN, _CLOSED))
    return own.groupBy("store_id", "ds").agg(F.bool_or(F.col("event_type").isin(*_OPEN)).alias("opened"))


def store_days(heard: DataFrame, first_days: Mapping[str, date], days: Days) -> DataFrame:
    """STORE_DAYS of `days`: every store from its first day on. A day is open with an opening, a sale or goods brought back,
    closed where all that the store said is that it closed, and feed_missing where it said nothing."""
    from pyspark.sql import functions as F

    spark = heard.sparkSession
    stores = spark.createDataFrame(list(first_days.items()), "store_id string, first date")
    panel = stores.crossJoin(days.frame(spark)).where("ds >= first").select("store_id", "ds")
    status = F.expr("CASE WHEN opened IS NULL THEN 'feed_missing' WHEN opened THEN 'open' ELSE 'closed' END")
    return panel.join(heard, ["store_id", "ds"], "left").select("store_id", "ds", status.alias("status"))
