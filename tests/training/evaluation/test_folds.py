"""Rolling origins leave room for their horizon and never overlap by default."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.folds import rolling_origins


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 6))
def test_every_origin_has_its_horizon_and_no_day_is_judged_twice(length: int, horizon: int, count: int) -> None:
    days = pd.date_range("2024-01-01", periods=length)
    origins = rolling_origins(days, horizon, count)
    assert len(origins) <= count and origins == sorted(origins)
    for origin in origins:
        assert origin + pd.Timedelta(days=horizon) <= days[-1]
    assert all((b - a).days >= horizon for a, b in pairwise(origins))


def test_the_last_origin_is_judged_on_the_end() -> None:
    days = pd.date_range("2024-01-01", periods=100)
    assert rolling_origins(days, 7, 2) == [days[85], days[92]]
