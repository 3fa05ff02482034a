"""Sets of business days: which ones a fact is recomputed for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Days:
    """Distinct business days."""

    every: frozenset[date]

    @staticmethod
    def of(*parts: Iterable[date]) -> Days:
        """The union of some days."""
        return Days(frozenset(day for part in parts for day in part))

    @property
    def first(self) -> date:
        """The earliest day."""
        return min(self.every)

    @property
    def last(self) -> date:
        """The latest day."""
        return max(self.every)

    def frame(self, spark: SparkSession) -> DataFrame:
        """The days as a frame `ds`, small enough to be broadcast."""
        return spark.createDataFrame([(day,) for day in sorted(self.every)], "ds date")

    def only(self, frame: DataFrame) -> DataFrame:
        """The rows of `frame` on these days: a range that prunes files, then the days themselves where it has holes."""
        from pyspark.sql import functions as F

        ranged = frame.where(F.col("ds").between(F.lit(self.first), F.lit(self.last)))
        if len(self.every) == (self.last - self.first).days + 1:
            return ranged
        return ranged.join(F.broadcast(self.frame(frame.sparkSession)), "ds", "left_semi")


def span(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included; none when `last` is earlier."""
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def days_between(frame: DataFrame, first: str, last: str) -> set[date]:
    """The distinct days of the ranges given by two date columns of `frame`."""
    ranged = frame.where(f"{first} <= {last}").select(first, last).distinct()
    return {row.ds for row in ranged.selectExpr(f"explode(sequence({first}, {last})) AS ds").distinct().collect()}
