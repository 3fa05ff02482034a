"""What came of each purchase order line, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def deliveries(supply: DataFrame) -> DataFrame:
    """Supply events to DELIVERIES: a row for every order line and day on which some of it was received."""
    from pyspark.sql import functions as F

    received = supply.where("event_type = 'shipment_received'").groupBy("order_id", "store_id", "product_id", "ds")
    return received.agg(F.round(F.sum("units"), 6).alias("units"))
