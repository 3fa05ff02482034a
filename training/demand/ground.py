"""What contenders and trials on the same training set share: the origins to fit on and those held back, and what the driver
learns of bounded samples of either, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from training.demand.examples import FULL, Rows, Sample, rows_of, sample_of
from training.demand.profiles import StackedMean
from training.tabular import FEATURES, at_most

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: the newest origins of a training set, held back from the fit to calibrate on: a third of them at most
CALIBRATION_ORIGINS = 3
#: rows on the driver at most, sampled, of those held back and of those fitted on, from which the stack and the errors are learnt
DRIVER_ROWS = 60_000


@dataclass(frozen=True)
class Ground:
    """The examples `train` of a fold, or all of them."""

    train: DataFrame

    @cached_property
    def older(self) -> DataFrame:
        """The examples to fit on: all, where there are too few origins to hold any back."""
        return self.train.where(~self._is_newest) if self._newest else self.train

    @cached_property
    def held_back(self) -> Sample:
        """A sample of days wholly in stock of the newest origins, which no fit has seen."""
        return _sample(self.train.where(self._is_newest))

    @cached_property
    def fitted_on(self) -> Sample:
        """A sample of the older ones."""
        return _sample(self.older)

    @cached_property
    def stack(self) -> StackedMean:
        """The stack of simple forecasts, learnt from that sample."""
        return StackedMean.fit(self.fitted_on.rows, self.fitted_on.units)

    @cached_property
    def over_stack(self) -> DataFrame:
        """The examples to fit on with the stack's `margin`; half a day in stock is half a day's."""
        from pyspark.sql import functions as F

        return with_margin(self.older, self.stack).withColumn("margin", F.col("margin") + F.log("in_stock"))

    @property
    def _is_newest(self) -> Column:
        from pyspark.sql import functions as F

        return F.col("origin").isin(self._newest)

    @cached_property
    def _newest(self) -> list[date]:
        days = sorted(row[0] for row in self.train.select("origin").distinct().collect())
        return days[len(days) - min(CALIBRATION_ORIGINS, len(days) // 3) :]


def with_margin(frame: DataFrame, stack: StackedMean) -> DataFrame:
    """`frame` with `margin`, the logarithm of what the stack forecasts."""
    return with_told(frame, "margin", lambda rows: np.log(stack.predict(rows)))


def with_told(frame: DataFrame, column: str, told: Callable[[Rows], np.ndarray]) -> DataFrame:
    """Examples with a column of what arrays tell of their rows, (m,) -> (m,) numbers."""
    from pyspark.sql.types import DoubleType, StructField, StructType

    def parts(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        return (part.assign(**{column: told(rows_of(part))}) for part in frames)

    return frame.mapInPandas(parts, StructType([*frame.schema.fields, StructField(column, DoubleType())]))


def _sample(examples: DataFrame) -> Sample:
    from pyspark.sql import functions as F

    whole = at_most(examples.where(F.col("in_stock") >= FULL), DRIVER_ROWS)
    return sample_of(whole.select("ds", "units", "horizon", "base", FEATURES).toPandas())
