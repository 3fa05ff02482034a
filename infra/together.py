"""Independent steps at the same time: on small data Spark plans longer than it works, and one step's planning then
overlaps with another's work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: steps under way at once; each may hold a group of series in memory
AT_ONCE = 2


def together(steps: Sequence[Callable[[], T]]) -> list[T]:
    """The answers of `steps`, in their order, AT_ONCE of them under way. The first error is raised when those under way
    have ended; steps that had not begun by then are left out."""
    from pyspark import inheritable_thread_target
    from pyspark.sql import SparkSession

    # the threads inherit what Spark ties to a thread: the session's tags, and the job's description
    session = SparkSession.getActiveSession()
    inheriting = inheritable_thread_target(session) if session else lambda step: step
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [pool.submit(inheriting(step)) for step in steps]
        try:
            return [future.result() for future in begun]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
