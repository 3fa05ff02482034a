"""From a mean forecast to its distribution: the quantiles of actual / mean that rolling origins saw, by size of the mean,
spread of the series and horizon. Whatever made the mean, baseline or booster, is calibrated alike.

For a slow item the mean is small and actual / mean takes few values: the table then holds its discrete distribution,
zero with its own probability. Quantiles never cross and are never negative, by construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.demand.examples import FLOOR

#: levels at which the tables are kept; others are interpolated
GRID = np.array([0.005, 0.01, 0.025, 0.05, *np.arange(0.1, 0.95, 0.05), 0.95, 0.975, 0.99, 0.995])
#: rows that make a cell of its own; fewer cells where there are fewer rows
_ROWS_A_CELL = 400
_SIZES, _SPREADS, _HORIZONS = 20, 4, 3
#: size classes that few rows are cut into all the same: what a slow item does says nothing about a fast one
_FEWEST_SIZES = 6
#: rows that the size class counts for in a cell of it, and that the family of distributions counts for in a size class
_SHARED_ROWS = 100.0
#: variance beyond the mean's own, over the squared mean, is taken within these bounds
_LEAST_EXCESS, _MOST_EXCESS = 1e-4, 4.0


@dataclass(frozen=True)
class Calibration:
    """`sizes` (S-1,) cuts of log mean and `centres` (S,); `spreads` (S, D-1) cuts of the series' spread within a size;
    `horizons` (H-1,) cuts; `ratios` (S, D, H, len(GRID)) quantiles of actual / mean; `whole`: units come in whole numbers."""

    sizes: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray
    horizons: np.ndarray
    ratios: np.ndarray
    whole: bool
    #: units: a mean below this is taken as this, so that a forecast of 0 has a distribution too; the same for all series, since
    #: what is nothing to a large one is all of a small one
    floor: float = FLOOR

    @classmethod
    def fit(cls, mean: np.ndarray, actual: np.ndarray, spread: np.ndarray, horizon: np.ndarray) -> Calibration:
        """Learn from m out-of-sample forecasts, all (m,): mean and actual units, the series' spread (any scale; higher is
        wilder, NaN: nothing known) and the horizon in periods. Without any row: Poisson-like defaults."""
        used = np.isfinite(actual) & np.isfinite(mean)
        mean, actual, spread, horizon = mean[used], actual[used], spread[used], horizon[used]
        if not len(mean):
            mean, actual, spread, horizon = _unseen()
        cells = max(len(mean) // _ROWS_A_CELL, 1)
        count_h = min(_HORIZONS, max(cells // 8, 1), int(horizon.max()))
        count_d = min(_SPREADS, max(cells // count_h // 3, 1))
        count_s = min(_SIZES, max(cells // count_h // count_d, min(_FEWEST_SIZES, len(np.unique(mean)))))
        mean = np.maximum(mean, FLOOR)
        log = np.log(mean)
        sizes = _cuts(log, count_s)
        at = np.digitize(log, sizes)
        centres = np.array([np.median(log[at == s]) if (at == s).any() else np.nan for s in range(count_s)])
        centres = np.interp(np.arange(count_s), np.flatnonzero(~np.isnan(centres)), centres[~np.isnan(centres)])
        spreads = np.stack([_cuts(spread[(at == s) & np.isfinite(spread)], count_d) for s in range(count_s)])
        horizons = _cuts(horizon.astype(float), count_h)
        cell = (at, _by_row(spread, spreads[at]), np.digitize(horizon, horizons))
        whole = bool(np.all(actual == np.round(actual)))
        usual = _usual(np.exp(centres), _excess(mean, actual, whole), whole)
        ratios = _tables(actual / mean, cell, (count_s, count_d, count_h), usual)
        return cls(sizes, centres, spreads, horizons, ratios, whole)

    def quantiles(self, mean: np.ndarray, spread: np.ndarray, horizon: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """(m, len(levels)) units, not below 0 and not falling from a level to a higher one; `levels` within 0..1."""
        mean = np.maximum(mean, self.floor)
        log = np.log(mean)
        last = len(self.centres) - 1
        upper = np.clip(np.searchsorted(self.centres, log), min(1, last), last)
        lower = np.maximum(upper - 1, 0)
        gap = self.centres[upper] - self.centres[lower]
        share = np.clip(np.where(gap > 0, (log - self.centres[lower]) / np.where(gap > 0, gap, 1), 0), 0, 1)[:, None]
        when = np.digitize(horizon, self.horizons)
        tables = _at_levels(self.ratios, np.asarray(levels, dtype=float))
        low, high = (tables[size, _by_row(spread, self.spreads[size]), when] for size in (lower, upper))
        found = np.maximum(((1 - share) * low + share * high) * mean[:, None], 0)
        if self.whole:
            found = np.round(found)
        order = np.argsort(levels, kind="stable")
        found[:, order] = np.maximum.accumulate(found[:, order], axis=1)
        return found

    def save(self, folder: Path) -> None:
        """Write `calibration.npz` into an existing folder."""
        np.savez_compressed(Path(folder) / "calibration.npz", **self.__dict__)

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Read what `save` wrote."""
        with np.load(Path(folder) / "calibration.npz") as arrays:
            cuts = (arrays["sizes"], arrays["centres"], arrays["spreads"], arrays["horizons"])
            return cls(*cuts, arrays["ratios"], bool(arrays["whole"]), float(arrays["floor"]))


