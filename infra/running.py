"""What verbs run on: Spark for as long as they need it, and patience with servers that are away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from infra.console import tell
from infra.settings import Settings


@contextmanager
def spark_of(settings: Settings) -> Iterator[Any]:
    """A Spark session for the time of a verb. Raises NotReady where the lake takes no files."""
    from infra.lake import Lake
    from infra.spark import session

    Lake(settings.lake_url).require_writable()
    spark = session(settings)
    try:
        yield spark
    finally:
        spark.stop()


def patiently(settings: Settings, step: Callable[[], Any]) -> Any:
    """What a repeatable step returns, run again when a service was away; whoever looks is told what is waited for."""
    from infra.patience import persevere

    return persevere(settings, step, tell)
