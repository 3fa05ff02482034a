"""What goes into the same baskets, by Spark SQL."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

#: days of baskets that count, products of a basket that count (the self-join is quadratic in it), neighbours kept
DAYS, WIDEST, KEPT = 84, 60, 20
#: baskets that two products must share
FEWEST = 4


def neighbours(lines: DataFrame, origin: date) -> DataFrame:
    """`product_id, other_id, share, cosine`: the KEPT products that share most baskets with each product (shrunk
    cosine), and the share of the product's baskets that hold the other."""
    recent = lines.where(F.col("ds") > F.date_sub(F.lit(origin), DAYS)).where("units > 0").select("basket_id", "product_id").distinct()
    place = Window.partitionBy("basket_id").orderBy(F.xxhash64("product_id"))
    held = recent.withColumn("_n", F.row_number().over(place)).where(F.col("_n") <= WIDEST).drop("_n")
    count = held.groupBy("product_id").agg(F.count("*").alias("n")).where(F.col("n") >= FEWEST)
    left = held.join(count, "product_id").persist()
    right = left.select("basket_id", F.col("product_id").alias("other_id"), F.col("n").alias("other_n"))
    pairs = left.join(right, "basket_id").where("product_id <> other_id")
    both = pairs.groupBy("product_id", "other_id").agg(
        F.count("*").alias("both"), F.first("n").alias("n"), F.first("other_n").alias("other_n")
    )
    cosine = F.col("both") / (F.sqrt(F.col("n") * F.col("other_n")) + 10.0)
    scored = both.where(F.col("both") >= FEWEST).select(
        "product_id", "other_id", (F.col("both") / F.col("n")).alias("share"), cosine.alias("cosine")
    )
    best = Window.partitionBy("product_id").orderBy(F.desc("cosine"), "other_id")
    return scored.withColumn("_n", F.row_number().over(best)).where(F.col("_n") <= KEPT).drop("_n")
