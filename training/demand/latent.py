"""Demand beside sales. Days wholly in stock are the days on which little was asked for: a shelf that a busy day empties is
not among them. Their mean is what a day in stock sells, and less than what customers wanted.

A day on which the shelf emptied tells both how much was sold and for how long it could be: units over time in stock is the
rate of demand (the likelihood of a Poisson process that is watched until it is stopped), so nothing has to be imputed. This
module learns by how much that rate exceeds the mean of days in stock: by size of the mean, and by how often the series was
out of stock lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.demand.balance import IN_STOCK, stocked
from training.demand.examples import FULL, Rows

#: classes of the mean's size
_SIZES = 8
#: units of sale that pull a class's factor to that of its size, and a size's to that of all
_UNITS = 200.0
#: demand is not taken for more than this many times the sales of a day in stock
_MOST = 3.0


@dataclass(frozen=True)
class LatentDemand:
    """`factors` (S, 4) demand over the mean of a day in stock, for S classes of the mean cut at `sizes` (S-1,) units and
    four of the share of the last four weeks in stock."""

    sizes: np.ndarray
    factors: np.ndarray

    @classmethod
    def nothing_lost(cls) -> LatentDemand:
        """Where nothing ever sold out: demand is what is sold."""
        return cls(np.empty(0), np.ones((1, len(IN_STOCK) + 1)))

    @classmethod
    def fit(cls, rows: Rows, mean: np.ndarray, units: np.ndarray, in_stock: np.ndarray) -> LatentDemand:
        """From m examples of days at least partly in stock: their (m,) means of a day in stock, what they sold, and the share
        of the day they were in stock."""
        full = in_stock >= FULL
        if full.all() or not units[full].sum() > 0:
            return cls.nothing_lost()
        sizes = np.unique(np.quantile(mean, np.arange(1, _SIZES) / _SIZES))
        size, often = np.digitize(mean, sizes), stocked(rows)
        shape = (len(sizes) + 1, len(IN_STOCK) + 1)
        cell = size * shape[1] + often
        # both over the same forecasts, so that what these are off by falls out
        sold, expected = _sums(cell, units, shape), _sums(cell, mean * in_stock, shape)
        sold_full, expected_full = _sums(cell, units * full, shape), _sums(cell, mean * full, shape)
        whole = _excess(sold.sum(), expected.sum(), sold_full.sum(), expected_full.sum(), np.ones(()))
        by_size = _excess(sold.sum(axis=1), expected.sum(axis=1), sold_full.sum(axis=1), expected_full.sum(axis=1), whole)
        return cls(sizes, _excess(sold, expected, sold_full, expected_full, by_size[:, None]))

    def demand(self, rows: Rows, units: np.ndarray) -> np.ndarray:
        """(m,) units that would be asked for, of rows whose mean of a day in stock is `units`."""
        return units * self.factors[np.digitize(units, self.sizes), stocked(rows)]


def _sums(cell: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(cell, values, shape[0] * shape[1]).reshape(shape)


def _excess(sold: np.ndarray, expected: np.ndarray, sold_full: np.ndarray, expected_full: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The rate of demand over that of days in stock, pulled to `prior` by _UNITS units, from 1 to _MOST."""
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = (sold / expected) / (sold_full / expected_full)
    raw = np.where(np.isfinite(raw), raw, prior)
    weight = sold_full / (sold_full + _UNITS)
    return np.clip(weight * raw + (1 - weight) * prior, 1.0, _MOST)