def _unseen() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What Poisson demand would have shown, for histories too short to learn from; fixed seed."""
    mean = np.repeat(np.geomspace(0.01, 1000, 60), 400)
    actual = np.random.default_rng(0).poisson(mean).astype(float)
    return mean, actual, np.full(len(mean), np.nan), np.ones(len(mean), dtype=int)


def _cuts(values: np.ndarray, count: int) -> np.ndarray:
    """count-1 cuts into classes of equal number."""
    if not len(values):
        return np.full(count - 1, np.inf)
    return np.quantile(values, np.arange(1, count) / count)


def _by_row(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Class of each value by its own row of cuts; NaN is the wildest class."""
    return np.where(np.isnan(values), cuts.shape[1], (values[:, None] >= cuts).sum(axis=1))


def _excess(mean: np.ndarray, actual: np.ndarray, whole: bool) -> float:
    """By moments, pooled: the variance over the squared mean, beyond Poisson's where units are whole."""
    beyond = np.sum((actual - mean) ** 2) - (np.sum(mean) if whole else 0.0)
    return float(np.clip(beyond / np.sum(mean**2), _LEAST_EXCESS, _MOST_EXCESS))


def _usual(means: np.ndarray, excess: float, whole: bool) -> np.ndarray:
    """(S, len(GRID)) quantiles of actual / mean by the family of distributions that demand usually follows: negative
    binomial for whole units, gamma for others, both of variance (mean +) excess x mean^2."""
    from scipy.stats import gamma, nbinom

    if whole:
        return nbinom.ppf(GRID, 1 / excess, 1 / (1 + excess * means[:, None])) / means[:, None]
    return np.broadcast_to(gamma.ppf(GRID, 1 / excess) * excess, (len(means), len(GRID)))


def _tables(
    ratio: np.ndarray, cells: tuple[np.ndarray, np.ndarray, np.ndarray], shape: tuple[int, int, int], usual: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Quantiles of each cell (size, spread, horizon), blended with those of its size class by number of rows, and these
    with the usual ones, (sizes, len(GRID)), by theirs."""
    size, spread, when = cells
    cell = (size * shape[1] + spread) * shape[2] + when
    order = np.lexsort((ratio, cell))
    starts = np.searchsorted(cell[order], np.arange(np.prod(shape) + 1))
    tables = np.empty((int(np.prod(shape)), len(GRID)))
    for of in range(shape[0]):
        parent = _blended(ratio[size == of], usual[of])
        for at in range(of * shape[1] * shape[2], (of + 1) * shape[1] * shape[2]):
            tables[at] = _blended(ratio[order[starts[at] : starts[at + 1]]], parent)
    return tables.reshape(*shape, len(GRID))


def _blended(ratio: np.ndarray, prior: np.ndarray) -> np.ndarray:
    if not len(ratio):
        return prior
    weight = len(ratio) / (len(ratio) + _SHARED_ROWS)
    return weight * np.quantile(ratio, GRID, method="hazen") + (1 - weight) * prior


def _at_levels(ratios: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(..., len(levels)) the tables interpolated between levels of the grid."""
    upper = np.clip(np.searchsorted(GRID, levels), 1, len(GRID) - 1)
    share = np.clip((levels - GRID[upper - 1]) / (GRID[upper] - GRID[upper - 1]), 0, 1)
    return (1 - share) * ratios[..., upper - 1] + share * ratios[..., upper]
