"""The printed arithmetic of an order adds up."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.stock.test_policies import demand, shelf, terms
from training.stock import why
from training.stock.demand_distribution import Demand
from training.stock.named import POLICIES
from training.stock.policies import Shelf, decision_of

_NUMBER = r"(-?\d+(?:\.\d+)?)"


def parsed(text: str, pattern: str) -> float:
    found = re.search(pattern.replace("N", _NUMBER), text)
    return float(found.group(1)) if found else 0.0


@given(
    mean=st.floats(0.05, 60), stock=st.floats(0, 90), coming=st.integers(0, 40), pack=st.integers(1, 12), lead=st.integers(0, 4),
    fixed=st.sampled_from([0.0, 3.0]), policy=st.integers(0, len(POLICIES) - 1),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_numbers_add_up(mean: float, stock: float, coming: int, pack: int, lead: int, fixed: float, policy: int) -> None:
    here, costs = shelf(stock, coming), terms(lead=lead, pack=float(pack), fixed=fixed, policy=policy)
    decision = decision_of(demand(mean, lead + 1, 0.4), here, costs)
    text = why.sentences(decision, here, costs, 7)[0]
    safety = parsed(text, r"\+ safety N")
    assert abs(safety - parsed(text, "demand spread N") - parsed(text, "lead-time spread N")) < 0.051
    up_to = parsed(text, "expected demand N") - parsed(text, "lost before arrival N") + safety + parsed(text, "fixed-cost cycle N")
    assert abs(up_to - parsed(text, "order up to N")) < 0.051
    need = parsed(text, "-> N")
    assert abs(parsed(text, "order up to N") - parsed(text, "on hand N") - parsed(text, "on order N") - need) < 0.051
    order = float(text.rsplit("= ", 1)[1])
    assert order == decision.order[0]
    if order > 0 and "cheaper" in text:
        low, high = (float(found) for found in re.search(r"the cheaper of (\d+) and (\d+) in packs", text).groups())
        assert order in (low, high) and high - low == pack and low - 0.051 <= need <= high + 0.051
    elif order > 0 and "rounded up" in text:
        lot = parsed(text, "packs of N")
        assert order % lot == 0 and -0.051 <= order - need < lot + 0.051 and lot % pack == 0
    elif order > 0:
        assert abs(order - need) < 0.051
    elif need > 0:
        assert "too little" in text


def test_a_pairs_sentence_is_its_own_among_many() -> None:
    draw, count = np.random.default_rng(3), 60
    costs = replace(terms(count), policy=draw.integers(0, len(POLICIES), count), service=draw.choice([0.0, 0.95], count),
                    maximum=draw.choice([np.inf, 8.0, 2.0], count), minimum=draw.choice([0.0, 3.0], count), pack=draw.choice([1.0, 4.0], count))  # fmt: skip
    ahead = Demand(np.repeat(draw.gamma(1.0, 3.0, (count, 1)), 4, axis=1), np.full(count, 0.1), np.full(count, 0.3))
    here = Shelf(draw.gamma(1.0, 4.0, count).round(1), np.zeros((count, 1)))
    decision = decision_of(ahead, here, costs)
    held = why.Held(draw.random(count) < 0.8, decision.order, draw.choice(["", "budget"], count).astype(object))
    told = why.sentences(decision, here, costs, 1, np.array(["", "seen"], dtype=object)[np.arange(count) % 2], held)
    for pair in range(count):
        row = slice(pair, pair + 1)
        alone = why.Held(held.opened[row], held.asked[row], held.cut[row])
        note = np.array(["", "seen"], dtype=object)[[pair % 2]]
        one = replace(decision, **{name: value[row] for name, value in decision.__dict__.items()})
        assert told[pair] == why.sentences(one, here.take(row), costs.take(row), 1, note, alone)[0]
        assert "-0.0" not in told[pair] and "  " not in told[pair]
    for ending in (
        "nothing to order",
        "held until",
        "too little",
        "rounded up",
        "the cheaper of",
        "cut by the budget",
        "at most 8",
        "; seen",
    ):
        assert any(ending in text for text in told), ending


def test_days_are_said() -> None:
    here, costs = shelf(3), terms(lead=2)
    text = why.sentences(decision_of(demand(2.0, 3), here, costs), here, costs, 7, np.array(["checked"], dtype=object))[0]
    assert "over 21 days (lead 14 + review 7)" in text and text.endswith("; checked")


def test_a_service_level_is_named_and_rounds_up() -> None:
    here, costs = shelf(3), terms(lead=2, pack=6.0, service=0.98)
    text = why.sentences(decision_of(demand(2.0, 3), here, costs), here, costs, 7)[0]
    assert "; at least a service level of 98.00%)" in text and "rounded up to packs of 6 = " in text
