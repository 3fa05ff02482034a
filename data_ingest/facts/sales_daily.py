"""What each pair sold in a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sales_daily(sales: DataFrame) -> DataFrame:
    """Sales events to SALES_DAILY: a row for every store, product and day with a sale, return or refund. Money paid back
    by a return is its units times its price; a refund that names no product belongs to no pair and stays in bronze."""
    from pyspark.sql import functions as F

    def total(kind: str, amount: str):
        return F.expr(f"round(coalesce(sum(CASE WHEN event_type = '{kind}' THEN {amount} END), 0), 6)")

    paid_back = "CASE event_type WHEN 'return' THEN units * coalesce(unit_price, 0) WHEN 'refund' THEN amount END"
    return (
        sales.where("product_id IS NOT NULL")
        .groupBy("store_id", "product_id", "ds")
        .agg(
            total("purchase", "units").alias("units"),
            total("return", "units").alias("returned_units"),
            total("purchase", "units * unit_price - coalesce(discount, 0)").alias("revenue"),
            total("purchase", "coalesce(discount, 0)").alias("discount"),
            F.expr(f"round(coalesce(sum({paid_back}), 0), 6)").alias("refunds"),
            F.expr("count_if(event_type = 'purchase')").alias("lines"),
            F.expr("count(DISTINCT CASE WHEN event_type = 'purchase' THEN basket_id END)").alias("baskets"),
        )
    )
