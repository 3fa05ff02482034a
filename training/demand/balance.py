"""A mean whose sums are right. Shrunken trees pull every forecast toward the average, and a Tweedie booster with a log link
does not keep the total either: a percent too low on every Saturday is nothing to a series and the largest error of a chain.
Its forecasts of the examples are therefore brought to what these sold, by size of forecast and by weekday (autocalibration:
Denuit, Charpentier and Trufin 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.demand.examples import FULL, Rows
from training.demand.model import MeanPredictor, load_mean, save_mean

#: classes of size, and the target days that pull a factor to 1: the days, not the rows, are what varies
_SIZES, _DAYS = 10, 7.0
#: units: no logarithm of less
_LEAST = 1e-6


@dataclass(frozen=True)
class BalancedMean:
    """`mean` times a factor for the size of its forecast, `factors` (S,) at `sizes` (S,) log units and linear between them,
    and one for the target's weekday, `weekdays` (7,)."""

    mean: MeanPredictor
    sizes: np.ndarray
    factors: np.ndarray
    weekdays: np.ndarray

    @classmethod
    def fit(cls, mean: MeanPredictor, rows: Rows, units: np.ndarray, found: np.ndarray) -> BalancedMean:
        """From m examples with their (m,) units and the (m,) units that `mean` predicts of them."""
        days = rows.ds.to_numpy().astype("datetime64[D]").astype(np.int64)
        log = np.log(np.maximum(found, _LEAST))
        size = np.searchsorted(np.quantile(log, np.arange(1, _SIZES) / _SIZES), log)
        centres = np.bincount(size, log, _SIZES) / np.maximum(np.bincount(size, minlength=_SIZES), 1)
        seen = np.bincount(size, minlength=_SIZES) > 0
        by_size = cls(mean, centres[seen], _factors(size, units, found, days, _SIZES)[seen], np.ones(7))
        found = found * by_size.by_size(found)
        return cls(mean, by_size.sizes, by_size.factors, _factors(_weekday(rows), units, found, days, 7))

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        found = self.mean.predict(rows)
        return found * self.by_size(found) * self.by_weekday(rows)

    def by_size(self, found: np.ndarray) -> np.ndarray:
        """(m,) the factor for the size of each of the mean's forecasts."""
        return np.interp(np.log(np.maximum(found, _LEAST)), self.sizes, self.factors)

    def by_weekday(self, rows: Rows) -> np.ndarray:
        """(m,) the factor for each row's weekday."""
        return self.weekdays[_weekday(rows)]

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>_balance.npz` and the mean's files."""
        np.savez(Path(folder) / f"{name}_balance.npz", sizes=self.sizes, factors=self.factors, weekdays=self.weekdays)
        save_mean(self.mean, folder, f"{name}_unbalanced")

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> BalancedMean:
        """Read what `save` wrote."""
        with np.load(Path(folder) / f"{name}_balance.npz") as arrays:
            return cls(load_mean(folder, f"{name}_unbalanced"), **{key: arrays[key] for key in ("sizes", "factors", "weekdays")})


#: cuts of the share of the last four weeks in stock: often out, sometimes, hardly, never
IN_STOCK = np.array([0.8, 0.95, FULL])


def stocked(rows: Rows) -> np.ndarray:
    """(m,) the class of each series by its share of the last four weeks in stock, 0 to len(IN_STOCK)."""
    return np.digitize(np.nan_to_num(rows.column("in_stock_28").astype(np.float64), nan=1.0), IN_STOCK)


@dataclass(frozen=True)
class StockedMean:
    """`mean` times a factor, `factors` (4,), for how often the series was out of stock lately: levels count the rate of sale of
    days that sold out, which days in stock do not reach."""

    mean: MeanPredictor
    factors: np.ndarray

    @classmethod
    def fit(cls, mean: MeanPredictor, rows: Rows, units: np.ndarray) -> StockedMean:
        """From m examples of days in stock with their (m,) units."""
        days = rows.ds.to_numpy().astype("datetime64[D]").astype(np.int64)
        return cls(mean, _factors(stocked(rows), units, mean.predict(rows), days, len(IN_STOCK) + 1))

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return self.mean.predict(rows) * self.factors[stocked(rows)]

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>_stocked.npy` and the mean's files."""
        np.save(Path(folder) / f"{name}_stocked.npy", self.factors)
        save_mean(self.mean, folder, f"{name}_unstocked")

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> StockedMean:
        """Read what `save` wrote."""
        return cls(load_mean(folder, f"{name}_unstocked"), np.load(Path(folder) / f"{name}_stocked.npy"))


def _weekday(rows: Rows) -> np.ndarray:
    return rows.column("dow").astype(np.int64)


def _factors(cell: np.ndarray, units: np.ndarray, found: np.ndarray, days: np.ndarray, count: int) -> np.ndarray:
    """(count,) units over forecasts of each cell, pulled to 1 by the number of its distinct days; 1 where nothing is known."""
    sold, told = np.bincount(cell, units, count), np.bincount(cell, found, count)
    seen = np.bincount(np.unique(days * count + cell) % count, minlength=count)
    raw = np.divide(sold, told, out=np.ones(count), where=told > 0)
    return 1 + seen / (seen + _DAYS) * (raw - 1)
