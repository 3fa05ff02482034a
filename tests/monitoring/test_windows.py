"""The windows compare like with like: same length, same weekdays, the same season where the history reaches."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitoring.windows import WINDOW_DAYS, picked_days, windows


@given(st.dates(date(2015, 1, 1), date(2030, 1, 1)), st.integers(0, 1000))
def test_windows_have_the_same_length_and_weekdays_and_lie_in_the_history(as_of: date, age: int) -> None:
    first = as_of - timedelta(days=age)
    found = windows(as_of, first)
    if found is None:
        assert age < 2 * WINDOW_DAYS - 1
        return
    assert found.current == (as_of - timedelta(days=27), as_of)
    assert found.reference[0] >= first
    assert found.reference[1] < found.current[0]
    assert (found.current[0] - found.reference[0]).days % 7 == 0
    assert found.same_season == (age >= 364 + 27)
    assert len(picked_days(found.current)) == 7
    assert {day.weekday() for day in picked_days(found.current)} == set(range(7))
