"""The predictive distribution: level, weekday, spread, and what was not on offer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.stock import demand_distribution, learned_level
from training.stock.panel import Panel, panel


def of(units: np.ndarray, exposure: np.ndarray | None = None, days: int = 1) -> Panel:
    pairs = pd.DataFrame({"store_id": "s", "product_id": [f"{k:05}" for k in range(len(units))]})
    shown = np.ones(units.shape) if exposure is None else exposure
    return Panel(pairs, units.astype(float), shown, pd.Timestamp("2024-06-03"), days, np.full(len(units), np.nan))


def test_the_level_is_that_of_periods_on_offer() -> None:
    draw = np.random.default_rng(0)
    units = draw.poisson(5.0, (50, 140)).astype(float)
    shown = (draw.random(units.shape) > 0.4).astype(float)
    found = demand_distribution.predict(of(units * shown, shown), 7)
    assert found.mean.mean() == pytest.approx(5.0, rel=0.05)
    assert demand_distribution.predict(of(units * shown), 7).mean.mean() < 3.5


def test_the_weekday_profile_is_found() -> None:
    week = np.array([1, 1, 1, 1, 2, 4, 4.0])
    units = np.random.default_rng(1).poisson(3 * np.tile(week, 20), (30, 140))
    found = demand_distribution.predict(of(units), 7)
    np.testing.assert_allclose(found.mean.mean(axis=0) / found.mean.mean(), week / week.mean(), rtol=0.1)


def test_windows_have_the_spread_that_was_simulated() -> None:
    draw = np.random.default_rng(2)
    for size, expected in ((1e6, 1.0), (2.0, 1.0 + 6.0 / 2.0)):
        rate = draw.gamma(size, 6.0 / size, (300, 200))
        found = demand_distribution.predict(of(draw.poisson(rate)), 1)
        mean, variance = found.total(np.zeros(300, int), np.ones(300, int))
        assert np.median(variance / mean) == pytest.approx(expected, rel=0.25)


def test_nothing_known_is_still_an_answer() -> None:
    found = demand_distribution.predict(of(np.zeros((3, 1))), 10)
    assert found.mean.shape == (3, 10) and np.isfinite(found.mean).all() and (found.mean > 0).all()


def test_the_learner_finds_a_season_and_never_looks_ahead() -> None:
    draw = np.random.default_rng(3)
    weeks = 130
    season = 1 + 0.8 * np.sin(2 * np.pi * np.arange(weeks + 3) / 52)
    units = draw.poisson(draw.uniform(2, 20, (60, 1)) * season[None, :]).astype(float)
    known = of(units, days=7).until(weeks)
    learned = learned_level.weekly_means(known, 3)
    assert learned is not None
    plain = demand_distribution.predict(known, 3).mean
    actual = units[:, weeks:]
    assert np.abs(learned - actual).sum() < 0.9 * np.abs(plain - actual).sum()
    later = of(np.where(np.arange(weeks + 3) >= weeks, 999.0, units), days=7).until(weeks)
    np.testing.assert_array_equal(learned, learned_level.weekly_means(later, 3))


def test_gaps_are_periods_without_sale_and_weeks_are_weeks() -> None:
    ds = pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-29"])
    weekly = panel(pd.DataFrame({"store_id": "s", "product_id": "p", "ds": ds, "units": [3.0, 4.0, 5.0]}))
    assert weekly.days == 7 and weekly.units.tolist() == [[3.0, 4.0, 0.0, 0.0, 5.0]] and weekly.exposure.all()
    daily = panel(pd.DataFrame({"store_id": "s", "product_id": "p", "ds": ds[:2] + pd.to_timedelta([0, 1], "D"), "units": [3.0, 4.0]}))
    assert daily.days == 1 and daily.units.shape == (1, 9)
