"""Items to answers, whatever the mixture: order kept, errors where they belong, the others as if alone."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import BadInput, BadRows
from serving.contract import example, kind_of, plain, problem, schema
from serving.predict import MOST_ALONE, answer, response_rows
from tests.serving.tiny import CARDS, LOOKUP, SUM, Steps, Times, read_levels
from training.family import load_card

_good = st.builds(lambda s, u: {"store_id": s, "units": u}, st.sampled_from(["S1", "S2"]), st.floats(0, 1e6))
_poison = st.just({"store_id": "poison", "units": 1.0})
_bad = st.sampled_from([None, 3, {}, {"store_id": 5, "units": 1}, {"store_id": "S1", "units": "1"}, {"store_id": "S1", "units": True}])


@settings(max_examples=40, deadline=None)
@given(st.lists(_good | _poison | _bad, max_size=40))
def test_each_item_is_answered_as_if_it_were_alone(items: list) -> None:
    together, _ = answer(SUM, Times(2.0), read_levels, items)
    alone = [answer(SUM, Times(2.0), read_levels, [item])[0][0] for item in items]
    assert together == alone
    for item, told in zip(items, together, strict=True):
        good = isinstance(item, dict) and problem(SUM.request, item) is None and item["store_id"] != "poison"
        assert told["ok"] == good
        if good:
            assert told["results"][0]["total"] == 2.0 * item["units"]


def test_repeated_keys_and_unknown_ones_keep_their_places() -> None:
    items = [{"store_id": "S1", "product_id": p, "steps": 1} for p in ("P2", "P1", "P?", "P2")]
    told, frame = answer(LOOKUP, Steps(), read_levels, items)
    assert [t.get("results", [{}])[0].get("total") for t in told] == [20.0, 10.0, None, 20.0]
    assert list(frame.index) == [0, 1, 3]


def test_what_the_request_states_wins_over_what_is_stored() -> None:
    def stored(service: str, keys: pd.DataFrame) -> pd.DataFrame:
        return keys.assign(steps=99, level=1.0, found=True, known_at=pd.Timestamp("2024-03-02"))

    told, _ = answer(LOOKUP, Steps(), stored, [{"store_id": "S1", "product_id": "P1", "steps": 2}])
    assert len(told[0]["results"]) == 2


def test_an_answer_says_how_old_its_features_are_and_too_old_ones_answer_nothing() -> None:
    pairs = [{"store_id": "S1", "product_id": product, "steps": 1} for product in ("P1", "P3", "P9")]
    told, rows = answer(LOOKUP, Steps(), read_levels, pairs)
    assert told[0] == {"ok": True, "known_at": "2024-03-02T00:00:00Z", "results": [{"horizon": 1, "total": 10.0}]}
    assert told[1]["error"] == (
        "store_id 'S1', product_id 'P3' is no longer known: its features online are of 2024-02-01, which is too long ago."
    )
    assert told[2]["error"] == "store_id 'S1', product_id 'P9' is not known: no features of it are online."
    assert list(rows.index) == [0]


def test_what_is_not_sold_is_refused_where_that_counts() -> None:
    pairs = [{"store_id": store, "product_id": product, "steps": 1} for store, product in (("S2", "P1"), ("S1", "P1"), ("S1", "P4"))]
    assert [each["ok"] for each in answer(LOOKUP, Steps(), read_levels, pairs)[0]] == [True, True, True]
    told, rows = answer(replace(LOOKUP, on_sale_only=True), Steps(), read_levels, pairs)
    assert told[0] == {"ok": False, "error": "store_id 'S2' has shut: of the last 28 days all that were heard of were closed."}
    assert told[1]["ok"] and list(rows.index) == [1]
    assert told[2]["error"] == "store_id 'S1', product_id 'P4' was on offer for no hour of the last 91 days."
    assert [load_card(name).on_sale_only for name in ("demand", "stock", "anomaly", "slow_mover")] == [True, True, False, False]


def test_an_answer_without_its_field_or_out_of_range_is_an_error() -> None:
    frame = pd.DataFrame({"store_id": ["S1"], "units": [1.0]})
    with pytest.raises(ValueError, match="total"):
        response_rows(SUM, frame, pd.DataFrame({"item": [0], "why": ["x"]}))
    with pytest.raises(ValueError, match="item 1 of 1"):
        response_rows(SUM, frame, pd.DataFrame({"item": [1], "total": [1.0], "why": ["x"]}))
    with pytest.raises(ValueError, match="no finite total"):
        response_rows(SUM, frame, pd.DataFrame({"item": [0], "total": [float("nan")], "why": ["x"]}))


def test_every_example_fulfils_its_contract() -> None:
    for card in CARDS.values():
        assert problem(card.request, example(card.request)) is None
        assert schema(card.request)["required"] == [name for name, kind in card.request.items() if not kind_of(kind).optional]


def test_bounds_of_the_contract_are_told() -> None:
    item = {"store_id": "S1", "product_id": "P1"}
    for steps in (0, -1, 29, 10_000, 2**60, 1.5, True, "1"):
        told, _ = answer(LOOKUP, Steps(), read_levels, [{**item, "steps": steps}])
        assert told[0]["error"] == f"steps is {steps!r}: expected an integer from 1 to 28."
    assert schema(LOOKUP.request)["properties"]["steps"] == {"type": "integer", "minimum": 1.0, "maximum": 28.0}
    assert problem({"price": "number 0..?"}, {"price": -0.1}) == "price is -0.1: expected a finite number of at least 0."
    assert problem({"price": "number 0..?"}, {}) is None
    assert (kind_of("number 0..?").optional, kind_of("number 0.. or stored").optional, kind_of("number 0..").optional) == (
        True,
        True,
        False,
    )
    assert problem({"price": "number 0..?"}, {"price": float("nan")}) is not None


def test_a_field_left_out_is_filled_by_what_is_stored() -> None:
    card = replace(LOOKUP, request={**LOOKUP.request, "level": "number?"})
    item = {"store_id": "S1", "product_id": "P2", "steps": 1}
    told, _ = answer(card, Steps(), read_levels, [item, {**item, "level": 3.0}])
    assert [t["results"][0]["total"] for t in told] == [20.0, 3.0]


def test_a_model_that_knows_nothing_of_an_item_says_so() -> None:
    card = replace(LOOKUP, request={**LOOKUP.request, "steps": "integer"})
    told, _ = answer(card, Steps(), read_levels, [{"store_id": "S1", "product_id": "P2", "steps": 0}])
    assert told == [{"ok": False, "error": "there is no answer: nothing is known of this item yet."}]


def test_values_become_plain_json() -> None:
    row = pd.DataFrame({"a": [1], "b": [1.5], "c": [float("inf")], "d": [pd.Timestamp("2024-02-29")], "e": [pd.NaT], "f": [True]})
    told = {name: plain(value) for name, value in row.to_dict("records")[0].items()}
    assert told == {"a": 1, "b": 1.5, "c": None, "d": "2024-02-29", "e": None, "f": True}
    assert plain(pd.Series([1.0, float("nan")]).to_numpy()) == [1.0, None]


def test_a_list_is_short_and_of_texts() -> None:
    longest = ["p" * 256] * 1_000
    assert problem({"basket": "array?"}, {"basket": longest}) is None
    for basket in ([*longest, "p"], ["p" * 257], [7], [["p"]], [""], "p"):
        assert problem({"basket": "array?"}, {"basket": basket}).endswith("expected a list of at most 1,000 texts.")
    assert schema({"basket": "array?"})["properties"]["basket"]["maxItems"] == 1_000


class Picky(Steps):
    """Refuses a frame with an item of three steps."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        if (frame["steps"] == 3).any():
            raise BadInput("three steps are too many")
        return super().predict(frame)


