"""The portable recommender: plain lists, companions of a basket, a round trip."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from infra.errors import BadInput
from serving.contract import kind_of, problem
from training.portable import load_portable, save_portable
from training.recommend.card import CARD, MOST_K
from training.recommend.model import RecommendModel

LISTS = pd.DataFrame(
    [("", "milk", 0.2, "sold"), ("", "eggs", 0.1, "sold"), ("ann", "tea", 0.9, "habit"), ("ann", "milk", 0.3, "habit")],
    columns=["customer_id", "product_id", "score", "why"],
)
NEAR = pd.DataFrame([("bread", "butter", 0.8, ), ("bread", "milk", 0.5)], columns=["product_id", "other_id", "share"])  # fmt: skip


@pytest.fixture
def model() -> RecommendModel:
    return RecommendModel(LISTS, NEAR, "2024-05-01", "blended", {})


def _ask(model: RecommendModel, *requests: dict) -> list[list[str]]:
    frame = pd.DataFrame(list(requests), columns=["customer_id", "k", "basket"])
    said = model.predict(frame)
    assert set(said.columns) == {"item", *CARD.response}
    return [said[said["item"] == item]["product_id"].tolist() for item in range(len(frame))]


def test_known_customers_get_their_list_and_strangers_what_sells(model: RecommendModel) -> None:
    asked = ({"customer_id": "ann"}, {"customer_id": "stranger"}, {"customer_id": "ann", "k": 1.0}, {"basket": ["milk"]})
    assert all(problem(CARD.request, {name: v for name, v in item.items() if name != "k"}) is None for item in asked)
    assert _ask(model, *asked) == [["tea", "milk"], ["milk", "eggs"], ["tea"], ["eggs"]]


def test_a_basket_raises_its_companions_and_is_never_offered_itself(model: RecommendModel) -> None:
    frame = pd.DataFrame({"customer_id": ["ann"], "k": [10], "basket": [["bread", "tea"]]})
    said = model.predict(frame)
    assert said["product_id"].tolist() == ["butter", "milk"]
    assert said["score"].tolist() == pytest.approx([0.8, 1 - 0.7 * 0.5])
    assert said["why"].iloc[0] == "bought with bread in 80% of its baskets"
    assert said["rank"].tolist() == [1, 2]


def test_more_than_is_stored_cannot_be_asked_for(model: RecommendModel) -> None:
    assert kind_of(CARD.request["k"]).high == MOST_K
    for k in (0, MOST_K + 1, float("inf")):
        assert problem(CARD.request, {"customer_id": "ann", "k": k})
        with pytest.raises(BadInput, match=f"k is {k}: expected a whole number from 1 to {MOST_K}"):
            _ask(model, {"customer_id": "ann", "k": k})
    assert (
        problem(CARD.request, {"customer_id": "ann", "k": MOST_K}) is None and len(_ask(model, {"customer_id": "ann", "k": MOST_K})[0]) == 2
    )


def test_it_survives_a_round_trip(model: RecommendModel, tmp_path: Path) -> None:
    again = load_portable(save_portable(model, tmp_path / "m"))
    frame = pd.DataFrame({"customer_id": ["ann", "x"], "k": [None, 5], "basket": [None, ["bread"]]})
    pd.testing.assert_frame_equal(again.predict(frame), model.predict(frame))
