"""The features of ordering: what is on the shelf, what is on its way, how long the supplier takes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from feature_repo.snapshots import pair_snapshots, so_far, trailing
from feature_repo.tables import STOCK_FEATURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PAIR_DAY = ["store_id", "product_id", "ds"]
#: days after its promised day from which on a delivery that never came is no longer counted on
GIVEN_UP_DAYS = 28


def stock_features_frame(
    daily: DataFrame, stock: DataFrame, lead_times: DataFrame, products: DataFrame, until: date, since: date | None = None
) -> DataFrame:
    """Rows of STOCK_FEATURES for every pair and day of `daily` (DEMAND_DAILY) from `since` on; `stock`, `lead_times` and
    `products` are the silver tables. A row uses nothing that happened after its `ds`."""
    from pyspark.sql import functions as F

    shelf = daily.select(*PAIR_DAY, "open", "in_stock", "price").join(stock.select(*PAIR_DAY, "on_hand_close"), PAIR_DAY, "left")
    opened = F.when(F.col("open"), F.col("in_stock"))
    shelf = shelf.withColumns(
        {
            "on_hand": F.last("on_hand_close", ignorenulls=True).over(so_far()),
            "shelf_price": F.last("price", ignorenulls=True).over(so_far()),
            "in_stock_28d": F.avg(opened).over(trailing(28)),
            "stockout_days_28d": F.coalesce(F.sum((opened < 1).cast("double")).over(trailing(28)), F.lit(0.0)),
        }
    )
    # after the windows, which need the days before `since`; what follows does not
    recent = shelf if since is None else shelf.where(F.col("ds") >= F.lit(since))
    with_orders = recent.join(on_order(lead_times, until, since), PAIR_DAY, "left").join(_catalogue(products), "product_id", "left")
    learned = learned_lead_times(lead_times, until)
    return pair_snapshots(_filled(with_orders.join(F.broadcast(learned), ["supplier_id", "ds"], "left")), STOCK_FEATURES, since)


def on_order(lead_times: DataFrame, until: date, since: date | None = None) -> DataFrame:
    """`store_id, product_id, ds, on_order, on_order_lines, next_arrival_days, last_arrival_days` for every day that ends
    with something in transit. A line is in transit from its order day to the day before its receipt, and is given up
    GIVEN_UP_DAYS after its promise."""
    from pyspark.sql import functions as F

    promised = F.coalesce(F.col("promised_on"), F.col("ordered_on"))
    start = F.col("ordered_on") if since is None else F.greatest(F.col("ordered_on"), F.lit(since))
    end = F.least(
        F.date_sub(F.coalesce(F.col("received_on"), F.lit(until + timedelta(days=1))), 1), F.date_add(promised, GIVEN_UP_DAYS), F.lit(until)
    )
    lines = lead_times.where(start <= end).select(
        "store_id", "product_id", "ordered_units", promised.alias("promised"), F.explode(F.sequence(start, end)).alias("ds")
    )
    arrives = F.greatest(F.datediff(F.col("promised"), F.col("ds")), F.lit(0)).cast("double")
    return lines.groupBy(*PAIR_DAY).agg(
        F.sum("ordered_units").alias("on_order"),
        F.count(F.lit(1)).cast("double").alias("on_order_lines"),
        F.min(arrives).alias("next_arrival_days"),
        F.max(arrives).alias("last_arrival_days"),
    )


def learned_lead_times(lead_times: DataFrame, until: date) -> DataFrame:
    """`supplier_id, ds` for every day from the supplier's first delivery to `until`, with the mean and the standard
    deviation (n - 1) of the lead times of all deliveries received by then, and their number. Bounded by suppliers x days."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    received = lead_times.where(F.col("received_on").isNotNull() & F.col("lead_time_days").isNotNull())
    days = F.col("lead_time_days")
    daily = received.groupBy("supplier_id", F.col("received_on").alias("ds")).agg(
        F.count(F.lit(1)).alias("n"), F.sum(days).alias("total"), F.sum(days * days).alias("squares")
    )
    first = daily.groupBy("supplier_id").agg(F.min("ds").alias("first_day")).where(F.col("first_day") <= F.lit(until))
    dense = first.select("supplier_id", F.explode(F.sequence(F.col("first_day"), F.lit(until))).alias("ds"))
    by_now = Window.partitionBy("supplier_id").orderBy("ds").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    sums = dense.join(daily, ["supplier_id", "ds"], "left").select(
        "supplier_id", "ds", *[F.sum(F.coalesce(F.col(name), F.lit(0))).over(by_now).alias(name) for name in ("n", "total", "squares")]
    )
    mean = F.col("total") / F.col("n")
    variance = F.greatest(F.col("squares") - F.col("total") * mean, F.lit(0.0)) / (F.col("n") - 1)
    return sums.select(
        "supplier_id", "ds", mean.alias("learned_mean"),
        F.when(F.col("n") > 1, F.sqrt(variance)).alias("learned_lead_time_days_sd"), F.col("n").cast("double").alias("lead_time_receipts"),
    )  # fmt: skip


def _catalogue(products: DataFrame) -> DataFrame:
    terms = ("supplier_id", "unit_cost", "pack_size", "lead_time_days", "review_period_days", "shelf_life_days")
    return products.select("product_id", *terms)


def _filled(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    zero = {name: F.coalesce(F.col(name), F.lit(0.0)) for name in ("on_order", "on_order_lines", "lead_time_receipts")}
    return frame.withColumns({**zero, "learned_lead_time_days": F.coalesce(F.col("learned_mean"), F.col("lead_time_days"))})
