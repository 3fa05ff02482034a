"""The policies that a planner may name, against closed forms, brute force and the best levels that a search finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from infra.errors import BadInput
from tests.training.stock.test_plan import items, order, sales, stock
from tests.training.stock.test_policies import demand, left_over, shelf, terms
from training.stock import classics, plan
from training.stock.named import (
    MARGINAL,
    NEWSVENDOR,
    ORDER_UP_TO,
    POLICIES,
    REORDER_QUANTITY,
    REORDER_UP_TO,
    TUNED_NEWSVENDOR,
)
from training.stock.panel import panel
from training.stock.patience import patience
from training.stock.policies import Shelf, decision_of
from training.stock.rules import Rules, read_rules, rules
from training.stock.simulate import Costs, Policy, simulate
from training.stock.terms import terms as terms_of


@given(mean=st.floats(0.3, 12.0), shortage=st.floats(0.3, 8.0), lead=st.integers(0, 5), review=st.integers(1, 7), there=st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_base_stock_is_the_quantile_of_lead_time_and_review(mean: float, shortage: float, lead: int, review: int, there: int) -> None:
    costs = terms(lead=lead, review=review, shortage=shortage, policy=ORDER_UP_TO)
    found = decision_of(demand(mean, lead + review), shelf(there // 2, there - there // 2), costs, 1.0)
    level = [poisson.ppf(shortage / (shortage + 0.2 * review) + error, mean * (lead + review)) for error in (-1e-5, 1e-5)]
    assert level[0] <= found.target[0] <= level[1] and found.order[0] == max(found.target[0] - there, 0)


def test_spread_and_lead_times_widen_the_base_stock() -> None:
    mixed = {"leads": np.array([[2, 8]]), "lead_share": np.array([[0.5, 0.5]])}
    costs = terms(shortage=4.0, policy=ORDER_UP_TO)
    costs = type(costs)(**{**costs.__dict__, **mixed})
    found = decision_of(demand(3.0, 9, 0.5), shelf(0), costs, 1.0)
    # the law of total variance over 3 or 9 periods, each of variance 3 + 9 x .5
    mean, variance = 3.0 * 6, 7.5 * 6 + 9.0 * 9
    assert found.target[0] == nbinom.ppf(4 / 4.2, mean**2 / (variance - mean), mean / variance)


@given(mean=st.floats(0.3, 5.0), on_hand=st.integers(0, 12), receipt=st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_the_newsvendor_covers_what_is_needed_beyond_the_stock_that_is_left(mean: float, on_hand: int, receipt: int) -> None:
    found = decision_of(demand(mean, 3), shelf(on_hand, 0, receipt), terms(lead=2, shortage=3.0, policy=NEWSVENDOR), 1.0)
    left = left_over(on_hand, (0, receipt), poisson.pmf(np.arange(60), mean))
    met = [sum(weight * poisson.cdf(units + order, mean) for units, weight in left.items()) for order in range(40)]
    order = int(found.order[0])
    assert met[order] >= 3.0 / 3.2 - 1e-6 and (order == 0 or met[order - 1] < 3.0 / 3.2 + 1e-6)


def test_what_spoils_before_the_next_order_pays_for_its_waste() -> None:
    costs = terms(holding=0.1, shortage=2.0, unit_cost=1.5, shelf_life=1.0, policy=ORDER_UP_TO)
    found = decision_of(demand(5.0, 1), shelf(0), costs, 1.0)
    assert found.order[0] == classics.fresh_poisson(0.1, 2.0, 1.5, 5.0)[0]


@pytest.mark.parametrize("policy", range(len(POLICIES)), ids=POLICIES)
def test_what_a_unit_is_charged_under_a_budget_lowers_the_level(policy: int) -> None:
    free, charged = (
        decision_of(demand(4.0, 4), shelf(0), terms(lead=2, shortage=3.0, policy=policy), 1.0, charge) for charge in (0.0, 1.0)
    )
    assert 0 < charged.target[0] < free.target[0]


COUNT, PERIODS = 60, 260


def _cost(policy: Policy, drawn: np.ndarray, lead: int, costs: Costs) -> float:
    start = np.full(COUNT, drawn.mean() * (lead + 1))
    return simulate(policy, drawn, start, lead, costs, warm_up=60).cost


@pytest.mark.parametrize(("mean", "lead", "costs"), [(4.0, 2, Costs(0.2, 4.0, 20.0)), (1.0, 3, Costs(0.1, 3.0, 5.0))])
@pytest.mark.parametrize("policy", [REORDER_UP_TO, REORDER_QUANTITY])
def test_reorder_points_cost_little_more_than_the_best_of_a_search(policy: int, mean: float, lead: int, costs: Costs) -> None:
    drawn = np.random.default_rng(3).poisson(mean, (COUNT, PERIODS)).astype(float)
    asked = {"lead": lead, "holding": costs.holding, "shortage": costs.shortage, "fixed": costs.fixed, "policy": policy}
    ahead, known = demand(mean, lead + 1, count=COUNT), terms(COUNT, **asked)

    def own(period: int, stock_: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        return decision_of(ahead, Shelf(stock_, np.pad(pipeline, ((0, 0), (1, 0)))), known, 1.0).order

    lots = (np.sqrt(2 * costs.fixed * mean / costs.holding) * np.array([0.6, 0.8, 1.0, 1.25])).round()
    points = mean * (lead + 1) + np.sqrt(mean * (lead + 1)) * np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    search = [
        classics.reorder_quantity(point, lot) if policy == REORDER_QUANTITY else classics.reorder_up_to(point, point + lot)
        for point in points.round()
        for lot in lots
    ]
    assert _cost(own, drawn, lead, costs) < 1.05 * min(_cost(rule, drawn, lead, costs) for rule in search)


def test_a_reorder_level_orders_from_below_its_point_up_to_its_level() -> None:
    costs = terms(lead=2, fixed=20.0, shortage=4.0, policy=REORDER_UP_TO)
    found = decision_of(demand(4.0, 3), shelf(3), costs, 1.0)
    point, level = found.target[0], found.target[0] + found.cycle[0]
    # sqrt(2 x 20 x 4 / .2), less a review's demand
    assert found.cycle[0] == pytest.approx(np.sqrt(800) - 4, abs=0.05) and found.order[0] == np.ceil(level - 3)
    assert decision_of(demand(4.0, 3), shelf(point), costs, 1.0).order[0] == 0
    assert decision_of(demand(4.0, 3), shelf(point - 1), costs, 1.0).order[0] == np.ceil(level - point + 1)


@pytest.mark.parametrize(("pack", "maximum", "lot"), [(1.0, np.inf, 29), (6.0, np.inf, 30), (6.0, 20.0, 18)])
def test_a_reorder_quantity_is_whole_packs_of_the_economic_quantity(pack: float, maximum: float, lot: float) -> None:
    costs = terms(lead=2, fixed=20.0, shortage=4.0, pack=pack, maximum=maximum, policy=REORDER_QUANTITY)
    found = decision_of(demand(4.0, 3), shelf(5), costs, 1.0)
    assert (found.lot[0], found.order[0]) == (lot, lot)
    assert decision_of(demand(4.0, 3), shelf(found.target[0]), costs, 1.0).order[0] == 0


def test_only_what_is_tuned_has_a_patience_of_its_own() -> None:
    history = pd.concat([sales(120, 7, rates=(2.0,) * 8, seed=n).assign(store_id=f"s{n}") for n in range(9)], ignore_index=True)
    known = panel(history)
    policy = np.array(["marginal", "newsvendor", "tuned_newsvendor"])[np.arange(len(known.pairs)) % 3]
    facts = known.pairs.assign(lead_time_days=14.0, holding_cost=0.05, shortage_cost=1.0, policy=policy)
    tried = []

    def told(past, terms_, periods):
        tried.append(set(terms_.policy.tolist()))
        return {1.0: 9.0, 1.4: 9.0, 1.8: 9.0, 2.4: 9.0, 3.2: 2.0}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.stock.patience.replays", told)
        found = patience(known, terms_of(facts, np.ones(len(facts)), 7))
    assert tried == [{MARGINAL}, {TUNED_NEWSVENDOR}]
    assert set(found[policy == "newsvendor"]) == {1.0} and set(found[policy != "newsvendor"]) == {3.2}


def test_a_segment_names_its_policy_and_the_why_tells_it() -> None:
    history = sales()
    found = plan(
        history, stock(history), items(), "2024-02-29", rules=rules({"segment": [{"when": "velocity > 4", "policy": "order_up_to"}]})
    )
    why = found.set_index("product_id")["why"]
    assert "; order_up_to: critical ratio 99.01%)" in why["p1"] and "critical ratio" not in why["p0"]
    same = plan(history, stock(history), items(policy="order_up_to"), "2024-02-29")
    assert order(same) == order(found)


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_a_budget_lowers_every_policys_level(policy: str) -> None:
    history = sales(rates=(6.0, 6.0))
    facts = items(unit_cost=1.0, policy=policy).assign(shortage_cost=[0.2, 2.0])
    spent = plan(history, stock(history), facts, "2024-02-29")["order_units"].sum()
    tight = plan(history, stock(history), facts, "2024-02-29", rules=Rules(budget=0.7 * spent))
    assert 0.5 * spent < tight["order_units"].sum() <= 0.7 * spent and order(tight, "p1") > order(tight, "p0")


def test_a_name_that_is_none_is_refused_where_it_stands(tmp_path: Path) -> None:
    history, expected = sales(), "expected one of marginal, newsvendor, tuned_newsvendor, order_up_to, reorder_up_to, reorder_quantity"
    with pytest.raises(BadInput, match=f"items: row 2: column 'policy' is 's-S'; {expected}"):
        plan(history, stock(history), items().assign(policy=["marginal", "s-S"]))
    (tmp_path / "r.toml").write_text("[[segment]]\nwhen = 'velocity > 1'\npolicy = 3\n")
    with pytest.raises(BadInput, match=f"r.toml: segment 1: column 'policy' is 3; {expected}"):
        read_rules(tmp_path / "r.toml")
