"""How long each purchase order line took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_ingest.contracts import EARLIEST, LATEST

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def lead_times(supply: DataFrame) -> DataFrame:
    """Supply events to LEAD_TIMES: a row for every order line. The newest placing corrects earlier ones; an order that
    comes in parts is received with its last one."""
    from pyspark.sql import functions as F

    def of(kind: str, aggregate: str):
        return F.expr(f"{aggregate} FILTER (WHERE event_type = '{kind}')")

    newest = "struct(occurred_at, event_id)"
    # bronze of an earlier release may have days that no warehouse takes: they are no promises
    dated = f"promised_on BETWEEN DATE '{EARLIEST}' AND DATE '{LATEST}'"
    lines = supply.groupBy("order_id", "store_id", "product_id").agg(
        F.expr(f"max_by(supplier_id, {newest})").alias("supplier_id"),
        of("order_placed", "min(ds)").alias("ordered_on"),
        of("order_placed", f"max_by(IF({dated}, promised_on, NULL), {newest})").alias("promised_on"),
        of("shipment_dispatched", "max(ds)").alias("dispatched_on"),
        of("shipment_received", "max(ds)").alias("received_on"),
        of("order_placed", f"max_by(units, {newest})").alias("ordered_units"),
        of("shipment_received", "sum(units)").alias("received_units"),
        of("order_placed", f"max_by(unit_cost, {newest})").alias("unit_cost"),
    )
    return lines.withColumn("lead_time_days", F.expr("CAST(datediff(received_on, ordered_on) AS DOUBLE)"))
