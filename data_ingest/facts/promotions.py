"""Each promotion of a pair, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def promotions(pos: DataFrame) -> DataFrame:
    """Promotion events to PROMOTIONS: from the first day told to the last day told; an end without a start is left out
    until its start arrives, and one that lies before the start counts as not told."""
    from pyspark.sql import functions as F

    told = pos.where("event_type IN ('promotion_started', 'promotion_ended')")
    start, newest = "event_type = 'promotion_started'", "struct(occurred_at, event_id)"
    each = told.groupBy("store_id", "product_id", "promotion_id").agg(
        F.expr(f"max_by(promotion_kind, {newest}) FILTER (WHERE {start})").alias("promotion_kind"),
        F.expr(f"min(ds) FILTER (WHERE {start})").alias("starts_on"),
        F.expr("max(ds) FILTER (WHERE event_type = 'promotion_ended')").alias("ends_on"),
        F.expr(f"max_by(price, {newest}) FILTER (WHERE {start})").alias("price"),
    )
    return each.where("starts_on IS NOT NULL").withColumn("ends_on", F.expr("IF(ends_on >= starts_on, ends_on, NULL)"))
