"""What goes into the same baskets, by Spark SQL."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

#: days of baskets that count, products of a basket that count (the self-join is quadratic in it), neighbours kept
DAYS, WIDEST, KEPT = 56, 40, 15
#: baskets that a product must be in, and that two must share
FEWEST = 4


def neighbours(lines: DataFrame, origin: date) -> DataFrame:
    """`product_id, other_id, share, cosine`: the KEPT products that go most with each product (shrunk cosine of shared
    baskets), and the share of the product's baskets that hold the other."""
    held = _held(lines, origin)
    count = held.groupBy("code", "product_id").agg(F.count("*").alias("n")).where(F.col("n") >= FEWEST)
    often = held.join(F.broadcast(count.select("code")), "code").select("basket", "code")
    # numbers instead of names, and each pair once: the shuffle is what this costs
    pairs = often.join(often.withColumnRenamed("code", "other"), "basket").where("code < other")
    both = pairs.groupBy("code", "other").agg(F.count("*").alias("both")).where(F.col("both") >= FEWEST)
    mirrored = both.unionByName(both.select(F.col("other").alias("code"), F.col("code").alias("other"), "both"))
    others = count.select(F.col("code").alias("other"), F.col("product_id").alias("other_id"), F.col("n").alias("other_n"))
    named = mirrored.join(F.broadcast(count), "code").join(F.broadcast(others), "other")
    cosine = F.col("both") / (F.sqrt(F.col("n") * F.col("other_n")) + 10.0)
    scored = named.select("product_id", "other_id", (F.col("both") / F.col("n")).alias("share"), cosine.alias("cosine"))
    best = Window.partitionBy("product_id").orderBy(F.desc("cosine"), "other_id")
    return scored.withColumn("_n", F.row_number().over(best)).where(F.col("_n") <= KEPT).drop("_n")


def _held(lines: DataFrame, origin: date) -> DataFrame:
    """`basket, code, product_id`: at most WIDEST distinct products of each recent basket, names as 64-bit hashes too."""
    recent = lines.where(F.col("ds") > F.date_sub(F.lit(origin), DAYS)).where("units > 0")
    coded = recent.select(F.xxhash64("basket_id").alias("basket"), F.xxhash64("product_id").alias("code"), "product_id").distinct()
    place = Window.partitionBy("basket").orderBy("code")
    return coded.withColumn("_n", F.row_number().over(place)).where(F.col("_n") <= WIDEST).drop("_n").persist()