def test_what_the_model_could_not_answer_is_not_kept_to_prove_another_version_on() -> None:
    card = replace(LOOKUP, request={**LOOKUP.request, "steps": "integer"})
    items = [{"store_id": "S1", "product_id": "P1", "steps": steps} for steps in (3, 2)]
    told, rows = answer(card, Picky(), read_levels, items)
    assert [each["ok"] for each in told] == [False, True] and rows["steps"].tolist() == [2]


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_that_no_shop_has_is_an_items_error(day: str) -> None:
    card = replace(LOOKUP, request={**LOOKUP.request, "ds": "date"})
    assert problem(card.request, {"store_id": "S1", "product_id": "P1", "ds": day})


class Choosy(Times):
    """Names the rows that it takes no part of; counts how often it is asked."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        CALLS.append(len(frame))
        bad = {at: f"row of {value}" for at, value in enumerate(frame["units"]) if value < 0}
        if bad:
            raise BadRows(bad)
        return super().predict(frame)


CALLS: list[int] = []


def test_bad_rows_that_a_model_names_cost_one_more_call() -> None:
    CALLS.clear()
    items = [{"store_id": "S1", "units": float(at % 3 - 1)} for at in range(3000)]
    told, frame = answer(replace(SUM, request={**SUM.request, "units": "number"}), Choosy(2.0), read_levels, items)
    assert CALLS == [3000, 2000] and len(frame) == 2000
    assert [t["ok"] for t in told] == [at % 3 != 0 for at in range(3000)] and told[0]["error"] == "row of -1.0"


def test_a_list_of_rows_that_all_fail_does_not_hold_up_the_service() -> None:
    asked: list[int] = []

    class Broken(Times):
        def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
            asked.append(len(frame))
            raise ArithmeticError

    told, _ = answer(SUM, Broken(1.0), read_levels, [{"store_id": "S1", "units": 1.0}] * 5000)
    assert not any(t["ok"] for t in told) and len(asked) < 5 * MOST_ALONE
