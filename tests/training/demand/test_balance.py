"""A balanced mean sells in sum what was sold, by weekday and by size; a weekday seen once is hardly believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from training.demand.balance import BalancedMean
from training.demand.examples import EXAMPLE_FEATURES, Rows
from training.demand.profiles import ProfileMean

SATURDAY = 5


def rows(days: int, each: int = 40) -> Rows:
    """`each` series a day, of bases from 0.1 to 20 units."""
    ds = pd.DatetimeIndex(np.repeat(pd.date_range("2024-01-01", periods=days), each))
    matrix = np.zeros((len(ds), len(EXAMPLE_FEATURES)), dtype=np.float32)
    matrix[:, EXAMPLE_FEATURES.index("dow")] = ds.dayofweek
    return Rows(EXAMPLE_FEATURES, matrix, np.tile(np.geomspace(0.1, 20, each), days), ds)


def test_each_weekday_and_each_size_gets_its_sum() -> None:
    seen = rows(700)
    saturday, large = seen.ds.dayofweek == SATURDAY, seen.base > 1
    units = seen.base * np.where(saturday, 1.3, 1.0) * np.where(large, 1.1, 0.8)
    found = BalancedMean.fit(ProfileMean(), seen, units, seen.base).predict(seen)
    for part in (saturday, ~saturday, large, ~large):
        assert abs(found[part].sum() / units[part].sum() - 1) < 0.06


def test_one_saturday_says_little_however_many_rows_it_has() -> None:
    seen = rows(7, each=5000)
    units = seen.base * np.where(seen.ds.dayofweek == SATURDAY, 3.0, 1.0)
    factors = BalancedMean.fit(ProfileMean(), seen, units, seen.base).weekdays
    assert 1.05 < factors[SATURDAY] < 1.4


def test_the_same_after_saving(tmp_path: Path) -> None:
    seen = rows(28)
    mean = BalancedMean.fit(ProfileMean(), seen, seen.base * (1 + 0.1 * seen.ds.dayofweek), seen.base)
    mean.save(tmp_path, "it")
    np.testing.assert_array_equal(BalancedMean.load(tmp_path, "it").predict(seen), mean.predict(seen))
