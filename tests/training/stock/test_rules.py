"""A planner's rules: segments, items, limits over all, the suppliers' calendar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from tests.training.stock.test_plan import items, order, sales, stock
from training.filters import matches
from training.stock import plan
from training.stock.plan import order_file
from training.stock.rules import Rules, read_rules, rules

FACTS = pd.DataFrame({"category": ["dairy", "dairy", "bread"], "velocity": [3.0, 1.0, 9.0], "store_id": "S1"})


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("category == 'dairy' and velocity > 2", [True, False, False]),
        ("not category == 'dairy' or velocity <= 1", [False, True, True]),
        ("2 < velocity < 10", [True, False, True]),
        ("category in ['bread', 'meat']", [False, False, True]),
        ("velocity > -1", [True, True, True]),
    ],
)
def test_a_filter_holds_for_its_rows(when: str, expected: list[bool]) -> None:
    assert matches(when, FACTS).tolist() == expected


@pytest.mark.parametrize(
    "when",
    ["__import__('os')", "velocity.sum() > 2", "velocity >", "velocity + 1 > 2", "[x for x in velocity]", "category", "1", "1 == 1",
     "'S1' in store_id", "store_id in 'S1'", "-store_id == 'S1'", "store_id == ['S1', 'S2', 'S3']", "not " * 3000 + "velocity > 1"],
)  # fmt: skip
def test_a_filter_is_comparisons_only(when: str) -> None:
    with pytest.raises(BadInput, match="filter"):
        rules({"segment": [{"when": when, "pack_size": 2}]})


def test_later_segments_win_and_items_win_over_all() -> None:
    found = rules(
        {
            "segment": [{"when": "velocity > 0", "pack_size": 4}, {"when": "category == 'dairy'", "pack_size": 6}],
            "item": [{"store_id": "S1", "pack_size": 2, "order_days": "mon"}],
        }
    )
    facts = FACTS.assign(store_id=["S0", "S1", "S2"])
    assert found.applied(facts)["pack_size"].tolist() == [6, 2, 4]
    assert found.columns == {"velocity", "category"}


def test_a_service_level_is_kept_and_a_maximum_caps() -> None:
    history = sales()
    cheap = items(shortage_cost=0.02)
    plain = order(plan(history, stock(history), cheap, "2024-02-29"))
    served = order(plan(history, stock(history), cheap.assign(service_level=0.99), "2024-02-29"))
    # the day after the lead time: 8 and 2.3 standard deviations of at least Poisson
    assert plain < 8 + 2.3 * np.sqrt(8) <= served
    capped = plan(history, stock(history), cheap.assign(service_level=0.99, maximum_order=10), "2024-02-29")
    assert order(capped) == 10 and "at most 10 = 10" in capped["why"].iloc[0]


def test_a_budget_goes_to_the_units_that_return_most() -> None:
    history = sales(rates=(6.0, 6.0))
    facts = items(unit_cost=1.0).assign(shortage_cost=[0.2, 2.0])
    free = plan(history, stock(history), facts, "2024-02-29")
    spent = free["order_units"].sum()
    tight = plan(history, stock(history), facts, "2024-02-29", rules=Rules(budget=0.5 * spent))
    assert 0.5 * spent - 1 <= tight["order_units"].sum() <= 0.5 * spent
    assert order(tight, "p1") > 2 * order(tight, "p0")
    told = tight.set_index("product_id").loc["p0"]
    assert told["why"].endswith(f"= {order(free, 'p0'):g}, cut by the budget = {told['order_units']:g}")
    full = plan(history, stock(history), facts, "2024-02-29", rules=Rules(budget=spent, capacity=spent))
    pd.testing.assert_frame_equal(full, free)
    both = plan(history, stock(history), facts, "2024-02-29", rules=Rules(budget=0.5 * spent, capacity=20))
    assert both["order_units"].sum() <= 20


def test_a_service_level_does_not_pass_the_budget() -> None:
    history = sales(rates=(6.0, 6.0, 6.0))
    facts = pd.DataFrame({"product_id": ["p0", "p1", "p2"], "unit_cost": 1.0, "shortage_cost": [0.2, 2.0, 1.0], "holding_cost": 0.01,
                          "lead_time_days": 3.0, "service_level": 0.95})  # fmt: skip
    tight = plan(history, stock(history), facts, "2024-02-29", rules=Rules(budget=25.0)).set_index("product_id")
    # the floors alone are 30: what saves least for its money is left out, and its room goes to who saves most
    assert tight["order_units"].to_dict() == {"p1": 14.0, "p2": 10.0, "p0": 0.0}
    assert tight.loc["p0", "why"].endswith("cut by the budget = 0")


@pytest.mark.parametrize("seed", range(4))
def test_what_a_limit_is_said_to_cut_does_not_fit_into_it(seed: int) -> None:
    draw = np.random.default_rng(seed)
    history = sales(rates=tuple(draw.uniform(1.0, 9.0, 12)))
    facts = pd.DataFrame({"product_id": [f"p{at}" for at in range(12)], "unit_cost": draw.uniform(0.5, 8.0, 12).round(2)}).assign(
        shortage_cost=draw.uniform(0.5, 6.0, 12).round(2), holding_cost=0.01, lead_time_days=3, review_period_days=7,
        pack_size=draw.integers(1, 7, 12),
    )  # fmt: skip
    free = plan(history, stock(history), facts, "2024-02-29").set_index("product_id")
    cost = facts.set_index("product_id")["unit_cost"]
    limits = Rules(budget=0.6 * (free["order_units"] * cost).sum(), capacity=0.4 * free["order_units"].sum())
    told = plan(history, stock(history), facts, "2024-02-29", rules=limits).set_index("product_id")
    money, units = (told["order_units"] * cost).sum(), told["order_units"].sum()
    assert money <= limits.budget and units <= limits.capacity
    lacking = (free["order_units"] - told["order_units"]).reindex(told.index)
    needs = {"budget": lacking * cost.reindex(told.index) > limits.budget - money, "capacity": lacking > limits.capacity - units}
    for name, needed in needs.items():
        assert needed[told["why"].str.contains(f"cut by the {name}")].all()
    assert (told["why"].str.contains("cut by the") == (lacking > 0)).all() and (lacking > 0).any()


def test_orders_go_out_on_the_suppliers_days_and_last_until_the_next() -> None:
    history = sales()  # until Thursday 2024-02-29
    daily = order(plan(history, stock(history), items(review_period_days=1), "2024-02-29"))
    friday = plan(history, stock(history), items(order_days="fri"), "2024-02-29")
    assert order(friday) > daily + 6 * 6
    shut = plan(history, stock(history), items(order_days="mon thu"), "2024-02-29")
    assert (shut["money_at_risk"] == 0).all() and (shut["expected_cost"] > friday["expected_cost"]).all()
    assert (shut["order_units"] == 0).all()
    assert "held until an order goes out = 0" in shut["why"].iloc[0] and "the next on mon" in shut["why"].iloc[0]
    with pytest.raises(BadInput, match="items: row 1: column 'order_days' is 'someday'"):
        plan(history, stock(history), items(order_days="someday"))
    weekly = sales(40, 7)
    with pytest.raises(BadInput, match="order_days"):
        plan(weekly, stock(weekly), items(order_days="fri"))


def test_the_file_is_read_by_the_verb(tmp_path: Path) -> None:
    history = sales()
    history.to_csv(tmp_path / "h.csv", index=False)
    stock(history).to_csv(tmp_path / "s.csv", index=False)
    items().assign(category=["dairy", "bread"]).to_csv(tmp_path / "i.csv", index=False)
    text = "capacity = 30\n[[segment]]\nwhen = \"category == 'bread'\"\nmaximum_order = 7\n"
    (tmp_path / "rules.toml").write_text(text)
    files = [tmp_path / name for name in ("h.csv", "s.csv", "i.csv")]
    order_file(files[0], files[1], files[2], None, tmp_path / "o.csv", tmp_path / "rules.toml")
    got = pd.read_csv(tmp_path / "o.csv").set_index("product_id")["order_units"]
    assert got["p1"] == 7 and 0 < got["p0"] <= 23


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget = -1", "budget is -1"),
        ("budgett = 1", "'budgett' is not known"),
        ("[segment]\nwhen = 'velocity > 1'", "expected \\[\\[segment\\]\\]"),
        ("[[segment]]\npack_size = 1", "segment 1: when is missing"),
        ("[[segment]]\nwhen = 'velocity > 1'\npacks = 1", "'packs' is not known"),
        ("[[segment]]\nwhen = 'velocity > 1'\nservice_level = 1.0", "at most 0.9999"),
        ("[[segment]]\nwhen = 'velocity > 1'\norder_days = 'someday'", "expected weekdays"),
        ("[[item]]\npack_size = 1", "item 1: product_id and store_id are missing"),
        ("budget =", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(BadInput, match=said):
        read_rules(tmp_path / "rules.toml")


def test_a_filter_on_a_column_that_is_not_there_is_refused() -> None:
    history = sales()
    with pytest.raises(BadInput, match="no column 'category'"):
        plan(history, stock(history), items(), rules=rules({"segment": [{"when": "category == 'x'", "pack_size": 2}]}))


@pytest.mark.parametrize("store", [7, True, "", ["7"]])
def test_a_centre_is_named_in_quotes(store: object) -> None:
    with pytest.raises(BadInput, match="item 1: supplied_by is"):
        rules({"item": [{"product_id": "p0", "supplied_by": store}]})
