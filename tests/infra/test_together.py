"""Independent steps at the same time."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from infra.together import AT_ONCE, together


def test_answers_keep_their_order_and_steps_overlap(spark) -> None:
    meet = threading.Barrier(AT_ONCE, timeout=60)  # passed only by steps that are under way at once

    def count(rows: int) -> int:
        meet.wait()
        return spark.range(rows).count()

    assert together([partial(count, rows) for rows in (3, 1, 4, 2)]) == [3, 1, 4, 2]
    assert together([]) == []


def test_the_first_error_is_raised_when_the_others_have_ended() -> None:
    ended, failed = [], threading.Event()

    def slow() -> None:
        assert failed.wait(60)
        ended.append("slow")

    def fail() -> None:
        failed.set()
        raise ValueError("the second step")

    with pytest.raises(ValueError, match="the second step"):
        together([slow, fail])
    assert ended == ["slow"]
