"""A distribution centre and its stores: what it orders, and who gets what when it is short."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from infra.errors import BadInput
from tests.training.stock.test_transfers import lost, world
from training.stock import plan
from training.stock.demand_distribution import Demand
from training.stock.echelons import Network
from training.stock.policies import Decision, Shelf, decision_of
from training.stock.rules import rules
from training.stock.terms import Terms


def network(supplier: list[int]) -> Network:
    return Network(np.array(supplier))


def decided(demand: Demand, shelf: Shelf, terms: Terms) -> Callable[[np.ndarray], Decision]:
    return lambda charge: decision_of(demand, shelf, terms, 1.0, charge)


def test_a_centre_with_one_store_orders_like_a_store_with_both_lead_times() -> None:
    _, demand, shelf, terms = world([5, 3], [9.9, 2.0], lead=3)
    net = network([-1, 0])
    found = decision_of(net.demand(demand, np.zeros(2, bool)), net.shelf(shelf), net.terms(terms, demand))
    _, alone, _, through = world([0, 0], [2.0, 2.0], lead=6)
    same = decision_of(alone, Shelf(np.array([8.0, 8.0]), np.zeros((2, 1))), through)
    assert found.order[0] == same.order[0] and found.target[0] == pytest.approx(same.target[0])
    assert found.order[0] > 0


def test_the_centres_demand_is_the_sum_of_its_stores() -> None:
    _, demand, *_ = world([0, 0, 0], [1.0, 2.0, 4.0])
    apart = Demand(demand.mean, np.array([0.0, 0.2, 0.4]), np.array([0.0, 0.1, 0.3]))
    mean, variance = network([-1, 0, 0]).demand(apart, np.zeros(3, bool)).total(np.zeros(3, int), np.full(3, 10))
    means, variances = apart.total(np.zeros(3, int), np.full(3, 10))
    assert mean[0] == pytest.approx(means[1] + means[2]) and variance[0] == pytest.approx(variances[1] + variances[2])
    np.testing.assert_allclose(mean[1:], means[1:])


@pytest.mark.parametrize("there", [0, 3, 7, 12])
def test_what_is_short_goes_where_it_is_worth_most(there: int) -> None:
    """Orders that come at once and last one period: the least expected loss over all ways to share out what is there."""
    rates, prices = [3.0, 2.0, 5.0], np.array([0.0, 1.0, 3.0, 1.5])
    _, demand, shelf, terms = world([there, 0, 0, 0], [0.01, *rates], lead=0)
    fields = {**terms.__dict__, "shortage": prices, "review": np.ones(4, int), "holding": np.full(4, 1e-6)}
    terms = Terms(**fields)
    net = network([-1, 0, 0, 0])
    order = net.shared(decided(demand, shelf, terms), shelf.on_hand, terms.pack, terms.minimum)(np.zeros(4)).order[1:]

    def cost(share: tuple[int, ...]) -> float:
        return sum(price * lost(units, rate) for price, units, rate in zip(prices[1:], share, rates, strict=True))

    best = min((s for s in itertools.product(range(there + 1), repeat=3) if sum(s) == there), key=cost)
    assert order.sum() == there and cost(tuple(order)) == pytest.approx(cost(best), abs=1e-6)


def test_no_more_goes_out_than_is_there_whatever_is_asked_for() -> None:
    """Packs leave gaps, and a service level is asked for at any price."""
    _, demand, shelf, terms = world([20, 0, 0, 0, 0], [0.1, 2, 3, 4, 5], lead=2)
    net = network([-1, 0, 0, 0, 0])
    for more in ({"pack": np.array([1.0, 6, 6, 4, 4])}, {"service": np.array([0, 0.95, 0.95, 0.95, 0.95])}):
        given = Terms(**{**terms.__dict__, **more})
        order = net.shared(decided(demand, shelf, given), shelf.on_hand, given.pack, given.minimum)(np.zeros(5)).order
        assert 14 <= order[1:].sum() <= 20 and np.all(order[1:] % given.pack[1:] == 0)
    plenty = Shelf(np.array([500.0, 0, 0, 0, 0]), shelf.receipts)
    free = decided(demand, plenty, terms)
    np.testing.assert_array_equal(
        net.shared(free, plenty.on_hand, terms.pack, terms.minimum)(np.zeros(5)).order, free(np.zeros(5)).order
    )  # fmt: skip


def retail(on_hand: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ds, rng = pd.date_range("2024-01-01", periods=90), np.random.default_rng(0)
    parts = [
        pd.DataFrame({"store_id": store, "product_id": "milk", "ds": ds, "units": rng.poisson(rate, 90)})
        for store, rate in (("a", 2), ("b", 5))
    ]
    stock = pd.DataFrame({"store_id": ["a", "b", "dc"], "product_id": "milk", "on_hand": [1, 2, on_hand]})
    items = pd.DataFrame({"product_id": ["milk"], "price": 2.0, "unit_cost": 1.0, "lead_time_days": 2, "supplied_by": "dc"})
    return pd.concat(parts), stock, items


def test_the_plan_says_who_supplies_whom_and_adds_up() -> None:
    found = plan(*retail(6)).set_index("store_id")
    assert found.loc[["a", "b"], "order_units"].sum() == 6
    for store in ("a", "b"):
        cut = f"cut by the stock of dc = {found.loc[store, 'order_units']:g}; from dc, which has 6"
        assert found.loc[store, "why"].endswith(cut)
    why = found.loc["dc", "why"]
    assert "for 2 stores: 6 on hand here, 3 there and on the way" in why and "no history" not in why
    numbers = {
        name: float(value) for name, value in re.findall(r"(demand|lost before arrival|safety|order up to|on hand|on order) (\d+\.\d)", why)
    }
    assert numbers["order up to"] == pytest.approx(numbers["demand"] - numbers.get("lost before arrival", 0) + numbers["safety"], abs=0.01)
    assert numbers["on hand"] == 9
    # a day of both stores is 7 units; of four days until it arrives 9 are there and the rest is lost; then a review of 1
    assert 20 < numbers["order up to"] < 35 and found.loc["dc", "order_units"] > 10
    rich = plan(*retail(500)).set_index("store_id")
    assert rich.loc["dc", "order_units"] == 0 and rich.loc[["a", "b"], "order_units"].sum() > 12


def test_a_budget_is_spent_outside_only() -> None:
    found = plan(*retail(6), rules=rules({"budget": 10})).set_index("store_id")
    assert found.loc["dc", "order_units"] == 10 and found.loc[["a", "b"], "order_units"].sum() == 6
    assert "cut by the budget" in found.loc["dc", "why"]


def test_what_is_no_network_is_named() -> None:
    history, stock, items = retail(6)
    with pytest.raises(BadInput, match="nowhere supplies milk to a, but has no stock row"):
        plan(history, stock, items.assign(supplied_by="nowhere"))
    chain = pd.DataFrame({"store_id": ["a", "b"], "product_id": "milk", "supplied_by": ["b", "dc"]})
    with pytest.raises(BadInput, match="b, which supplies a, is itself supplied"):
        plan(history, stock, chain)


def test_poisson_of_the_helper_is_the_poisson_of_the_grid() -> None:
    assert lost(3, 2.0) == pytest.approx(sum((k - 3) * poisson.pmf(k, 2.0) for k in range(4, 60)))


def test_what_a_centre_sells_itself_is_part_of_its_demand() -> None:
    _, demand, *_ = world([0, 0], [9.0, 2.0])
    net = network([-1, 0])
    assert net.demand(demand, np.array([True, True])).mean[0, 0] == 11 and net.demand(demand, np.zeros(2, bool)).mean[0, 0] == 2
    history, stock, items = retail(6)
    own = history[history["store_id"] == "b"].assign(store_id="dc")
    bare, more = (plan(sold, stock, items).set_index("store_id").loc["dc"] for sold in (history, pd.concat([history, own])))
    assert more["expected_demand"] > 1.4 * bare["expected_demand"]


def test_a_ration_keeps_to_minima_and_leaves_no_pack_that_fits() -> None:
    _, demand, shelf, terms = world([30.5, 0, 0, 0], [0.1, 3, 3, 3], lead=2)
    more = {"pack": np.full(4, 6.0), "minimum": np.full(4, 18.0), "service": np.array([0, 0.95, 0.95, 0.95])}
    given, net = Terms(**{**terms.__dict__, **more}), network([-1, 0, 0, 0])
    order = net.shared(decided(demand, shelf, given), shelf.on_hand, given.pack, given.minimum)(np.zeros(4)).order[1:]
    assert set(order) <= {0.0, 18.0, 24.0, 30.0} and 30.5 - order.sum() < 6


def test_capacity_is_for_what_comes_from_outside() -> None:
    found = plan(*retail(20), rules=rules({"capacity": 5})).set_index("store_id")
    assert found.loc["dc", "order_units"] <= 5 and found.loc[["a", "b"], "order_units"].sum() > 12


def test_a_delivery_that_comes_too_late_for_the_centres_horizon_is_none_of_its_stock() -> None:
    _, demand, shelf, terms = world([5, 3, 3], [0.01, 3.0, 3.0], lead=3)
    net = network([-1, 0, 0])

    def ordered(place: int) -> float:
        receipts = np.zeros((3, 101))
        receipts[1, place] = 300.0
        return float(
            decision_of(net.demand(demand, np.zeros(3, bool)), net.shelf(Shelf(shelf.on_hand, receipts)), net.terms(terms, demand)).order[0]
        )

    assert ordered(0) == 0 < ordered(100)


def test_a_shelf_life_is_looked_at_through_both_lead_times() -> None:
    rows = pd.DataFrame({"store_id": ["S1", "S2"], "product_id": "milk"})
    history = rows.merge(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=120)}), how="cross").assign(units=3.0)
    stock = pd.concat([rows, pd.DataFrame({"store_id": ["DC"], "product_id": ["milk"]})]).assign(on_hand=0.0)
    items = pd.DataFrame({"store_id": ["DC", "S1", "S2"], "supplied_by": [None, "DC", "DC"]}).assign(
        price=2.0, lead_time_days=7.0, review_period_days=7.0, shelf_life_days=21.0
    )
    keeps = items.assign(shelf_life_days=np.nan)
    found, ever = (plan(history, stock, known).set_index("store_id").loc["DC", "order_units"] for known in (items, keeps))
    assert found == ever
