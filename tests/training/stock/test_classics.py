"""The textbook's levels against stockpyl, and their costs against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from stockpyl.eoq import economic_order_quantity as eoq
from stockpyl.newsvendor import newsvendor_discrete, newsvendor_normal, newsvendor_poisson
from stockpyl.rq import r_q_poisson_exact
from stockpyl.ss import s_s_discrete_exact

from training.stock import classics
from training.stock.simulate import Costs, Policy, simulate

CASES = [(0.2, 1.0, 6.0), (1.0, 4.0, 20.0), (0.18, 0.7, 50.0), (1.0, 99.0, 2.5)]


@pytest.mark.parametrize(("holding", "shortage", "mean"), CASES)
def test_newsvendors_to_a_millionth(holding: float, shortage: float, mean: float) -> None:
    h, p, m = (np.array([value]) for value in (holding, shortage, mean))
    for found, known in (
        (classics.newsvendor_normal(h, p, m, m / 4), newsvendor_normal(holding, shortage, mean, mean / 4)),
        (classics.newsvendor_poisson(h, p, m), newsvendor_poisson(holding, shortage, mean)),
    ):
        assert (found[0][0], found[1][0]) == pytest.approx(known, abs=1e-6)
    level, cost = classics.newsvendor_negative_binomial(h, p, m, 3 * m)
    from scipy.stats import nbinom

    chance = {k: float(nbinom.pmf(k, mean / 2, 1 / 3)) for k in range(2000)}
    known = newsvendor_discrete(holding, shortage, demand_pmf=chance)
    assert (level[0], cost[0]) == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize(("holding", "fixed", "rate"), [(0.225, 8.0, 1300.0), (0.02, 5.0, 10.0)])
def test_economic_order_quantity(holding: float, fixed: float, rate: float) -> None:
    assert classics.economic_order_quantity(fixed, holding, rate) == pytest.approx(eoq(fixed, holding, rate), abs=1e-6)


@pytest.mark.parametrize(
    ("holding", "shortage", "fixed", "mean", "lead"), [(20, 150, 100, 1.5, 2), (1, 9, 20, 4, 1.5), (0.2, 1, 3, 0.4, 3)]
)
def test_reorder_point_and_quantity(holding: float, shortage: float, fixed: float, mean: float, lead: float) -> None:
    found = classics.best_reorder_quantity(holding, shortage, fixed, mean, lead)
    assert found == pytest.approx(r_q_poisson_exact(holding, shortage, fixed, mean, lead), abs=1e-6)


@pytest.mark.parametrize(("holding", "shortage", "fixed", "mean"), [(1, 4, 5, 6), (1, 9, 64, 10), (0.2, 1, 2, 0.7)])
def test_reorder_point_and_level(holding: float, shortage: float, fixed: float, mean: float) -> None:
    found = classics.best_reorder_up_to(holding, shortage, fixed, mean)
    assert found == pytest.approx(s_s_discrete_exact(holding, shortage, fixed, True, demand_mean=mean)[:3], abs=1e-6)


def _cost(policy: Policy, demand: np.ndarray, start: float, lead: int, costs: Costs, **kwargs: object) -> tuple[float, float]:
    outcome = simulate(policy, demand, np.full(len(demand), start), lead, costs, warm_up=50, **kwargs)  # type: ignore[arg-type]
    each = outcome.money / (demand.shape[1] - 50)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def test_the_simulator_says_what_the_exact_searches_say() -> None:
    demand = np.random.default_rng(4).poisson(6.0, (400, 650)).astype(float)
    point, level, cost = classics.best_reorder_up_to(1, 4, 5, 6)
    found, error = _cost(classics.reorder_up_to(point, level), demand, level, 0, Costs(1, 4, 5), backorders=True)
    assert abs(found - cost) < 3 * error
    # orders that a review places every third period cover four with a lead time of one
    level, _ = classics.newsvendor_poisson(1.0, 4.0, 24.0)
    every, _ = _cost(classics.order_up_to(level, 3), demand, float(level), 1, Costs(1, 4), backorders=True)
    each, _ = _cost(classics.order_up_to(level - 8, 1), demand, float(level), 1, Costs(1, 4), backorders=True)
    assert every > each


def test_a_quantity_is_reordered_whole_until_the_point_is_passed() -> None:
    order = classics.reorder_quantity(5.0, 4.0)(0, np.array([6.0, 5.0, 2.0, 1.0]), np.zeros((4, 1)))
    np.testing.assert_array_equal(order, [0.0, 4.0, 4.0, 8.0])


def test_what_lives_a_period_is_a_newsvendor_that_pays_for_waste() -> None:
    demand = np.random.default_rng(6).poisson(5.0, (600, 450)).astype(float)
    level, cost = classics.fresh_poisson(0.1, 2.0, 1.0, 5.0)
    known = newsvendor_poisson(1.1, 2.0, 5.0)
    assert (level, cost) == pytest.approx(known, abs=1e-6)
    found, error = _cost(classics.order_up_to(level), demand, 0.0, 0, Costs(0.1, 2.0, 0.0, 1.0), shelf_life=np.ones(600))
    assert abs(found - cost) < 3 * error
