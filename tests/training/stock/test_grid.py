"""Distributions on buckets against scipy and against simple enumeration."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from training.stock import grid

_ONE = np.ones(1)


@given(mean=st.floats(0.05, 8.0), over=st.floats(1.05, 4.0))
@settings(max_examples=40, deadline=None)
def test_slow_items_are_negative_binomial_to_the_unit(mean: float, over: float) -> None:
    found = grid.pmf(mean * _ONE, mean * over * _ONE, _ONE)[0]
    exact = nbinom.pmf(np.arange(grid.BUCKETS), mean / (over - 1), 1 / over)
    np.testing.assert_allclose(found[:-1], exact[:-1], atol=1e-6)


def test_without_spread_beyond_chance_it_is_poisson() -> None:
    found = grid.pmf(3.0 * _ONE, 3.0 * _ONE, _ONE)[0]
    np.testing.assert_allclose(found, poisson.pmf(np.arange(grid.BUCKETS), 3.0), atol=1e-5)


@given(mean=st.floats(60, 5000), cv2=st.floats(0.02, 1.5))
@settings(max_examples=40, deadline=None)
def test_wide_buckets_keep_mean_and_spread(mean: float, cv2: float) -> None:
    variance = mean + cv2 * mean**2
    width = grid.width(grid.reach(mean * _ONE, variance * _ONE))
    found = grid.pmf(mean * _ONE, variance * _ONE, width)
    assert abs(float(grid.mean(found, width)[0]) - mean) < 0.03 * mean
    values = np.arange(grid.BUCKETS) * width[0]
    deviation = np.sqrt((found[0] * (values - mean) ** 2).sum())
    assert abs(deviation - np.sqrt(variance)) < 0.08 * np.sqrt(variance)


@given(st.integers(0, 12), st.integers(0, 9), st.floats(0.2, 5.0))
@settings(max_examples=40, deadline=None)
def test_stock_after_lost_sales_and_a_receipt_by_enumeration(on_hand: int, receipt: int, mean: float) -> None:
    demand = grid.pmf(mean * _ONE, 1.5 * mean * _ONE, _ONE)
    after = grid.receive(grid.sell(grid.point(on_hand * _ONE, _ONE), demand), receipt * _ONE, _ONE)[0]
    exact = np.zeros(grid.BUCKETS)
    np.add.at(exact, np.maximum(on_hand - np.arange(grid.BUCKETS), 0) + receipt, demand[0])
    np.testing.assert_allclose(after, exact, atol=1e-9)


def test_requirement_is_the_distribution_of_the_difference() -> None:
    draw = np.random.default_rng(3)
    stock, demand = draw.dirichlet(np.ones(grid.BUCKETS), 2), draw.dirichlet(np.ones(grid.BUCKETS), 2)
    found = grid.requirement(stock, demand)
    exact = np.zeros_like(found)
    for row in range(2):
        for held in range(grid.BUCKETS):
            for wanted in range(grid.BUCKETS):
                exact[row, wanted - held + grid.BUCKETS - 1] += stock[row, held] * demand[row, wanted]
    np.testing.assert_allclose(found, exact, atol=1e-12)
