"""The simulator against closed forms and against stockpyl."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import norm, poisson
from stockpyl.eoq import economic_order_quantity
from stockpyl.newsvendor import newsvendor_normal, newsvendor_poisson

from training.stock.simulate import Costs, Policy, simulate


def up_to(level: np.ndarray | float) -> Policy:
    return lambda _, stock, pipeline: np.maximum(level - stock - pipeline.sum(axis=1), 0.0)


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def test_backordered_base_stock_costs_what_the_newsvendor_says() -> None:
    h, p, mean, deviation = 0.18, 0.70, 50.0, 8.0
    level, cost = newsvendor_normal(h, p, mean, deviation)
    demand = np.random.default_rng(1).normal(mean, deviation, (400, 200))
    outcome = simulate(up_to(level), demand, np.full(400, level), 0, Costs(h, p), backorders=True)
    found, error = _mean_and_error((outcome.holding + outcome.shortage) / 200)
    assert abs(found - cost) < 3 * error


def test_poisson_newsvendor_over_a_lead_time() -> None:
    h, p, mean, lead = 1.0, 4.0, 6.0, 2
    # with backorders a lead time of k periods adds k periods of demand to the newsvendor's
    level, cost = newsvendor_poisson(h, p, mean * (lead + 1))
    demand = np.random.default_rng(2).poisson(mean, (500, 210)).astype(float)
    outcome = simulate(up_to(level), demand, np.full(500, level), lead, Costs(h, p), backorders=True, warm_up=10)
    found, error = _mean_and_error((outcome.holding + outcome.shortage) / 200)
    assert abs(found - cost) < 3 * error


def test_base_stock_with_lost_sales_and_no_lead_time_is_exact() -> None:
    demand = np.random.default_rng(3).poisson(3.0, (300, 400)).astype(float)
    outcome = simulate(up_to(5.0), demand, np.full(300, 5.0), 0, Costs(0.3, 2.0))
    served = sum(min(k, 5) * poisson.pmf(k, 3.0) for k in range(60))
    found, error = _mean_and_error(outcome.served / 400)
    assert abs(found - served) < 3 * error
    np.testing.assert_allclose(outcome.demanded - outcome.served, outcome.shortage / 2.0)


def test_steady_demand_ordered_by_eoq_costs_the_square_root() -> None:
    fixed, h, rate = 8.0, 0.02, 5.0
    quantity, cost = economic_order_quantity(fixed, h, rate)
    assert quantity == pytest.approx(np.sqrt(2 * fixed * rate / h))
    # many small periods a unit of time come close to continuous time
    steps, per = 10_000, 40
    demand = np.full((1, steps), rate / per)
    outcome = simulate(lambda _, s, __: np.where(s < rate / per, quantity, 0.0), demand, np.full(1, quantity), 0, Costs(h / per, 0, fixed))
    cycles = int(steps * rate / per / quantity)
    assert outcome.cost / (cycles * quantity / rate) == pytest.approx(cost, rel=0.04)


def test_random_lead_times_and_conservation() -> None:
    draw = np.random.default_rng(5)
    demand, lead = draw.poisson(4.0, (50, 100)).astype(float), draw.integers(0, 4, (50, 100))
    ordered = np.zeros(50)

    def policy(_: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        order = np.maximum(15 - stock - pipeline.sum(axis=1), 0)
        ordered[:] += order
        return order

    outcome = simulate(policy, demand, np.full(50, 10.0), lead, Costs(1.0, 1.0))
    # what was there, plus what came, is what was sold or is left or still on its way
    assert np.all(outcome.served <= 10 + ordered + 1e-9)
    assert np.all(10 + ordered - outcome.served <= 15 + 1e-9)


def test_a_lead_time_serves_the_period_it_says() -> None:
    demand = np.zeros((1, 6))
    demand[0, 3] = 5.0
    once: Policy = lambda t, stock, _: np.where(t == 0, 5.0, 0.0) + 0 * stock  # noqa: E731
    assert simulate(once, demand, np.zeros(1), 3, Costs(0, 1)).cost == 0
    assert simulate(once, demand, np.zeros(1), 4, Costs(0, 1)).cost == 5


def test_a_million_series_periods_a_second() -> None:
    demand = np.random.default_rng(0).poisson(2.0, (100_000, 30)).astype(float)
    started = time.process_time()
    simulate(up_to(9.0), demand, np.full(100_000, 9.0), 3, Costs(0.2, 1.0))
    assert 3.0e6 / (time.process_time() - started) > 1e6


def test_normal_loss_is_what_is_lost() -> None:
    demand = np.random.default_rng(7).normal(100, 10, (2000, 50))
    outcome = simulate(up_to(105.0), demand, np.full(2000, 105.0), 0, Costs(0, 1))
    z = 0.5
    found, error = _mean_and_error(outcome.shortage / 50)
    assert abs(found - 10 * (norm.pdf(z) - z * norm.sf(z))) < 3 * error
