"""The features of customers: weekly snapshots of how often, how much, how recently and how widely they buy."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from feature_repo.snapshots import known_at
from feature_repo.tables import CUSTOMER_FEATURES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def customer_features_frame(lines: DataFrame, until: date) -> DataFrame:
    """Rows of CUSTOMER_FEATURES: a row for every customer and week from the first basket on, at the end of its Sunday;
    the week of `until` ends with `until`. `lines`: `customer_id, basket_id, product_id, ds, revenue`, those after
    `until` and those of unknown customers are ignored."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    known = lines.where((F.col("ds") <= F.lit(until)) & F.col("customer_id").isNotNull()).withColumn("week", _week(F.col("ds")))
    weekly = known.groupBy("customer_id", "week").agg(
        F.countDistinct("basket_id").alias("baskets"), F.sum("revenue").alias("spend"), F.max("ds").alias("last_basket")
    )
    first_bought = known.groupBy("customer_id", "product_id").agg(F.min("week").alias("week"))
    new_products = first_bought.groupBy("customer_id", "week").agg(F.count(F.lit(1)).alias("new_products"))
    born = known.groupBy("customer_id").agg(F.min("week").alias("first_week"), F.min("ds").alias("first_basket"))
    weeks = F.explode(F.sequence(F.col("first_week"), _week(F.lit(until)))).alias("week")
    dense = born.select("customer_id", "first_basket", weeks)
    dense = dense.join(weekly, ["customer_id", "week"], "left").join(new_products, ["customer_id", "week"], "left")
    timed = Window.partitionBy("customer_id").orderBy("week")

    def last(name: str, weeks: int) -> Column:
        return F.coalesce(F.sum(name).over(timed.rowsBetween(1 - weeks, 0)), F.lit(0)).cast("double")

    ever = timed.rowsBetween(Window.unboundedPreceding, 0)
    ds = F.least(F.date_add(F.lit(_MONDAY), (F.col("week") * 7 + 6).cast("int")), F.lit(until))
    snapshots = dense.select(
        "customer_id", ds.alias("ds"), "first_basket",
        *[last(name, weeks).alias(f"{name}_{weeks}w") for name in ("baskets", "spend") for weeks in (8, 26)],
        F.max("last_basket").over(ever).alias("last_basket"), F.sum("new_products").over(ever).cast("double").alias("distinct_products"),
    )  # fmt: skip
    ages = {"recency_days": F.datediff("ds", "last_basket").cast("double"), "tenure_days": F.datediff("ds", "first_basket").cast("double")}
    return snapshots.withColumns({**ages, "known_at": known_at()}).select(*CUSTOMER_FEATURES.names)


#: weeks are counted from this Monday
_MONDAY = date(1970, 1, 5)


def _week(day: Column) -> Column:
    from pyspark.sql import functions as F

    return F.floor(F.datediff(day, F.lit(_MONDAY)) / 7).cast("int")
