"""The shelf price of every pair and day, forward from each price change."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from data_ingest.facts.days import Days, days_between

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIR = ("store_id", "product_id")


def price_spans(pos: DataFrame, last: date) -> DataFrame:
    """Price changes to `store_id, product_id, ds, until, price, regular_price`: a day's last change holds from `ds` to
    the day before the next one, or to `last`. A regular price that was not told is null."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    newest = pos.where("event_type = 'price_changed'").groupBy(*_PAIR, "ds").agg(
        F.expr("max_by(struct(price, regular_price), struct(occurred_at, event_id))").alias("told")
    )  # fmt: skip
    next_day = F.lead("ds").over(Window.partitionBy(*_PAIR).orderBy("ds"))
    return newest.withColumn("until", F.coalesce(F.date_sub(next_day, 1), F.lit(last))).select(
        *_PAIR, "ds", "until", "told.price", "told.regular_price"
    )


def price_daily(spans: DataFrame, days: Days) -> DataFrame:
    """PRICE_DAILY of `days`: a row for every pair and day from its first price on."""
    from pyspark.sql import functions as F

    near = spans.where(F.col("ds") <= F.lit(days.last)).where(F.col("until") >= F.lit(days.first))
    each = f"explode(sequence(greatest(ds, DATE '{days.first}'), least(until, DATE '{days.last}'))) AS ds"
    return days.only(near.selectExpr(*_PAIR, each, "price", "regular_price"))


def repriced_days(added: DataFrame, spans: DataFrame) -> set[date]:
    """The days whose price new pos events changed: from each changed day to the pair's next change."""
    changed = added.where("event_type = 'price_changed'").select(*_PAIR, "ds").distinct()
    return days_between(spans.join(changed, [*_PAIR, "ds"], "left_semi"), "ds", "until")
