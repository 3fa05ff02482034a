"""How surprising a count is: tail probabilities of the negative binomial, runs of zeros, sums over a window. All results
are in powers of ten (3 = one day in a thousand)."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammaln
from scipy.stats import nbinom

#: cells nearer to their mean than this many standard deviations are not worth an exact tail
_PLAIN_SD = 0.7
_LEAST = 1e-300


def surprise(x: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(too many, too few): -log10 of the mid-p tail probability of counts `x` under a negative binomial with `mean` and
    variance mean + spread x mean^2; 0 on the side that does not apply and where `x` or the mean is unknown.

    P(X <= k) = I(p; r, k+1) with r = 1/spread, p = r/(r+mean); mid-p counts half of P(X = k)."""
    high, low = np.zeros(x.shape, dtype=np.float32), np.zeros(x.shape, dtype=np.float32)
    away = np.abs(x - mean) > _PLAIN_SD * np.sqrt(mean + spread * mean**2)
    at = np.nonzero(away & (mean > 0))
    k, mu, r = x[at].astype(float), mean[at].astype(float), 1.0 / np.maximum(spread[at].astype(float), 1e-4)
    p, q = r / (r + mu), mu / (r + mu)
    half = 0.5 * np.exp(gammaln(k + r) - gammaln(r) - gammaln(k + 1) + r * np.log(p) + k * np.log(np.maximum(q, _LEAST)))
    above = k > mu
    tail = np.where(above, betainc(k + 1, r, q), betainc(r, k + 1, p) - half) + np.where(above, half, 0)
    powers = -np.log10(np.maximum(tail, _LEAST))
    high[at], low[at] = np.where(above, powers, 0), np.where(above, 0, powers)
    return high, low


def zero_runs(x: np.ndarray, mean: np.ndarray, spread: np.ndarray, keep: float = 0.9) -> np.ndarray:
    """-log10 of the probability of the present run of zeros (0 where a day sold or is unknown), from how often a zero
    followed a zero in the series before, drawn to the negative binomial's P(0). `keep` forgets old days of a run, so that
    a series that went to sleep is news for a few weeks only."""
    r = 1.0 / np.maximum(spread, 1e-4)
    none = (r / (r + mean)) ** r
    run, out = np.zeros(len(x)), np.zeros(x.shape, dtype=np.float32)
    was_zero, stayed, zeros = np.zeros(len(x), dtype=bool), np.zeros(len(x)), np.zeros(len(x))
    for t in range(x.shape[1]):
        known, zero = ~np.isnan(x[:, t]) & (mean[:, t] > 0), x[:, t] == 0
        again = (stayed + 5.0 * none[:, t]) / (zeros + 5.0)
        chance = np.where(was_zero, np.maximum(again, none[:, t]), none[:, t])
        run = np.where(known, np.where(zero, keep * run - np.log10(np.maximum(chance, _LEAST)), 0), run)
        out[:, t] = np.where(known, run, 0)
        counted = known & was_zero
        stayed, zeros = np.where(counted, 0.99 * stayed + zero, stayed), np.where(counted, 0.99 * zeros + 1, zeros)
        was_zero = np.where(known, zero, was_zero)
    return out


def window_sums(values: np.ndarray, width: int) -> np.ndarray:
    """Sums of the last `width` columns up to each (fewer at the start)."""
    total = np.cumsum(values, axis=1, dtype=float)
    total[:, width:] = total[:, width:] - total[:, :-width].copy()
    return total


def shifts(x: np.ndarray, level: np.ndarray, weight: np.ndarray, spread: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Surprise of the last `width` periods' sum under the level known before the window: (moved up, moved down). Nothing
    where that level rests on fewer than `width` periods: there is no earlier level to move from."""
    before = np.concatenate([np.zeros((len(level), width)), level[:, :-width]], axis=1)[:, : level.shape[1]]
    known = ~np.isnan(x)
    seen = known & (weight > 0)
    due = np.where(seen_before(seen, width) >= width, before * window_sums(np.where(known, weight, 0), width), 0.0)
    sums = window_sums(np.where(known, x, 0), width)
    # days within a window move together: how much more than independent days is learned from earlier windows
    independent = due + spread / width * due**2 + 1e-6
    square = np.where(known & (due > 0), np.minimum((sums - due) ** 2 / independent, 25.0), 0.0)
    inflation = np.maximum(_lagged_mean(square, known & (due > 0), width, 30.0), 1.0)
    wide = (independent * inflation - due).clip(0) / np.maximum(due, 1e-6) ** 2
    return surprise(np.where(known, sums, np.nan), due, wide + 1e-3)


def seen_before(seen: np.ndarray, lag: int) -> np.ndarray:
    """How many cells of each row were `seen` up to `lag` columns ago."""
    return _lagged_sums(seen.astype(float), lag)


def _lagged_mean(values: np.ndarray, counted: np.ndarray, lag: int, prior: float) -> np.ndarray:
    """Mean of the `counted` cells of each row up to `lag` columns ago, drawn to that of all rows with the weight of `prior` cells."""
    total, cells = _lagged_sums(np.where(counted, values, 0.0), lag), seen_before(counted, lag)
    everyone = np.where(cells.any(axis=0), total.sum(axis=0) / np.maximum(cells.sum(axis=0), 1), 2.0)
    return (total + prior * everyone) / (cells + prior)


def _lagged_sums(values: np.ndarray, lag: int) -> np.ndarray:
    return np.concatenate([np.zeros((len(values), lag)), np.cumsum(values, axis=1)], axis=1)[:, : values.shape[1]]


def interval(mean: np.ndarray, spread: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The central `level` interval of the negative binomial, in units."""
    r = 1.0 / np.maximum(np.asarray(spread, dtype=float), 1e-4)
    p = r / (r + np.maximum(np.asarray(mean, dtype=float), 1e-9))
    return nbinom.ppf((1 - level) / 2, r, p), nbinom.ppf((1 + level) / 2, r, p)
