"""Moves between stores: only what gains, to who misses it most, and the orders count on them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from infra.errors import BadInput
from training.stock.demand_distribution import Demand
from training.stock.plan import order_file, planned
from training.stock.policies import Shelf
from training.stock.rules import read_rules, rules
from training.stock.terms import Terms
from training.stock.transfers import Transfer, moves


def world(on_hand: list[float], rates: list[float], lead: int = 4, shortage: float = 1.0) -> tuple[pd.DataFrame, Demand, Shelf, Terms]:
    """One product in as many stores, Poisson demand, an order placed today there after `lead` days."""
    count = len(on_hand)
    pairs = pd.DataFrame({"store_id": [f"s{i}" for i in range(count)], "product_id": "p"})
    demand = Demand(np.repeat(np.array(rates)[:, None], 20, axis=1), np.zeros(count), np.zeros(count))
    one = np.ones(count)
    terms = Terms(
        holding=0.01 * one, shortage=shortage * one, fixed=0 * one, unit_cost=one, review=np.full(count, 7), pack=one, minimum=0 * one,
        maximum=np.inf * one, service=0 * one, shelf_life=np.inf * one, leads=np.full((count, 1), lead), lead_share=np.ones((count, 1)), policy=np.zeros(count, int),
    )  # fmt: skip
    return pairs, demand, Shelf(np.array(on_hand, float), np.zeros((count, 1))), terms


def lost(units: float, mean: float) -> float:
    """Expected units of Poisson demand beyond `units`."""
    k = np.arange(200)
    return float((np.maximum(k - units, 0) * poisson.pmf(k, mean)).sum())


def test_the_best_move_by_brute_force() -> None:
    """Moves that come at once: the sum of expected losses until an order comes, over all ways to share the stock out."""
    on_hand, rates = [9.0, 0.0, 3.0], [0.5, 1.0, 0.8]
    found = moves(*world(on_hand, rates), Transfer(days=0, unit_cost=0.05), 1)
    total = int(sum(on_hand))
    costs = {
        share: sum(lost(units, 4 * rate) for units, rate in zip(share, rates, strict=True))
        + 0.05 * sum(max(units - had, 0) for units, had in zip(share, on_hand, strict=True))
        for share in itertools.product(range(total + 1), repeat=3)
        if sum(share) == total
    }
    best = min(costs, key=lambda share: costs[share])
    assert tuple(found.shelf.on_hand + found.shelf.receipts[:, 0]) == best
    assert found.frame["saving"].sum() == pytest.approx(costs[9, 0, 3] - costs[best], abs=1e-3)


def test_a_move_that_comes_no_sooner_than_an_order_is_not_made() -> None:
    assert moves(*world([20, 0], [0.5, 2.0], lead=3), Transfer(days=3), 1).frame.empty
    assert len(moves(*world([20, 0], [0.5, 2.0], lead=3), Transfer(days=1), 1).frame) == 1


def test_costs_keep_small_moves_at_home() -> None:
    free = moves(*world([9, 0], [0.5, 0.4]), Transfer(days=1), 1).frame
    assert free["units"].sum() >= 2
    fewer = moves(*world([9, 0], [0.5, 0.4]), Transfer(days=1, unit_cost=0.4), 1).frame
    assert 0 < fewer["units"].sum() < free["units"].sum()
    assert moves(*world([9, 0], [0.5, 0.4]), Transfer(days=1, line_cost=5), 1).frame.empty


def test_nobody_gives_more_than_is_there_and_other_products_are_not_touched() -> None:
    pairs, demand, shelf, terms = world([2, 0, 9], [0.01, 5.0, 0.01])
    pairs["product_id"] = ["p", "p", "other"]
    found = moves(pairs, demand, shelf, terms, Transfer(days=1), 1)
    assert found.frame["units"].tolist() == [2] and found.shelf.on_hand.tolist() == [0, 0, 9]
    assert found.shelf.receipts[1, 1] == 2 and found.notes.tolist() == ["2 sent to s1", "2 come from s0", ""]


def files(folder: Path) -> dict[str, Path]:
    ds = pd.date_range("2024-01-01", periods=90)
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"store_id": s, "product_id": "milk", "ds": ds, "units": rng.poisson(rate, 90)}) for s, rate in (("a", 0.3), ("b", 3))
    ]
    pd.concat(parts).to_csv(folder / "h.csv", index=False)
    pd.DataFrame({"store_id": ["a", "b"], "product_id": "milk", "on_hand": [30, 1]}).to_csv(folder / "s.csv", index=False)
    pd.DataFrame({"product_id": ["milk"], "price": 2.0, "unit_cost": 1.0, "lead_time_days": 5}).to_csv(folder / "i.csv", index=False)
    (folder / "r.toml").write_text("[transfer]\ndays = 1\nunit_cost = 0.1\n")
    return {name: folder / file for name, file in (("history", "h.csv"), ("stock", "s.csv"), ("items", "i.csv"))}


def test_orders_count_on_the_moves(tmp_path: Path) -> None:
    given = files(tmp_path)
    assert order_file(*given.values(), None, tmp_path / "o.csv", tmp_path / "r.toml", tmp_path / "t.csv") == 2
    orders, moved = pd.read_csv(tmp_path / "o.csv").set_index("store_id"), pd.read_csv(tmp_path / "t.csv")
    assert moved[["product_id", "from_store", "to_store"]].to_numpy().tolist() == [["milk", "a", "b"]] and moved["saving"].iloc[0] > 0
    units = moved["units"].iloc[0]
    assert orders.loc["a", "on_hand"] == 30 - units and orders.loc["b", "on_order"] == units
    assert f"{units:g} come from a" in orders.loc["b", "why"] and f"{units:g} sent to b" in orders.loc["a", "why"]
    frames = [pd.read_csv(path) for path in given.values()]
    bare, none = planned(*frames)
    assert none.empty and bare.set_index("store_id").loc["b", "order_units"] > orders.loc["b", "order_units"]


@pytest.mark.parametrize(
    ("table", "words"),
    [("transfer = 3", r"expected a table \[transfer\]"), ("[transfer]\nhours = 2", "of days, unit_cost, line_cost"),
     ("[transfer]\ndays = -1", "transfer: days is -1")],
)  # fmt: skip
def test_what_is_no_transfer_is_named(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "r.toml").write_text(table)
    with pytest.raises(BadInput, match=words):
        read_rules(tmp_path / "r.toml")


def test_the_rule_and_the_file_go_together(tmp_path: Path) -> None:
    given = files(tmp_path)
    for more in ((tmp_path / "r.toml", None), (None, tmp_path / "t.csv")):
        with pytest.raises(BadInput, match="expected both or neither"):
            order_file(*given.values(), None, tmp_path / "o.csv", *more)
    assert rules({"transfer": {}}).transfer == Transfer()


def test_what_spoils_is_not_moved_and_neither_is_what_is_worth_nothing() -> None:
    pairs, demand, shelf, terms = world([20, 0], [0.5, 2.0])
    spoils = Terms(**{**terms.__dict__, "shelf_life": np.array([5.0, 5.0])})
    assert moves(pairs, demand, shelf, spoils, Transfer(days=1), 1).frame.empty
    assert moves(*world([34, 30], [0.5, 1.0]), Transfer(days=1), 1).frame.empty


def test_a_surplus_of_any_size_goes_to_who_misses_it() -> None:
    found = moves(*world([5000.0, 0.0], [2.0, 80.0]), Transfer(days=0, unit_cost=0.01), 1)
    assert found.frame["units"].sum() > 0.9 * 4 * 80
