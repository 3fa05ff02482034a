"""What every feature table has in common: rows keyed by entity and day, known when the day has closed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from feature_repo.keys import PAIR
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.window import WindowSpec

#: the column of the moment from which on a row counts as known
KNOWN_AT = "known_at"


def known_at(ds: str = "ds") -> Column:
    """The moment that stands for a day that has closed, in every store alike: the next day's midnight, UTC. It is a label of the day
    and not a reading of a clock: west of Greenwich the store still sells then. A spine asks for what was known at the end of a day
    by the day's label; the moment of an event would be given the row of a day that still runs."""
    from pyspark.sql import functions as F

    return F.date_add(F.col(ds), 1).cast("timestamp").alias(KNOWN_AT)


def trailing(days: int) -> WindowSpec:
    """The pair's rows of the last `days` days, this one included; frames must be keyed by pair and ds."""
    from pyspark.sql import Window

    return over_time().rowsBetween(-(days - 1), Window.currentRow)


def so_far() -> WindowSpec:
    """The pair's rows up to this day."""
    from pyspark.sql import Window

    return over_time().rowsBetween(Window.unboundedPreceding, Window.currentRow)


def over_time() -> WindowSpec:
    """The pair's rows in the order of time. One row a day (the panel is dense), so that rows count days."""
    from pyspark.sql import Window

    return Window.partitionBy("store_id", "product_id").orderBy("ds")


def pair_snapshots(frame: DataFrame, table: Table, since: date | None) -> DataFrame:
    """The columns of a pair's feature table from `since` on, with `pair_id` and `known_at` filled in."""
    from pyspark.sql import functions as F

    rows = frame if since is None else frame.where(F.col("ds") >= F.lit(since))
    return rows.withColumns({PAIR.join_key: PAIR.spark(), KNOWN_AT: known_at()}).select(*table.names)
