"""Quantiles are those of the demand that was seen, whatever made the mean; they never cross."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from training.demand.calibration import Calibration
from training.evaluation.metrics import calibration_gap

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)


def draws(seed: int, count: int = 60_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Negative binomial demand whose spread grows with horizon and with the series' own wildness."""
    rng = np.random.default_rng(seed)
    mean, wild, horizon = rng.gamma(0.6, 4, count) + 0.02, rng.choice([1.1, 3.0], count), rng.integers(1, 8, count)
    variance = mean * (wild + 0.1 * horizon)
    chance = mean / variance
    return mean, rng.negative_binomial(mean * chance / (1 - chance), chance).astype(float), wild, horizon


def test_new_draws_fall_below_each_quantile_as_often_as_it_says() -> None:
    fitted = Calibration.fit(*draws(0))
    mean, actual, wild, horizon = draws(1)
    found = fitted.quantiles(mean, wild, horizon, LEVELS)
    for part in (np.ones(len(mean), dtype=bool), wild > 2, wild < 2, horizon == 1, horizon == 7, mean < 0.5, mean > 5):
        for at, level in enumerate(LEVELS):
            assert calibration_gap(actual[part], found[part, at], level) < 0.02


def test_slow_items_get_their_discrete_distribution() -> None:
    fitted = Calibration.fit(*draws(0))
    mean = np.full(3, 0.4)
    found = fitted.quantiles(mean, np.full(3, 1.1), np.ones(3, dtype=int), (0.1, 0.5, 0.95))
    chance = 0.4 / (0.4 * 1.2)
    expected = stats.nbinom.ppf([0.1, 0.5, 0.95], 0.4 * chance / (1 - chance), chance)
    np.testing.assert_array_equal(found[0], expected)


def test_a_month_of_three_series_is_enough_for_quantiles_of_each() -> None:
    rng = np.random.default_rng(5)
    mean = np.repeat([0.3, 2.0, 9.0], 28)
    fitted = Calibration.fit(mean, rng.poisson(mean).astype(float), np.ones(84), np.tile(np.arange(1, 8), 12))
    asked = np.array([0.3, 2.0, 9.0])
    found = fitted.quantiles(asked, np.ones(3), np.ones(3, dtype=int), (0.1, 0.5, 0.9))
    expected = stats.poisson.ppf([[0.1, 0.5, 0.9]], asked[:, None])
    np.testing.assert_allclose(found, expected, atol=1.5)


def test_a_biased_mean_is_corrected() -> None:
    mean, actual, wild, horizon = draws(0)
    fitted = Calibration.fit(mean * 3, actual, wild, horizon)
    fresh, later, wild, horizon = draws(1)
    assert calibration_gap(later, fitted.quantiles(fresh * 3, wild, horizon, (0.5,))[:, 0], 0.5) < 0.02


def test_scale_carries_through_for_units_that_are_not_whole() -> None:
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 100, 20_000)
    actual = mean * rng.lognormal(0, 0.3, 20_000)
    args = (np.ones(20_000), np.ones(20_000, dtype=int))
    one, thousand = Calibration.fit(mean, actual, *args), Calibration.fit(mean * 1000, actual * 1000, *args)
    asked = (np.ones(3), np.ones(3, dtype=int), LEVELS)
    small, large = one.quantiles(np.array([2.0, 20, 90]), *asked), thousand.quantiles(np.array([2e3, 2e4, 9e4]), *asked)
    np.testing.assert_allclose(large, 1000 * small, rtol=1e-6)
    found = one.quantiles(np.array([50.0]), np.ones(1), np.ones(1, dtype=int), (0.9,))
    np.testing.assert_allclose(found, 50 * stats.lognorm.ppf(0.9, 0.3), rtol=0.05)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300), st.integers(0, 10_000),
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9, unique=True),
)  # fmt: skip
def test_quantiles_never_cross_and_are_never_negative(count: int, seed: int, levels: list[float]) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.gamma(1, 3, count)
    fitted = Calibration.fit(mean, rng.poisson(mean).astype(float), rng.choice([1.0, np.nan], count), rng.integers(1, 5, count))
    asked = np.array([0.0, 1e-6, 0.3, 5, 1e6])
    found = fitted.quantiles(asked, np.array([np.nan, 1, 2, 1, 9]), np.array([1, 2, 3, 40, 1]), sorted(levels))
    assert np.isfinite(found).all() and (found >= 0).all() and (np.diff(found, axis=1) >= 0).all()


def test_what_is_saved_says_the_same(tmp_path: Path) -> None:
    fitted = Calibration.fit(*draws(0, 5000))
    fitted.save(tmp_path)
    mean, _, wild, horizon = draws(2, 500)
    again = Calibration.load(tmp_path)
    np.testing.assert_array_equal(again.quantiles(mean, wild, horizon, LEVELS), fitted.quantiles(mean, wild, horizon, LEVELS))


def test_without_anything_seen_demand_is_poisson_like() -> None:
    nothing = np.empty(0)
    fitted = Calibration.fit(nothing, nothing, nothing, nothing)
    found = fitted.quantiles(np.array([0.2, 20.0]), np.full(2, np.nan), np.ones(2, dtype=int), (0.5, 0.9))
    assert found[0].tolist() == [0, 1]
    np.testing.assert_allclose(found[1], stats.poisson.ppf([0.5, 0.9], 20), atol=2)
    assert found[1, 0] == pytest.approx(20, abs=1)
