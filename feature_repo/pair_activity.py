"""The features of slow movers: how long ago, how often and how much a pair sold, and how its category does."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from feature_repo.snapshots import over_time, pair_snapshots, so_far, trailing
from feature_repo.tables import PAIR_ACTIVITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def pair_activity_frame(daily: DataFrame, products: DataFrame, since: date | None = None) -> DataFrame:
    """Rows of PAIR_ACTIVITY for every pair and day of `daily` (DEMAND_DAILY) from `since` on. The windows count days of
    the dense panel; a row uses nothing after its `ds`."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    sold = (F.coalesce(F.col("units"), F.lit(0.0)) > 0).cast("double")
    known = (F.col("open") & F.col("units").isNotNull()).cast("double")
    flagged = daily.select(
        "store_id", "product_id", "ds", "units", "price", "regular_price", "promotion", sold.alias("sold"), known.alias("known"),
        F.col("open").cast("double").alias("trading"),
    )  # fmt: skip
    sale_day = F.when(F.col("sold") > 0, F.col("ds"))
    windows = {
        "age_days": (F.row_number().over(over_time()) - 1).cast("double"),
        "first_sale": F.min(sale_day).over(so_far()),
        "last_sale": F.max(sale_day).over(so_far()),
        "sales_so_far": F.sum("sold").over(so_far()),
        **{f"sale_days_{days}": F.sum("sold").over(trailing(days)) for days in (28, 91, 182)},
        **{f"units_{days}": F.coalesce(F.sum("units").over(trailing(days)), F.lit(0.0)) for days in (28, 91)},
        **{f"known_days_{days}": F.sum("known").over(trailing(days)) for days in (56, 91)},
        "open_days_56": F.sum("trading").over(trailing(56)),
        "promotion_days_28": F.sum("promotion").over(trailing(28)),
    }
    active = flagged.withColumns(windows)
    elsewhere = F.sum("sale_days_28").over(Window.partitionBy("product_id", "ds")) - F.col("sale_days_28")
    recent = active if since is None else active.where(F.col("ds") >= F.lit(since))
    gaps = F.datediff("last_sale", "first_sale") / F.when(F.col("sales_so_far") > 1, F.col("sales_so_far") - 1)
    shaped = recent.withColumns(
        {
            "days_since_sale": F.datediff("ds", "last_sale").cast("double"),
            "sale_gap_days": gaps,
            "product_others": elsewhere,
            "price_ratio": F.col("price") / F.when(F.col("regular_price") > 0, F.col("regular_price")),
        }
    )
    categories = products.select("product_id", "category")
    joined = shaped.join(categories, "product_id", "left").join(category_trend(daily, categories), ["category", "ds"], "left")
    return pair_snapshots(joined, PAIR_ACTIVITY, since)


def category_trend(daily: DataFrame, categories: DataFrame) -> DataFrame:
    """`category, ds, category_units_28, category_trend` over all stores; bounded by categories x days."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    by_day = (
        daily.join(categories, "product_id").groupBy("category", "ds").agg(F.coalesce(F.sum("units"), F.lit(0.0)).alias("category_units"))
    )
    day = F.datediff(F.col("ds"), F.lit(date(1970, 1, 1)))
    timed = Window.partitionBy("category").orderBy("day")
    now = F.coalesce(F.sum("category_units").over(timed.rangeBetween(-27, 0)), F.lit(0.0))
    before = F.sum("category_units").over(timed.rangeBetween(-111, -28)) / 3
    return by_day.withColumn("day", day).select(
        "category", "ds", now.alias("category_units_28"), (now / F.when(before > 0, before)).alias("category_trend")
    )
