"""Demand beside sales. Days wholly in stock are the days on which little was asked for: a shelf that a busy day empties is
not among them. Their mean is what a day in stock sells, and less than what customers wanted.

A day on which the shelf emptied tells both how much was sold and for how long it could be. Let shoppers come at a rate that
a day draws from a gamma distribution around the forecast. Whatever stops the watching (the night, or the last unit sold), a day
that sold k in the share T of it has a likelihood in its rate x of x^k exp(-x T), so its expected rate is
(a + k) / (a / mean + T), with a the shape of the gamma: nothing has to be imputed, no day is left out. Units over time in
stock alone would count the days that emptied early for as little as the time that they were watched. This module learns by
how much the mean of these rates exceeds the mean of days in stock: by size of the mean, and by how often the series was out
of stock lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from training.demand.balance import IN_STOCK, stocked
from training.demand.examples import FULL, Rows

#: classes of the mean's size
_SIZES = 8
#: units of sale that pull a class's factor to that of its size, and a size's to that of all
_UNITS = 200.0
#: demand is not taken for more than this many times the sales of a day in stock
_MOST = 3.0
#: shapes that compete for how much a day's rate varies around its forecast, from wildly to hardly
_SHAPES = np.geomspace(0.25, 64, 17)
#: rounds of expectation and maximisation, each of which takes a good part of what is left
_ROUNDS = 30
#: units: no mean is taken for less
_LEAST = 1e-9


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
        watched = _Watched(mean, units, in_stock)
        shape = watched.likeliest_shape(size)
        whole = watched.excess(np.zeros(len(mean), dtype=int), 1, shape, np.ones(1))
        by_size = watched.excess(size, len(sizes) + 1, shape, whole)
        cells = (len(sizes) + 1, len(IN_STOCK) + 1)
        cell = size * cells[1] + often
        return cls(sizes, watched.excess(cell, cells[0] * cells[1], shape, np.repeat(by_size, cells[1])).reshape(cells))

    def demand(self, rows: Rows, units: np.ndarray) -> np.ndarray:
        """(m,) units that would be asked for, of rows whose mean of a day in stock is `units`."""
        return units * self.factors[np.digitize(units, self.sizes), stocked(rows)]


@dataclass(frozen=True)
class _Watched:
    """m days: the `mean` forecast, the `units` sold while `in_stock`, each (m,)."""

    mean: np.ndarray
    units: np.ndarray
    in_stock: np.ndarray

    def excess(self, cell: np.ndarray, count: int, shape: float, prior: np.ndarray) -> np.ndarray:
        """(count,) the rate of demand over that of days in stock in each of the cells, pulled to `prior` by _UNITS units, from 1
        to _MOST. Both are over the same forecasts, so that what these are off by falls out."""
        full, prior = self.in_stock >= FULL, np.broadcast_to(prior, (count,))
        sold, told = (np.bincount(cell, values * full, count) for values in (self.units, self.mean))
        raw = _over(self.rates(cell, count, shape), _over(sold, told, prior), prior)
        weight = sold / (sold + _UNITS)
        return np.clip(weight * raw + (1 - weight) * prior, 1.0, _MOST)

    def rates(self, cell: np.ndarray, count: int, shape: float) -> np.ndarray:
        """(count,) the sum of the days' expected rates over that of their forecasts, for each of the cells."""
        told, factor = np.bincount(cell, self.mean, count), np.ones(count)
        for _ in range(_ROUNDS):
            rate = (shape + self.units) / (shape / np.maximum(factor[cell] * self.mean, _LEAST) + self.in_stock)
            factor = np.maximum(_over(np.bincount(cell, rate, count), told, factor), _LEAST)
        return factor

    def likeliest_shape(self, cell: np.ndarray) -> float:
        """The shape under which the days are likeliest, each cell at its own rate."""
        return float(max(_SHAPES, key=lambda shape: self._log_likelihood(cell, shape)))

    def _log_likelihood(self, cell: np.ndarray, shape: float) -> float:
        """Of the negative binomial that is left when a day's rate is integrated out, less what no shape changes."""
        mean = np.maximum(self.rates(cell, int(cell.max()) + 1, shape)[cell] * self.mean, _LEAST)
        each = (
            gammaln(shape + self.units) - (shape + self.units) * np.log1p(mean * self.in_stock / shape) + self.units * np.log(mean / shape)
        )
        return float(each.sum() - len(mean) * gammaln(shape))


def _over(above: np.ndarray, below: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.array(otherwise, dtype=float), where=below > 0)
