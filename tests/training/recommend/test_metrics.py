"""Ranking metrics in closed form."""

from __future__ import annotations

import math

import pytest

from training.recommend.metrics import ranking_metrics


def test_a_perfect_list_scores_one_and_an_absent_one_nothing() -> None:
    assert ranking_metrics({"a": ["x", "y"]}, {"a": {"x", "y"}}, 10) == {"recall": 1.0, "ndcg": 1.0, "hit_rate": 1.0}
    assert ranking_metrics({}, {"a": {"x"}}, 10) == {"recall": 0.0, "ndcg": 0.0, "hit_rate": 0.0}


def test_a_hit_in_second_place_is_discounted_and_the_mean_is_over_keys() -> None:
    found = ranking_metrics({"a": ["n", "x"], "b": ["n"]}, {"a": {"x"}, "b": {"x", "z"}}, 2)
    assert found["ndcg"] == pytest.approx(0.5 / math.log2(3))
    assert found["recall"] == found["hit_rate"] == 0.5
