"""Surprise is the exact tail of the negative binomial; a rarity is monotone and looks back only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nbinom

from training.anomaly.calibrate import maturity, pooled, rarity
from training.anomaly.surprise import surprise, window_sums, zero_runs


@pytest.mark.parametrize(("x", "mean", "spread"), [(12, 3.0, 0.2), (0, 6.0, 0.1), (40, 5.0, 0.5), (9, 0.4, 1.0)])
def test_surprise_is_the_mid_p_tail(x: int, mean: float, spread: float) -> None:
    high, low = surprise(np.array([[float(x)]]), np.array([[mean]]), np.array([[spread]]))
    r = 1 / spread
    law = nbinom(r, r / (r + mean))
    if x > mean:
        assert high[0, 0] == pytest.approx(-np.log10(law.sf(x) + 0.5 * law.pmf(x)), rel=1e-5) and low[0, 0] == 0
    else:
        assert low[0, 0] == pytest.approx(-np.log10(law.cdf(x) - 0.5 * law.pmf(x)), rel=1e-5) and high[0, 0] == 0


def test_unknown_days_surprise_nobody() -> None:
    high, low = surprise(np.array([[np.nan, 90.0]]), np.array([[4.0, 0.0]]), np.array([[0.1, 0.1]]))
    assert not high.any() and not low.any()


def test_a_run_of_zeros_grows_and_ends_with_a_sale() -> None:
    x = np.array([[5.0, 4, 6, 5, 0, 0, 0, 5]])
    runs = zero_runs(x, np.full(x.shape, 5.0), np.full(x.shape, 0.1))[0]
    assert not runs[:4].any() and runs[4] < runs[5] < runs[6] and runs[7] == 0


def test_window_sums() -> None:
    np.testing.assert_array_equal(window_sums(np.array([[1.0, 2, 3, 4]]), 2), [[1, 3, 5, 7]])


def test_rarity_is_monotone_calibrated_and_causal() -> None:
    random = np.random.default_rng(0)
    raw = random.exponential(1.5 / np.log(10), size=(300, 140))  # tails half again as heavy as claimed
    seen = np.ones(raw.shape, dtype=bool)
    stratum = np.zeros(raw.shape, dtype=np.int8)
    found = rarity(raw, stratum, maturity(seen))
    assert (found[:, 100:] >= 2).mean() == pytest.approx(0.01, rel=0.3)
    order = np.argsort(raw[:, 120])
    assert (np.diff(found[order, 120]) >= -1e-6).all()
    raw[:, 121:] = 9
    np.testing.assert_array_equal(rarity(raw, stratum, maturity(seen))[:, :119], found[:, :119])


def test_pooled_lies_between_mean_and_strongest() -> None:
    one = pooled({"a": np.array([3.0]), "b": np.array([0.0])}, {"a": 1.0, "b": 1.0})
    assert 3.0 - np.log10(2) <= one[0] <= 3.0
