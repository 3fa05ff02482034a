"""Batch scoring: every family's champion fills its decision table, in the lake and in the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from feature_repo.tables import DEMAND_DAILY
from infra.alone import alone
from infra.errors import NothingToDo
from infra.lake import Lake
from infra.publish import publish
from infra.registry import CHAMPION, Registry
from infra.settings import Settings
from training.family import family_names, load_family
from training.portable import load_portable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: demand comes first: the other families may read its forecasts
ORDER = ("demand", "stock", "anomaly", "slow_mover", "recommend")


@dataclass(frozen=True)
class Scored:
    """A decision table that was filled: its name, days, rows and the champion that said so."""

    family: str
    table: str
    version: str
    days: Sequence[date]
    rows: int


def score(
    spark: SparkSession, settings: Settings, families: Sequence[str] | None = None, progress: Callable[[int, int, str], None] | None = None
) -> list[Scored]:
    """Fill the decision tables of `families` (all when None) for the newest day; the same day again replaces itself."""
    names = list(families or sorted(family_names(), key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER)))
    out = []
    for step, name in enumerate(names):
        if progress:
            progress(step, len(names), f"scoring {name}")
        out.append(_score_one(spark, settings, name))
    if progress:
        progress(len(names), len(names), "scored")
    return out


def _score_one(spark: SparkSession, settings: Settings, name: str) -> Scored:
    family, registry, lake = load_family(name), Registry(settings), Lake(settings.lake_url)
    version = registry.version(name, CHAMPION)
    if version is None:
        raise NothingToDo(f"{name} has no champion: run `shelfcast train {name}` and `shelfcast promote {name}` first.")
    model = load_portable(registry.folder(name, version))
    table = family.decisions
    with alone(settings, table.name, wait=True):  # alerts are kept by the watch too
        scored = family.score(spark, settings, model, version).select(*table.names).persist()
        rows: dict[date, int] = dict(scored.groupBy(table.day).count().collect())
        # the newest day too where nothing is said of it any more: what was said before would stand
        lake.replace_days(scored, table, [*rows, *_newest_day(spark, lake)])
        publish(settings, table)
    scored.unpersist()
    return Scored(name, f"{table.layer}/{table.name}", version, sorted(rows), sum(rows.values()))


def _newest_day(spark: SparkSession, lake: Lake) -> list[date]:
    """The last day that features are of; none where there are no features, which not every family reads."""
    if not lake.exists(DEMAND_DAILY):
        return []
    return [row[0] for row in lake.read(spark, DEMAND_DAILY).agg({"ds": "max"}).collect() if row[0]]
