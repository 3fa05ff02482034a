"""The dense panel: a row for every store-product pair and day from the pair's first event to the last day that is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import PRICE_DAILY, PROMOTIONS, SALES_DAILY, STOCK_DAILY, STORE_DAYS
from feature_repo.tables import DEMAND_DAILY
from infra.lake import Lake
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PAIR_DAY = ["store_id", "product_id", "ds"]
#: the promotion kinds and the panel's column of each
PROMOTION_COLUMNS = {"discount": "promotion", "display": "display", "mailer": "mailer"}


def silver(spark: SparkSession, lake: Lake) -> dict[str, DataFrame]:
    """The silver tables of the panel by name; stock, prices and promotions may be missing and are then empty."""
    needed = {table.name: lake.read(spark, table) for table in (SALES_DAILY, STORE_DAYS)}
    return needed | {table.name: read_or_empty(spark, lake, table) for table in (STOCK_DAILY, PRICE_DAILY, PROMOTIONS)}


def read_or_empty(spark: SparkSession, lake: Lake, table: Table) -> DataFrame:
    """The table, or no rows of its schema where nothing was ever written."""
    return lake.read(spark, table) if lake.exists(table) else spark.createDataFrame([], table.spark_schema())


def last_whole_day(store_days: DataFrame, stores: pd.DataFrame, now: datetime) -> date | None:
    """The last day that the stores' calendars know and that is over in every store, None when there is none: a day that still
    sells would pass for a bad one."""
    from pyspark.sql import functions as F

    first, last = store_days.agg(F.min("ds"), F.max("ds")).collect()[0]
    ended = last_day_over(stores, now)
    return min(last, ended) if last and ended >= first else None


def last_day_over(stores: pd.DataFrame, now: datetime) -> date:
    """The last day that is over in each of `stores` (utc_offset_hours, close_hour), in UTC where there are none. A day is over at
    the store's `close_hour` of local time, at midnight where none is known; `now` has a time zone."""
    offsets, closes = stores["utc_offset_hours"].fillna(0.0), stores["close_hour"].fillna(24).astype(float)
    over = now.astimezone(UTC) + pd.to_timedelta(offsets - closes, unit="h")
    return min((moment.date() for moment in over), default=now.astimezone(UTC).date() - timedelta(days=1))


def calendar(tables: Mapping[str, DataFrame], until: date, since: date | None = None) -> DataFrame:
    """`store_id, product_id, ds` of every alive pair and day up to `until`: a pair lives from its first sale, price or
    stock record on. Days before `since` are left out."""
    from pyspark.sql import functions as F

    seen = [tables[table.name].select(*PAIR_DAY) for table in (SALES_DAILY, PRICE_DAILY, STOCK_DAILY)]
    events = seen[0].unionByName(seen[1]).unionByName(seen[2])
    born = events.groupBy("store_id", "product_id").agg(F.min("ds").alias("first_day"))
    start = F.col("first_day") if since is None else F.greatest(F.col("first_day"), F.lit(since))
    alive = born.where(start <= F.lit(until))
    return alive.select("store_id", "product_id", F.explode(F.sequence(start, F.lit(until))).alias("ds"))


def promotion_days(promotions: DataFrame, until: date, since: date | None = None) -> DataFrame:
    """`store_id, product_id, ds` and a 0/1 column a promotion kind, for the days on which one runs."""
    from pyspark.sql import functions as F

    start = F.col("starts_on") if since is None else F.greatest(F.col("starts_on"), F.lit(since))
    end = F.least(F.coalesce(F.col("ends_on"), F.lit(until)), F.lit(until))
    running = promotions.where(start <= end)
    days = running.select("store_id", "product_id", "promotion_kind", F.explode(F.sequence(start, end)).alias("ds"))
    flags = [F.max((F.col("promotion_kind") == kind).cast("double")).alias(name) for kind, name in PROMOTION_COLUMNS.items()]
    return days.groupBy(*PAIR_DAY).agg(*flags)


def demand_daily_frame(tables: Mapping[str, DataFrame], until: date, since: date | None = None) -> DataFrame:
    """Rows of DEMAND_DAILY from `since` (None: all) to `until`. A day without a sale is one of three things: no sale
    (units 0), closed (units 0, `open` false), or feed missing (what was sold is null, not 0).

    `tables` are silver tables by name, as `silver` gives them."""
    from pyspark.sql import functions as F

    def later(table: Table) -> DataFrame:
        frame = tables[table.name]
        return frame if since is None else frame.where(F.col("ds") >= F.lit(since))

    sales = later(SALES_DAILY).withColumn("sold", F.lit(True))
    stock = later(STOCK_DAILY).select(*PAIR_DAY, "in_stock")
    prices = later(PRICE_DAILY).select(*PAIR_DAY, "price", "regular_price")
    promoted = promotion_days(tables[PROMOTIONS.name], until, since)
    dense = calendar(tables, until, since).join(later(STORE_DAYS), ["store_id", "ds"], "left")
    for frame in (sales, stock, prices, promoted):
        dense = dense.join(frame, PAIR_DAY, "left")
    return dense.select(*PAIR_DAY, *_panel_columns()).select(*DEMAND_DAILY.names)


def _panel_columns() -> list:
    from pyspark.sql import functions as F

    # a day that the calendar does not know is a day on which nothing was heard
    silent = F.coalesce(F.col("status") == "feed_missing", F.lit(True)) & F.col("sold").isNull()
    known = F.when(silent, None)
    counts = [known.otherwise(F.coalesce(F.col(name), F.lit(0))).alias(name) for name in ("lines", "baskets")]
    amounts = [known.otherwise(F.coalesce(F.col(name), F.lit(0.0))).alias(name) for name in ("units", "revenue", "returned_units")]
    paid = F.when(F.col("units") > 0, F.col("revenue") / F.col("units"))
    price = F.coalesce(F.col("price"), paid)
    closed = F.coalesce(F.col("status") == "closed", F.lit(False)) & F.col("sold").isNull()
    return [
        *counts,
        *amounts,
        (~closed).alias("open"),
        F.coalesce(F.col("in_stock"), F.lit(1.0)).alias("in_stock"),
        price.alias("price"),
        F.coalesce(F.col("regular_price"), price).alias("regular_price"),
        *[F.coalesce(F.col(name), F.lit(0.0)).alias(name) for name in PROMOTION_COLUMNS.values()],
    ]
