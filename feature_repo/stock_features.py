"""The features of ordering: what is on the shelf, what is on its way, how long the supplier takes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from feature_repo.snapshots import pair_snapshots, so_far, trailing
from feature_repo.tables import STOCK_FEATURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PAIR_DAY = ["store_id", "product_id", "ds"]
#: days after its promised day from which on a delivery that never came is no longer counted on
GIVEN_UP_DAYS = 28
#: the same for the rest of a line of which a part has come: suppliers that deliver short mostly do not deliver the rest
REST_GIVEN_UP_DAYS = 3


def stock_features_frame(
    daily: DataFrame, stock: DataFrame, lead_times: DataFrame, deliveries: DataFrame, products: DataFrame, until: date,
    since: date | None = None,
) -> DataFrame:  # fmt: skip
    """Rows of STOCK_FEATURES for every pair and day of `daily` (DEMAND_DAILY) from `since` on; `stock`, `lead_times`,
    `deliveries` and `products` are the silver tables. A row uses nothing that happened after its `ds`."""
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
    with_orders = recent.join(on_order(lead_times, deliveries, until, since), PAIR_DAY, "left").join(
        _catalogue(products), "product_id", "left"
    )
    learned = learned_lead_times(lead_times, until)
    return pair_snapshots(_filled(with_orders.join(F.broadcast(learned), ["supplier_id", "ds"], "left")), STOCK_FEATURES, since)


def on_order(lead_times: DataFrame, deliveries: DataFrame, until: date, since: date | None = None) -> DataFrame:
    """`store_id, product_id, ds, on_order, on_order_lines, next_arrival_days, last_arrival_days` for every day that ends
    with something in transit. A line is in transit from its order day on, less what was received by the end of the day, until
    all has come. What has not is given up: GIVEN_UP_DAYS after the promise of a line of which nothing came, REST_GIVEN_UP_DAYS
    after the promise, or after the last part if that is later, of one of which a part did."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    key = ["order_id", "store_id", "product_id"]
    promised = F.coalesce(F.col("promised_on"), F.col("ordered_on")).alias("promised")
    lines = lead_times.where("ordered_on IS NOT NULL").select(*key, "ordered_on", "ordered_units", promised)
    placed = lines.withColumns({"came_on": F.lit(None).cast("date"), "came": F.lit(0.0)})
    # what is booked before its order counts from the order on
    parts = lines.join(deliveries.withColumnsRenamed({"ds": "came_on", "units": "came"}), key)
    states = placed.unionByName(parts).withColumn("start", F.greatest("ordered_on", "came_on"))
    by_line = Window.partitionBy(*key).orderBy("start", F.col("came_on").asc_nulls_first())
    left = F.round(F.col("ordered_units") - F.sum("came").over(by_line), 6)
    given_up = F.when(F.col("came_on").isNull(), F.date_add("promised", GIVEN_UP_DAYS)).otherwise(
        F.date_add(F.greatest("promised", "came_on"), REST_GIVEN_UP_DAYS)
    )
    end = F.least(F.date_sub(F.lead("start").over(by_line), 1), given_up, F.lit(until))
    spans = states.select("store_id", "product_id", "promised", "start", left.alias("left"), end.alias("end"))
    start = F.col("start") if since is None else F.greatest(F.col("start"), F.lit(since))
    days = spans.where((F.col("left") > 0) & (start <= F.col("end"))).withColumn("ds", F.explode(F.sequence(start, F.col("end"))))
    arrives = F.greatest(F.datediff(F.col("promised"), F.col("ds")), F.lit(0)).cast("double")
    return days.groupBy(*PAIR_DAY).agg(
        F.sum("left").alias("on_order"),
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
