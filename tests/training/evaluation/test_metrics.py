"""Metrics against numbers worked out by hand and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation import metrics

Y, F = np.array([2.0, 0.0, 4.0]), np.array([1.0, 1.0, 5.0])


def test_point_metrics_by_hand() -> None:
    assert metrics.wape(Y, F) == pytest.approx(3 / 6)
    assert metrics.bias(Y, F) == pytest.approx(1 / 6)
    assert metrics.mae(Y, F) == pytest.approx(1.0)


def test_quantile_metrics_by_hand() -> None:
    # errors y - f: 1, -1, -1; at 0.9: 0.9, 0.1, 0.1
    assert metrics.pinball(Y, F, 0.9) == pytest.approx(1.1 / 3)
    assert metrics.wql(Y, np.stack([F, F], axis=1), (0.1, 0.9)) == pytest.approx((2 * 1.1 / 6 + 2 * 1.9 / 6) / 2)
    assert metrics.coverage(Y, F) == pytest.approx(2 / 3)
    assert metrics.crossing(np.array([[0.0, 1.0], [2.0, 1.0]])) == 0.5


def test_a_discrete_quantile_is_calibrated_between_its_two_shares() -> None:
    zeros = np.array([0.0, 0.0, 0.0, 1.0])
    assert metrics.calibration_gap(zeros, np.zeros(4), 0.5) == 0
    assert metrics.calibration_gap(zeros, np.zeros(4), 0.9) == pytest.approx(0.15)
    assert metrics.calibration_gap(zeros, np.ones(4), 0.5) == pytest.approx(0.25)


def test_the_wql_of_the_median_alone_is_wape() -> None:
    assert metrics.wql(Y, F[:, None], (0.5,)) == pytest.approx(metrics.wape(Y, F))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=5, max_size=40), st.sampled_from([0.1, 0.5, 0.9]))
def test_pinball_is_least_at_the_empirical_quantile(sales: list[int], level: float) -> None:
    actual = np.array(sales, dtype=float)
    best = np.quantile(actual, level, method="inverted_cdf")
    losses = [metrics.pinball(actual, np.full(len(actual), float(value)), level) for value in range(21)]
    assert metrics.pinball(actual, np.full(len(actual), best), level) == pytest.approx(min(losses))


def test_scales_start_at_the_first_sale_and_skip_what_is_unknown() -> None:
    history = np.array([[0, 0, 1, 3, 2], [np.nan, 2, np.nan, 4, 5], [1, 1, 1, 1, 1]], dtype=float)
    # 1->3->2: (4 + 1) / 2; only 4->5 is known on both ends; a constant has no scale
    np.testing.assert_allclose(metrics.squared_scale(history), [2.5, 1.0, np.nan])
    np.testing.assert_allclose(metrics.absolute_scale(history), [1.5, 1.0, np.nan])


def test_rmsse_and_mase_by_hand() -> None:
    actual, forecast = np.array([[1.0, np.nan, 3.0]]), np.array([[2.0, 9.0, 6.0]])
    assert metrics.rmsse(actual, forecast, np.array([5.0]))[0] == pytest.approx(np.sqrt((1 + 9) / 2 / 5))
    assert metrics.mase(actual, forecast, np.array([2.0]))[0] == pytest.approx(1.0)


def test_the_random_walk_scores_one_on_its_own_past() -> None:
    walk = np.cumsum(np.random.default_rng(0).integers(-1, 2, (3, 400)), axis=1) + 500.0
    scale = metrics.squared_scale(walk)
    np.testing.assert_allclose(metrics.rmsse(walk[:, 1:], walk[:, :-1], scale), 1.0)


def test_wrmsse_by_hand_on_two_levels() -> None:
    history = np.array([[1, 2, 1, 2], [3, 3, 5, 3]], dtype=float)
    actual, forecast = np.array([[2.0, 2.0], [4.0, 4.0]]), np.array([[1.0, 2.0], [4.0, 6.0]])
    value = np.array([1.0, 3.0])
    found = metrics.wrmsse(actual, forecast, history, value, {"total": np.zeros(2), "bottom": np.arange(2)})
    bottom = 0.25 * np.sqrt(0.5 / 1) + 0.75 * np.sqrt(2.0 / (8 / 3))
    # totals 4, 5, 6, 5: each step is 1; errors 1 and -2
    total = np.sqrt((1 + 4) / 2 / 1)
    assert found == pytest.approx({"total": total, "bottom": bottom, "mean": (total + bottom) / 2})


def test_by_segment_pools_and_splits() -> None:
    frame = pd.DataFrame({"y": Y, "f": F, "kind": ["a", "a", "b"]})
    found = metrics.by_segment(frame, "kind", {"wape": lambda part: metrics.wape(part["y"].to_numpy(), part["f"].to_numpy())})
    assert found.set_index("segment")["value"].to_dict() == pytest.approx({"all": 0.5, "a": 1.0, "b": 0.25})
