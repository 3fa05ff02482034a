"""What was bought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def baskets(sales: DataFrame) -> DataFrame:
    """Sales events to BASKETS: a row for every basket, product and day, before returns; the customer where a line names one."""
    from pyspark.sql import functions as F

    bought = sales.where("event_type = 'purchase'").groupBy("basket_id", "store_id", "product_id", "ds")
    return bought.agg(
        F.max("customer_id").alias("customer_id"),
        F.round(F.sum("units"), 6).alias("units"),
        F.expr("round(sum(units * unit_price - coalesce(discount, 0)), 6)").alias("revenue"),
    )
