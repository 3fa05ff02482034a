"""Distributions of demand and stock on a grid of buckets, one grid a row, vectorised over rows: exact for slow items
(a bucket is a unit), a fine discretisation for fast ones. Shapes: pmf (rows, BUCKETS), width (rows,) units a bucket."""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, ndtr

#: buckets a row, at most: a slow item's whole distribution unit by unit; a fast one in steps of about 1 % of its range
BUCKETS = 64
#: lengths of grid that rows are sorted into: what sells little needs few buckets
SIZES = (12, 20, 36, BUCKETS)


def reach(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Units (rows,) that hold all but about 1e-4 of a demand with this mean and variance."""
    return mean + 5.0 * np.sqrt(variance) + 4.0


def size(reach: np.ndarray) -> np.ndarray:
    """The shortest of SIZES (rows,) that holds so many units, one a bucket, else BUCKETS."""
    sizes = np.array(SIZES)
    return sizes[np.minimum(np.searchsorted(sizes, np.ceil(reach) + 2), len(sizes) - 1)]


def width(reach: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Units a bucket such that the grid holds `reach` units; at least 1."""
    return np.maximum(np.ceil(reach / (buckets - 2)), 1.0)


def pmf(mean: np.ndarray, variance: np.ndarray, width: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Probabilities of demand with this mean and variance in each bucket: negative binomial (Poisson where the variance
    is no larger than the mean) for rows of width 1, a gamma in buckets around k x width for wider ones. The last bucket
    takes the tail."""
    mean = np.maximum(mean, 1e-9)
    fine = width <= 1.0
    out = np.empty((len(mean), buckets))
    if fine.any():
        out[fine] = _negative_binomial(mean[fine], variance[fine], buckets)
    if not fine.all():
        wide = ~fine
        out[wide] = _gamma(mean[wide], np.maximum(variance[wide], 1e-9), width[wide], buckets)
    return out


def _negative_binomial(mean: np.ndarray, variance: np.ndarray, buckets: int) -> np.ndarray:
    # Panjer's recursion p(k) = p(k-1) (a + b / k), in logs for the first term
    over = np.maximum(variance / mean, 1.0 + 1e-7)
    size = mean / (over - 1.0)
    a = (over - 1.0) / over
    out = np.empty((buckets, len(mean)))
    out[0] = np.exp(-size * np.log(over))
    for k in range(1, buckets):
        out[k] = out[k - 1] * (a * ((size + (k - 1)) / k))
    out[-1] += np.maximum(1.0 - out.sum(axis=0), 0.0)
    out /= out.sum(axis=0)
    return np.ascontiguousarray(out.T)


def _gamma(mean: np.ndarray, variance: np.ndarray, width: np.ndarray, buckets: int) -> np.ndarray:
    edges = (np.arange(buckets)[None, :] + 0.5) * width[:, None]
    shape = mean**2 / variance
    cumulative = np.empty(edges.shape)
    flat = shape >= 1.5
    # Wilson and Hilferty's cube root is within 0.001 there and ten times faster than the incomplete gamma
    a = shape[flat, None]
    cumulative[flat] = ndtr(3.0 * np.sqrt(a) * (np.cbrt(edges[flat] / mean[flat, None]) - 1.0 + 1.0 / (9.0 * a)))
    cumulative[~flat] = gammainc(shape[~flat, None], edges[~flat] / mean[~flat, None] * shape[~flat, None])
    cumulative[:, -1] = 1.0
    return np.diff(cumulative, axis=1, prepend=0.0)


def point(units: np.ndarray, width: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Stock that is known: its two neighbouring buckets, weighed so that the mean is kept; capped at the last bucket."""
    place = np.clip(units / width, 0.0, buckets - 1.0)
    low = np.minimum(place.astype(int), buckets - 2)
    out = np.zeros((len(units), buckets))
    rows = np.arange(len(units))
    out[rows, low] = 1.0 - (place - low)
    out[rows, low + 1] = place - low
    return out


def sell(stock: np.ndarray, demand: np.ndarray) -> np.ndarray:
    """The distribution of max(stock - demand, 0): what is left after a stretch of lost sales."""
    # buckets first: each step is one pass over memory that lies together
    held, sold = np.ascontiguousarray(stock.T), np.ascontiguousarray(demand.T)
    buckets = len(held)
    out = held * sold[0]
    for k in range(1, _reach(sold)):
        out[: buckets - k] += held[k:] * sold[k]
    out[0] += np.maximum(held.sum(axis=0) - out.sum(axis=0), 0.0)
    return np.ascontiguousarray(out.T)


def _reach(first: np.ndarray) -> int:
    """Buckets (axis 0) up to the last that any row gives a chance worth counting."""
    live = np.flatnonzero(first.max(axis=1) > 1e-12)
    return int(live[-1]) + 1 if len(live) else 1


def receive(stock: np.ndarray, units: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The distribution of stock + units; what passes the last bucket stays in it."""
    buckets = stock.shape[1]
    place = np.clip(units / width, 0.0, buckets - 1.0)
    low = place.astype(int)
    return (1.0 - (place - low))[:, None] * _shift(stock, low) + (place - low)[:, None] * _shift(stock, low + 1)


def _shift(stock: np.ndarray, by: np.ndarray) -> np.ndarray:
    buckets = stock.shape[1]
    source = np.arange(buckets)[None, :] - by[:, None]
    out = np.where(source >= 0, np.take_along_axis(stock, np.maximum(source, 0), axis=1), 0.0)
    out[:, -1] += 1.0 - out.sum(axis=1)
    return out


def requirement(stock: np.ndarray, demand: np.ndarray) -> np.ndarray:
    """The distribution of demand - stock, buckets -(B-1) to B-1: shape (rows, 2 B - 1)."""
    held, wanted = np.ascontiguousarray(stock.T), np.ascontiguousarray(demand.T)
    buckets = len(held)
    out = np.zeros((2 * buckets - 1, held.shape[1]))
    for k in range(_reach(held)):
        out[buckets - 1 - k : 2 * buckets - 1 - k] += held[k] * wanted
    return np.ascontiguousarray(out.T)


def mean(distribution: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Expected units of a distribution on buckets 0 to B-1."""
    return (distribution @ np.arange(distribution.shape[1])) * width
