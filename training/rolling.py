"""Rolling origins on Spark frames: a cross-validator that respects time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from training.family import Fold

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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
