"""Each promotion of a pair, once for each time that it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PROMOTION = ["store_id", "product_id", "promotion_id"]
_START, _END = "event_type = 'promotion_started'", "event_type = 'promotion_ended'"


def promotions(pos: DataFrame) -> DataFrame:
    """Promotion events to PROMOTIONS: from the day on which a promotion starts to the first end after it. A start on a later day
    than an end is of another run of the same promotion; one before the end is the run told again, with the kind and price that
    were told last. An end without a start is left out until its start arrives, and one that lies before the start counts as not
    told."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    # at one moment the start is first: a promotion of a day may have both at midnight
    order = Window.partitionBy(*_PROMOTION).orderBy("occurred_at", F.expr(f"IF({_START}, 0, 1)"), "event_id")
    ended_on = F.lag(F.expr(f"IF({_END}, ds, NULL)")).over(order)
    told = pos.where(f"{_START} OR {_END}").withColumn("ended_on", ended_on)
    runs = told.withColumn("run", F.sum(F.expr(f"IF({_START} AND ended_on < ds, 1, 0)")).over(order))
    last_start = F.max(F.expr(f"IF({_START}, struct(occurred_at, ds), NULL)")).over(Window.partitionBy(*_PROMOTION, "run"))
    newest = "struct(occurred_at, event_id)"
    each = runs.withColumn("restart", last_start).groupBy(*_PROMOTION, "run").agg(
        F.expr(f"max_by(promotion_kind, {newest}) FILTER (WHERE {_START})").alias("promotion_kind"),
        F.expr(f"min(ds) FILTER (WHERE {_START})").alias("starts_on"),
        F.expr(f"min(ds) FILTER (WHERE {_END} AND occurred_at >= restart.occurred_at)").alias("ends_on"),
        # a system that knows days alone may tell the end of a day's promotion by its midnight, before it opens
        F.expr(f"max(ds) FILTER (WHERE {_END} AND ds = restart.ds)").alias("ends_at_once"),
        F.expr(f"max_by(price, {newest}) FILTER (WHERE {_START})").alias("price"),
    )  # fmt: skip
    ends = F.coalesce("ends_on", "ends_at_once").alias("ends_on")
    return each.where("starts_on IS NOT NULL").select(*_PROMOTION, "promotion_kind", "starts_on", ends, "price")
