"""What was on the shelf, and for how much of the open hours there was anything.

Stock runs from counts by receipts, transfers, waste, adjustments and sales, in the order of `occurred_at`; a count sets
it anew, so what came before a count does not matter after it. Returned goods do not go back on the shelf unless an
adjustment says so. Stock may run below zero where deliveries were not told: that is what the records say.

A sale is better evidence than the books: up to a sale of the same day the shelf held something, whatever they say, back to what
last filled or counted it. Below zero the books are known to be wrong, so that what of it no sale proves counts neither
as in stock nor as out, and a day of nothing else has no `in_stock`. Sales of later days are not looked at: the figure of a
day is what was known when it closed, in training as in serving.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from data_ingest.facts.days import Days, days_between

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIR = ["store_id", "product_id"]
_SETS = "event_type IN ('count', 'seed')"
#: what may put goods on an empty shelf: a sale after it says nothing of the time before
_FILLS = f"({_SETS} OR event_type IN ('receipt', 'transfer_in') OR (event_type = 'adjustment' AND units > 0))"
_SIGN = "CASE event_type WHEN 'receipt' THEN 1 WHEN 'transfer_in' THEN 1 WHEN 'adjustment' THEN 1 ELSE -1 END"
_OPENS, _CLOSES = "timestamp(ds) + make_dt_interval(0, open_hour)", "timestamp(ds) + make_dt_interval(0, close_hour)"


def moves(stock: DataFrame, sales: DataFrame) -> DataFrame:
    """Stock and sales events to `store_id, product_id, ds, occurred_at, event_id, event_type, units`: all that moves stock."""
    names = [*_PAIR, "ds", "occurred_at", "event_id", "event_type", "units"]
    return stock.select(*names).unionByName(sales.where("event_type = 'purchase'").select(*names))


def stock_daily(moves: DataFrame, seeds: DataFrame | None, stores: DataFrame, store_days: DataFrame, days: Days) -> DataFrame:
    """STOCK_DAILY of `days`, for pairs and open days from the pair's first stock event on. `seeds` are rows of STOCK_DAILY
    of days before all `moves`, whose closing stock the moves start from; `stores` has `store_id, utc_offset_hours,
    open_hour, close_hour` (0 to 24 where not known)."""
    hours = "coalesce(utc_offset_hours, 0) AS offset", "coalesce(open_hour, 0) AS open_hour", "coalesce(close_hour, 24) AS close_hour"
    known = stores.selectExpr("store_id", *hours)
    levels = _levels(moves if seeds is None else moves.unionByName(_as_counts(seeds, moves)), known)
    return _panel(_by_day(levels), store_days, days)


def restocked_days(added: DataFrame, stock: DataFrame, last: date) -> set[date]:
    """The days whose stock new `moves` changed: from each to the pair's next count on a later day, or to `last`."""
    from pyspark.sql import functions as F

    touched = added.select(*_PAIR, "ds").distinct()
    counts = stock.where("event_type = 'count'").select(*_PAIR, F.col("ds").alias("counted")).distinct()
    later = touched.join(counts, _PAIR).where("counted > ds").groupBy(*_PAIR, "ds").agg(F.min("counted").alias("until"))
    ends = touched.join(later, [*_PAIR, "ds"], "left").withColumn("until", F.coalesce("until", F.lit(last)))
    return days_between(ends, "ds", "until")


def _as_counts(seeds: DataFrame, moves: DataFrame) -> DataFrame:
    seeded = seeds.selectExpr(
        *_PAIR, "ds", "timestamp(ds) AS occurred_at", "'' AS event_id", "'seed' AS event_type", "on_hand_close AS units"
    )
    return seeded.select(*moves.columns)


