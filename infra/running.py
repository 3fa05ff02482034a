"""What verbs run on: Spark for as long as they need it, and patience with servers that are away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from infra.console import tell
from infra.patience import Tell
from infra.settings import Settings

#: seconds without an executor after which it is told
EXECUTOR_SECONDS = 60.0


@contextmanager
def spark_of(settings: Settings) -> Iterator[Any]:
    """A Spark session for the time of a verb. Raises NotReady where the lake takes no files."""
    from infra.lake import Lake
    from infra.spark import executors, session

    Lake(settings.lake_url).require_writable()
    spark = session(settings)
    try:
        with waiting_told(settings.spark_url, lambda: executors(spark), tell):
            yield spark
    finally:
        spark.stop()


@contextmanager
def waiting_told(spark_url: str, executors: Callable[[], int], tell: Tell, seconds: float = EXECUTOR_SECONDS) -> Iterator[None]:
    """Say once, while the block works, that a cluster has given no executor for so long: Spark waits for one in silence."""

    def look() -> None:
        if executors() == 0:
            tell(
                f"waiting for Spark at {spark_url}: no executor came in {seconds:.0f} s. Its workers do not run, or other verbs hold their "
                "cores (SHELFCAST_SPARK_CORES is what one takes)."
            )

    watch = threading.Timer(seconds, look)
    watch.daemon = True
    if spark_url.startswith("spark://"):
        watch.start()
    try:
        yield
    finally:
        watch.cancel()
        if watch.is_alive():  # it may be looking at a session that is about to be stopped
            watch.join()


def patiently(settings: Settings, step: Callable[[], Any]) -> Any:
    """What a repeatable step returns, run again when a service was away; whoever looks is told what is waited for."""
    from infra.patience import persevere

    return persevere(settings, step, tell)
