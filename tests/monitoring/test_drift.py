"""Drift: silent on one distribution, loud on two, and the same distances as Evidently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitoring.drift import MISSING, compare, prepared, wasserstein

COLUMNS = ["units", "units_28", "price", "spend", "promotion", "constant", "category"]


def _sample(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Columns as retail has them: heavy-tailed, mostly zero, correlated, a category, gaps."""
    units = rng.poisson(rng.gamma(0.5, 2.0, n)).astype(float)
    price = np.exp(rng.normal(1, 0.5, n))
    return pd.DataFrame({
        "units": units, "units_28": units * 20 + rng.normal(0, 5, n), "price": np.where(rng.random(n) < 0.1, np.nan, price),
        "spend": rng.pareto(2.1, n) * 10, "promotion": (rng.random(n) < 0.05).astype(float), "constant": 1.0,
        "category": rng.choice(["a", "b", "c", "d"], n, p=[0.7, 0.2, 0.09, 0.01]),
    })  # fmt: skip


@pytest.mark.parametrize("n", [80, 200, 500])
def test_one_distribution_raises_no_alarm_in_99_of_100_draws(n: int) -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, n])
        found = compare(*prepared(_sample(rng, n), _sample(rng, n), COLUMNS), seed=seed)
        alarms += any(column.drifted for column in found)
    assert alarms <= 2, f"{alarms} false alarms in 200 draws of {n} rows"


@pytest.mark.parametrize("n", [400, 2000])
def test_a_real_shift_is_found_in_its_column_only(n: int) -> None:
    rng = np.random.default_rng(n)
    reference, current = _sample(rng, n), _sample(rng, n)
    current["price"] *= 1.5
    current["category"] = rng.choice(["a", "b", "c", "d"], n, p=[0.3, 0.5, 0.1, 0.1])
    current.loc[rng.random(n) < 0.3, "units_28"] = np.nan
    found = {c.column: c for c in compare(*prepared(reference, current, list(reference.columns)), seed=1)}
    assert {name for name, c in found.items() if c.drifted} == {"price", "category", "units_28" + MISSING}
    assert found["price"].method == "wasserstein"
    assert found["category"].method == "jensenshannon"


def test_a_shift_too_small_to_matter_is_not_an_alarm_however_large_the_sample() -> None:
    rng = np.random.default_rng(3)
    reference = pd.DataFrame({"x": rng.normal(0, 1, 20_000)})
    current = pd.DataFrame({"x": rng.normal(0.05, 1, 20_000)})
    assert stats.ks_2samp(reference["x"], current["x"]).pvalue < 0.01
    assert not compare(reference, current)[0].drifted


def test_wasserstein_is_scipys_over_the_standard_deviation() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.gamma(1, 1, 300), rng.gamma(2, 1, 500)
    ours = wasserstein(np.concatenate([first, second]), (np.arange(800) < 300)[None, :])[0]
    assert ours == pytest.approx(stats.wasserstein_distance(first, second) / np.std(first), rel=1e-9)


def test_too_few_known_values_are_not_judged() -> None:
    reference = pd.DataFrame({"x": [1.0] * 20 + [np.nan] * 200, "y": np.arange(220.0)})
    assert [c.column for c in compare(*prepared(reference, reference, ["x", "y"]))] == ["x" + MISSING, "y"]


def test_many_categories_are_pooled_into_one() -> None:
    names = pd.DataFrame({"product": [f"p{i % 500}" for i in range(2000)]})
    reference, current = prepared(names, names, ["product"])
    assert reference["product"].nunique() == 31
    assert not compare(reference, current)[0].drifted


@pytest.mark.parametrize("odd", [4, 6, 9, 30])
def test_a_nearly_constant_column_hides_no_shift_of_another(odd: int) -> None:
    rng = np.random.default_rng(odd)
    both = [pd.DataFrame({"level": rng.normal(shift, 1.0, 2000), "rare": 0.0}) for shift in (0.0, 1.0)]
    for at in range(odd):
        both[at % 2].loc[at, "rare"] = 3.0
    found = {c.column: c for c in compare(*prepared(*both, ["level", "rare"]))}
    assert found["level"].drifted and found["level"].threshold < 0.3
    assert not found["rare"].drifted