def _levels(moves: DataFrame, stores: DataFrame) -> DataFrame:
    """Every move with the stock before and after it, its local time and the next one's, and up to when sales prove stock.

    With c the running sum of signed units, stock after a move is c plus (u - c) of the pair's last count of u units."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy(*_PAIR).orderBy("occurred_at", F.expr(f"IF({_SETS}, 0, 1)"), "event_id")
    first = F.min(F.expr("IF(event_type != 'purchase', occurred_at, NULL)")).over(Window.partitionBy(*_PAIR))
    begun = moves.withColumn("first", first).where("occurred_at >= first")
    local = begun.join(F.broadcast(stores), "store_id", "left").fillna({"offset": 0.0, "open_hour": 0, "close_hour": 24})
    running = local.withColumn(
        "at", F.expr("occurred_at + make_dt_interval(0, 0, 0, IF(event_type = 'seed', 0, offset) * 3600)")
    ).withColumn("moved", F.sum(F.expr(f"IF({_SETS}, 0, units * {_SIGN})")).over(order))
    anchor = F.last(F.expr(f"IF({_SETS}, units - moved, NULL)"), ignorenulls=True).over(order)
    level = running.withColumn("level", F.round(F.col("moved") + F.coalesce(anchor, F.lit(0.0)), 6))
    before = F.coalesce(F.lag("level").over(order), F.expr(f"IF({_SETS}, units, 0)"))
    fills = F.sum(F.expr(f"IF({_FILLS}, 1, 0)")).over(order)
    told = level.withColumns({"before": before, "next_at": F.lead("at").over(order), "place": F.row_number().over(order), "fills": fills})
    sold = F.max(F.expr("IF(event_type = 'purchase', at, NULL)"))
    return told.withColumn("sold_until", sold.over(Window.partitionBy(*_PAIR, "ds", "fills")))


def _by_day(levels: DataFrame) -> DataFrame:
    """A row for every pair and day with a move: the day's figures and the day before the pair's next such day.

    `unsure` are the seconds of which the books are known to be wrong, `stocked` those with stock by the books or by a sale."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    def seconds(start: str, end: str) -> str:
        return f"greatest(0, unix_timestamp(least({end}, closes)) - unix_timestamp(greatest({start}, opens)))"

    def total(kind: str) -> str:
        return f"round(coalesce(sum(units) FILTER (WHERE event_type = '{kind}'), 0), 6)"

    timed = levels.withColumns({"opens": F.expr(_OPENS), "closes": F.expr(_CLOSES)})
    lasting = timed.withColumns(
        {
            "lasts": F.expr(seconds("at", "coalesce(least(next_at, closes), closes)")),
            "proven": F.expr(f"IF(sold_until > at, {seconds('at', 'coalesce(least(next_at, sold_until), sold_until)')}, 0)"),
        }
    ).withColumns({"stocked": F.expr("IF(level > 0, lasts, proven)"), "unsure": F.expr("IF(level < 0, lasts - proven, 0)")})
    first = seconds("opens", "at")  # before the day's first move
    held = f"before > 0 OR (NOT {_FILLS} AND sold_until IS NOT NULL)"
    days = lasting.groupBy(*_PAIR, "ds").agg(
        F.expr("coalesce(max_by(level, place) FILTER (WHERE at <= opens), min_by(before, place))").alias("on_hand_open"),
        F.expr("max_by(level, place)").alias("on_hand_close"),
        F.expr(total("receipt")).alias("received_units"),
        F.expr(total("waste")).alias("waste_units"),
        F.expr(f"round({total('adjustment')} + {total('transfer_in')} - {total('transfer_out')}, 6)").alias("adjusted_units"),
        F.expr(f"sum(stocked) + min_by(IF({held}, {first}, 0), place)").alias("stocked"),
        F.expr(f"sum(unsure) + min_by(IF(NOT ({held}) AND before < 0, {first}, 0), place)").alias("unsure"),
        F.expr("first(unix_timestamp(closes) - unix_timestamp(opens))").alias("open_seconds"),
    )
    order = Window.partitionBy(*_PAIR).orderBy("ds")
    return days.withColumns(
        {
            "in_stock": F.expr("IF(open_seconds > unsure, round(stocked / (open_seconds - unsure), 6), NULL)"),
            "until": F.date_sub(F.lead("ds").over(order), 1),
        }
    )


def _panel(days_with_moves: DataFrame, store_days: DataFrame, days: Days) -> DataFrame:
    """Days with moves, and the days after each up to the next, on which nothing moved; only open days among `days`."""
    from pyspark.sql import functions as F

    lo, hi = f"DATE '{days.first}'", f"DATE '{days.last}'"
    near = days_with_moves.withColumn("until", F.expr(f"least(coalesce(until, {hi}), {hi})")).where(f"until >= {lo} AND ds <= until")
    each = near.withColumnRenamed("ds", "moved_on").withColumn("ds", F.expr(f"explode(sequence(greatest(moved_on, {lo}), until))"))
    still = "ds > moved_on"
    rows = each.selectExpr(
        *_PAIR, "ds", f"IF({still}, on_hand_close, on_hand_open) AS on_hand_open", "on_hand_close",
        *[f"IF({still}, 0D, {name}) AS {name}" for name in ("received_units", "waste_units", "adjusted_units")],
        f"IF({still}, CASE WHEN on_hand_close > 0 THEN 1D WHEN on_hand_close = 0 THEN 0D END, in_stock) AS in_stock",
    )  # fmt: skip
    opened = days.only(store_days.where("status = 'open'")).select("store_id", "ds")
    return rows.join(F.broadcast(opened), ["store_id", "ds"], "left_semi")
