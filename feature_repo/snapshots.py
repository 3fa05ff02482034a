"""What every feature table has in common: rows keyed by entity and day, known when the day has closed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from feature_repo.keys import PAIR
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.window import WindowSpec

#: the column from which on a row was known
KNOWN_AT = "known_at"


def known_at(ds: str = "ds") -> Column:
    """The moment at which a day has closed: the next day's midnight, UTC."""
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
