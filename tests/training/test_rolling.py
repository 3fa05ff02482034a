"""Rolling origins: what tunes shares no day with what is judged."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from training.rolling import purged

FIRST = date(2024, 1, 1)


@pytest.mark.parametrize("apart", [7, 14, 56, 60])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 12])
def test_the_newest_origin_is_judged_and_the_others_ended_before_it(apart: int, count: int) -> None:
    origins = [FIRST + timedelta(days=apart * at) for at in range(count)]
    chosen = purged(origins[::-1], 56, 3)
    assert chosen == sorted(chosen) and chosen[-1:] == origins[-1:] and len(chosen) <= 3
    gap = -(-56 // apart)
    assert chosen[:-1] == origins[: max(count - gap, 0)][-2:]
