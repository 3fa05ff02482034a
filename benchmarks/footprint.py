"""What a piece of work costs a machine: seconds, processor seconds and peak memory of whole process trees."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import psutil

P = ParamSpec("P")
R = TypeVar("R")

#: seconds between two looks at the memory
_BEAT_SECONDS = 0.25


@dataclass
class Footprint:
    """`seconds` by the clock, `cpu_seconds` of all processes, `peak_mb` of their proportional memory (a page that n
    processes share counts a n-th for each)."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def footprint(roots: Sequence[int] = ()) -> Iterator[Footprint]:
    """What is spent inside the block by this process, by the processes `roots`, and by all that come from them; filled in
    when the block ends."""
    watched, found, over = [psutil.Process(), *map(psutil.Process, roots)], Footprint(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            found.peak_mb = max(found.peak_mb, memory_mb(watched))
            over.wait(_BEAT_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    cpu, started = cpu_seconds(watched), time.perf_counter()
    watcher.start()
    try:
        yield found
    finally:
        found.seconds, found.cpu_seconds = time.perf_counter() - started, cpu_seconds(watched) - cpu
        over.set()
        watcher.join()


def memory_mb(roots: Sequence[psutil.Process]) -> float:
    """Proportional memory of the processes and their descendants, in MB."""
    return sum(_told(each, lambda process: process.memory_full_info().pss) for each in _family(roots)) / 1e6


def cpu_seconds(roots: Sequence[psutil.Process]) -> float:
    """Processor seconds of the processes and their descendants, those that have ended and were waited for among them."""
    return sum(_told(each, lambda process: sum(process.cpu_times()[:4])) for each in _family(roots))


def in_a_fresh_process(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The answer of `work` in a process of its own, which ends with it: no JVM, cache or heap of an earlier run."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def _family(roots: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The processes and their descendants, each once."""
    found = {}
    for root in roots:
        try:
            found.update({each.pid: each for each in (root, *root.children(recursive=True))})
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def _told(process: psutil.Process, question: Callable[[psutil.Process], float]) -> float:
    """The answer of a process, nothing when it has ended meanwhile."""
    try:
        return question(process)
    except psutil.NoSuchProcess:
        return 0.0
