"""Rolling origins on Spark frames: a cross-validator that respects time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from training.family import Fold

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def purged(origins: Sequence[date], label_days: int, folds: int) -> list[date]:
    """At most `folds` of the origins, oldest first: the newest, and before it the newest of those whose label, `label_days`
    long, was complete by then. Tuning on a later one would choose by days that the newest is judged by (purging, de Prado 2018)."""
    known = sorted(origins)
    complete = [day for day in known if day <= known[-1] - timedelta(days=label_days)]
    return [*complete[len(complete) - min(folds - 1, len(complete)) :], *known[-1:]]


def rolling_folds(data: DataFrame, origins: Sequence[date], label_days: int, origin: str = "origin") -> list[Fold]:
    """A fold for each of `origins`: judged on the rows of that origin, fitted on the rows whose label, `label_days` long,
    was complete by then. Folds without a row to fit are left out."""
    from pyspark.sql import functions as F

    seen = {row[0] for row in data.select(origin).distinct().collect()}
    out = []
    for day in sorted(origins):
        last = day - timedelta(days=label_days)
        if any(other <= last for other in seen):
            out.append(Fold(day, data.where(F.col(origin) <= F.lit(last)), data.where(F.col(origin) == F.lit(day))))
    return out
