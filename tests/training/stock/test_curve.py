"""Service against stock: against the simulator, and its shape."""

from __future__ import annotations

import numpy as np

from tests.training.stock.test_policies import demand, terms
from training.stock.classics import order_up_to
from training.stock.curve import curve
from training.stock.simulate import Costs, simulate


def test_the_curve_is_what_the_simulator_finds() -> None:
    found = curve(demand(4.0, 6), terms(lead=2, review=3, unit_cost=2.0), levels=(0.9,)).iloc[0]
    draws = np.random.default_rng(0).poisson(4.0, (2000, 180)).astype(float)
    # 26 = the 0.9 quantile of Poisson(20)
    outcome = simulate(order_up_to(26.0, 3), draws, np.full(2000, 26.0), 2, Costs(1, 1), backorders=True, warm_up=30)
    served = 1 - outcome.shortage.sum() / outcome.demanded.sum()
    assert abs(found["fill_rate"] - served) < 0.01
    # the simulator counts at the end of the three days of a cycle, the curve its two ends
    assert abs(found["stock_value"] / 2.0 - outcome.stock.mean()) < 2.5


def test_more_service_costs_more_stock_and_groups_add_up() -> None:
    points = curve(demand(4.0, 6, 0.3, count=4), terms(4, lead=2), np.array(["a", "a", "b", "b"]))
    parts = points.pivot(index="service_level", columns="group", values="stock_value")
    np.testing.assert_allclose(parts["a"] + parts["b"], parts["all"])
    for _, line in points.groupby("group"):
        assert line["stock_value"].is_monotonic_increasing and line["fill_rate"].is_monotonic_increasing
