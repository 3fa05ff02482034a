"""The marginal rule against closed forms and against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from training.stock.demand_distribution import Demand
from training.stock.policies import Shelf, decision_of
from training.stock.terms import LEADS, Terms


def terms(count: int = 1, lead: int = 0, **other: float) -> Terms:
    ones = np.ones(count)
    plain = Terms(
        holding=0.2 * ones, shortage=ones, fixed=0 * ones, unit_cost=ones, review=np.ones(count, int), pack=ones, minimum=0 * ones, maximum=np.inf * ones, service=0 * ones,
        shelf_life=np.inf * ones, leads=np.full((count, LEADS), lead), lead_share=np.tile(np.eye(LEADS)[0], (count, 1)),
        policy=np.zeros(count, int),
    )  # fmt: skip
    return replace(plain, **{name: np.full(count, value) for name, value in other.items()})


def demand(mean: float, periods: int, single: float = 0.0, count: int = 1) -> Demand:
    return Demand(np.full((count, periods), mean), np.zeros(count), np.full(count, single))


def shelf(on_hand: float, *receipts: float) -> Shelf:
    return Shelf(np.array([on_hand]), np.array([[*receipts, 0.0]]))


@given(mean=st.floats(0.3, 12.0), shortage=st.floats(0.3, 8.0))
@settings(max_examples=40, deadline=None)
def test_without_lead_time_it_is_the_discrete_newsvendor(mean: float, shortage: float) -> None:
    got = decision_of(demand(mean, 1), shelf(0), terms(shortage=shortage), 1.0).order[0]
    ratio = shortage / (shortage + 0.2)
    assert got in (poisson.ppf(ratio - 1e-6, mean), poisson.ppf(ratio + 1e-6, mean))


def left_over(on_hand: int, receipts: Sequence[int], chance: np.ndarray) -> dict[int, float]:
    """Chances of what is left after a period a receipt, in which unserved demand, of `chance` by units, is lost: by brute force."""
    stock: dict[int, float] = {on_hand: 1.0}
    for arriving in receipts:
        left: dict[int, float] = {}
        for units, weight in stock.items():
            for wanted, share in enumerate(chance):
                rest = max(units + arriving - wanted, 0)
                left[rest] = left.get(rest, 0.0) + weight * share
        stock = left
    return stock


@given(mean=st.floats(0.3, 6.0), on_hand=st.integers(0, 12), receipt=st.integers(0, 8))
@example(mean=0.3046875, on_hand=4, receipt=8)  # more comes than the grid holds
@settings(max_examples=30, deadline=None)
def test_lost_sales_through_the_lead_time_by_brute_force(mean: float, on_hand: int, receipt: int) -> None:
    got = decision_of(demand(mean, 3, 0.3), shelf(on_hand, 0, receipt), terms(lead=2), 1.0)
    chance = nbinom.pmf(np.arange(60), 1 / 0.3, 1 / (1 + 0.3 * mean))
    stock = left_over(on_hand, (0, receipt), chance)

    def cost(order: int) -> float:
        return sum(
            weight * share * (0.2 * max(units + order - wanted, 0) + max(wanted - units - order, 0))
            for units, weight in stock.items()
            for wanted, share in enumerate(chance)
        )

    best = min(cost(order) for order in range(30))
    assert cost(int(got.order[0])) == pytest.approx(best, abs=1e-4)
    assert got.holding[0] + got.shortage[0] == pytest.approx(cost(int(got.order[0])), abs=2e-3)


def test_orders_fall_with_stock_and_rise_with_the_price_of_a_loss() -> None:
    orders = [decision_of(demand(4.0, 3, 0.2), shelf(stock), terms(lead=2)).order[0] for stock in range(0, 30, 3)]
    assert orders == sorted(orders, reverse=True) and orders[0] > 0 and orders[-1] == 0
    dear = [decision_of(demand(4.0, 1, 0.2), shelf(0), terms(shortage=p)).order[0] for p in (0.1, 0.5, 1, 5, 50)]
    assert dear == sorted(dear) and dear[0] < dear[-1]


@given(pack=st.integers(1, 9), minimum=st.integers(0, 20), mean=st.floats(0.5, 9.0), stock=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_orders_are_whole_packs_of_at_least_the_minimum(pack: int, minimum: int, mean: float, stock: int) -> None:
    order = decision_of(demand(mean, 2, 0.3), shelf(stock), terms(lead=1, pack=float(pack), minimum=float(minimum))).order[0]
    assert order % pack == 0
    assert order == 0 or order >= minimum


def test_a_fixed_cost_makes_orders_rare_and_large() -> None:
    plain = decision_of(demand(10.0, 1), shelf(0), terms(holding=0.02))
    dear = decision_of(demand(10.0, 1), shelf(0), terms(holding=0.02, fixed=5.0))
    assert dear.order[0] > plain.order[0] + 40  # economic order quantity: sqrt(2 x 5 x 10 / 0.02) = 71
    assert decision_of(demand(10.0, 1), shelf(13), terms(holding=0.02, fixed=5.0)).order[0] == 0


def test_what_spoils_is_ordered_shorter() -> None:
    keeps = decision_of(demand(3.0, 9, 0.3), shelf(0), terms(review=7, holding=0.001))
    spoils = decision_of(demand(3.0, 9, 0.3), shelf(0), terms(review=7, holding=0.001, shelf_life=2.0))
    assert spoils.order[0] < 0.5 * keeps.order[0]


@given(mean=st.floats(0.5, 9.0), shortage=st.floats(0.3, 8.0))
@settings(max_examples=30, deadline=None)
def test_what_lives_a_review_is_a_newsvendor_that_pays_for_waste(mean: float, shortage: float) -> None:
    # 0.2 of holding and 1 of waste a unit left
    got = decision_of(demand(mean, 2), shelf(0), terms(shortage=shortage, shelf_life=1.0)).order[0]
    ratio = shortage / (shortage + 1.2)
    assert got in (poisson.ppf(ratio - 1e-6, mean), poisson.ppf(ratio + 1e-6, mean), 0.0)
    assert got > 0 or shortage * mean < 1.3 * np.exp(-mean) + 1.2 * mean


def test_random_lead_times_need_more() -> None:
    leads = np.array([[1, 5, 5, 5, 5]])
    mixed = replace(terms(lead=3), leads=leads, lead_share=np.array([[0.5, 0.5, 0, 0, 0]]))
    sure = decision_of(demand(4.0, 8), shelf(16), terms(lead=3, shortage=20.0))
    unsure = decision_of(demand(4.0, 8), shelf(16), replace(mixed, shortage=np.array([20.0])))
    assert unsure.order[0] > sure.order[0]
    assert unsure.lead_spread[0] > 0 == sure.lead_spread[0]


def test_slices_do_not_change_an_answer() -> None:
    draw = np.random.default_rng(0)
    mean = draw.exponential(5.0, 5000)
    many = Demand(np.repeat(mean[:, None], 3, axis=1), np.full(5000, 0.1), np.full(5000, 0.4))
    whole = decision_of(many, Shelf(np.zeros(5000), np.zeros((5000, 1))), terms(5000, lead=2))
    some = decision_of(many.take(slice(4000, 4100)), Shelf(np.zeros(100), np.zeros((100, 1))), terms(100, lead=2))
    np.testing.assert_array_equal(whole.order[4000:4100], some.order)


def test_on_an_empty_shelf_the_order_does_not_depend_on_the_lead_time() -> None:
    """What is asked for before it comes is lost, and its distribution needs no grid."""
    orders = [decision_of(demand(10.0, lead + 1), shelf(0), terms(lead=lead)).order[0] for lead in (0, 14, 60, 150)]
    assert len(set(orders)) == 1 and orders[0] > 10


def test_deliveries_on_the_way_are_sold_and_not_lost_in_wide_buckets() -> None:
    """A delivery of a day's demand each day: little of it is lost, whatever the lead time."""
    got = decision_of(demand(10.0, 91), Shelf(np.array([10.0]), np.full((1, 90), 10.0)), terms(lead=90))
    assert 0 < got.lost[0] < 60


def test_what_lies_beyond_the_grid_is_no_target() -> None:
    few, many = (decision_of(demand(2.0, 10), shelf(units), terms(lead=3, review=7)) for units in (5.0, 10_000.0))
    assert many.order[0] == 0 and many.target[0] == pytest.approx(few.target[0], abs=4)
