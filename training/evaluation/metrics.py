"""Accuracy of forecasts. Each metric is its formula: y actual units, f forecast mean (or quantile), over all rows given;
rows whose actual is NaN must be left out by the caller. Pooled by default, by segment with `by_segment`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd


def wape(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Weighted absolute percentage error, sum |y - f| / sum |y|."""
    return _relative(np.abs(actual - forecast).sum(), actual)


def bias(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Relative bias, sum (f - y) / sum |y|: above 0 means too high."""
    return _relative((forecast - actual).sum(), actual)


def _relative(total: float, actual: np.ndarray) -> float:
    """`total` over sum |y|; NaN where nothing was sold, since there is nothing to be relative to."""
    sold = np.abs(actual).sum()
    return float(total / sold) if sold > 0 else float("nan")


def mae(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute error in units."""
    return float(np.abs(actual - forecast).mean())


def pinball(actual: np.ndarray, forecast: np.ndarray, level: float) -> float:
    """Mean pinball (quantile) loss at `level`, mean max(level (y - f), (level - 1) (y - f)), in units."""
    error = actual - forecast
    return float(np.maximum(level * error, (level - 1) * error).mean())


def wql(actual: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> float:
    """Weighted quantile loss, mean over levels of 2 sum pinball / sum |y|; `quantiles` is (rows, levels)."""
    losses = [2 * pinball(actual, quantiles[:, at], level) for at, level in enumerate(levels)]
    return _relative(float(np.mean(losses)) * len(actual), actual)


def coverage(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Share of rows with y <= f: a calibrated quantile of level q has coverage q (at least q where y is discrete)."""
    return float((actual <= forecast).mean())


def calibration_gap(actual: np.ndarray, forecast: np.ndarray, level: float) -> float:
    """Distance of `level` from the interval [share y < f, share y <= f]; 0 for a calibrated quantile of discrete units."""
    below, upto = float((actual < forecast).mean()), coverage(actual, forecast)
    return max(below - level, level - upto, 0.0)


def log_loss(happened: np.ndarray, chance: np.ndarray) -> float:
    """Mean of -log of the probability given to what happened (0 or 1), probabilities kept off 0 and 1 by 1e-4."""
    p = np.clip(chance, 1e-4, 1 - 1e-4)
    return float(-(happened * np.log(p) + (1 - happened) * np.log(1 - p)).mean())


def brier(happened: np.ndarray, chance: np.ndarray) -> float:
    """Brier score, the mean squared distance of a probability from what happened (0 or 1)."""
    return float(np.square(chance - happened).mean())


def crossing(quantiles: np.ndarray) -> float:
    """Share of rows whose quantiles, (rows, levels) by rising level, ever fall."""
    return float((np.diff(quantiles, axis=1) < 0).any(axis=1).mean()) if quantiles.shape[1] > 1 else 0.0


def squared_scale(history: np.ndarray, season: int = 1) -> np.ndarray:
    """(n,) mean squared difference of each series with itself `season` periods before, from its first sale on: the scale of
    RMSSE (Makridakis et al. 2022, M5). NaN where fewer than two periods are known or nothing ever changed."""
    return _scale(history, season, np.square)


def absolute_scale(history: np.ndarray, season: int = 1) -> np.ndarray:
    """(n,) mean absolute difference likewise: the scale of MASE (Hyndman and Koehler 2006)."""
    return _scale(history, season, np.abs)


def rmsse(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n,) root mean squared scaled error of each series, sqrt(mean_h (y - f)^2 / scale); `actual` is (n, H), NaN where unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(_rowmean(np.square(actual - forecast)) / scale)


def mase(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n,) mean absolute scaled error of each series, mean_h |y - f| / scale; `scale` from `absolute_scale`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _rowmean(np.abs(actual - forecast)) / scale


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of the finite values by weight, e.g. RMSSE by sales; NaN when none has weight."""
    used = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    return float(np.average(values[used], weights=weights[used])) if used.any() else float("nan")


def wrmsse(
    actual: np.ndarray, forecast: np.ndarray, history: np.ndarray, value: np.ndarray, levels: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Weighted RMSSE of each aggregation level and their mean under `mean` (M5's accuracy measure).

    `actual`, `forecast` (n, H) and `history` (n, T) are of the bottom series, NaN before a series' start; `value` (n,) is
    each one's sales in money just before the origin; `levels` gives for each level the (n,) group of every series.
    A group's series are the sums of its members, its weight their share of value, its scale its own."""
    found = {}
    for name, members in levels.items():
        codes = pd.factorize(members)[0]
        y, f, past, weight = (_sums(values, codes) for values in (actual, forecast, history, value[:, None]))
        found[name] = weighted_mean(rmsse(y, f, squared_scale(past)), weight[:, 0])
    return {**found, "mean": float(np.mean(list(found.values())))}


def by_segment(frame: pd.DataFrame, segment: str, metrics: Mapping[str, Callable[[pd.DataFrame], float]]) -> pd.DataFrame:
    """Rows `segment, metric, value` of each metric over the rows of each segment, and over all rows as segment `all`."""
    parts = {"all": frame, **{str(name): part for name, part in frame.groupby(segment, observed=True)}}
    rows = [(name, metric, measure(part)) for name, part in parts.items() for metric, measure in metrics.items()]
    return pd.DataFrame(rows, columns=["segment", "metric", "value"])


def _rowmean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _scale(history: np.ndarray, season: int, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    known = np.where(np.maximum.accumulate(np.nan_to_num(history) > 0, axis=1), history, np.nan)
    scale = _rowmean(measure(known[:, season:] - known[:, :-season])) if history.shape[1] > season else np.full(len(history), np.nan)
    return np.where(scale > 0, scale, np.nan)


def _sums(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(groups, ...) sums of rows by code, unknown as 0."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    return np.add.reduceat(np.nan_to_num(values)[order], starts, axis=0, dtype=np.float64)
