"""Filling in what was not decided on a past day, as it would have been: by the features of that day and the champion of that day.
A later champion would tell what it was trained on, and spoil what live accuracy says."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from infra.alone import alone
from infra.errors import BadInput, NothingToDo
from infra.lake import Lake
from infra.publish import publish
from infra.registry import Registry
from infra.settings import Settings
from training.family import load_family
from training.portable import load_portable
from training.score import Scored

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fill_in(spark: SparkSession, settings: Settings, name: str, day: date) -> Scored:
    """Fill the decision table of a family for `day`. Raises NothingToDo where the day has rows, which are never replaced, or had
    no champion; BadInput where the lake has no features of it or the family cannot look back."""
    family, registry, lake = load_family(name), Registry(settings), Lake(settings.lake_url)
    version, table = registry.champion_on(name, day), family.decisions
    if version is None:
        raise NothingToDo(f"{name} had no champion on {day}: one that was promoted later would tell what it was trained on.")
    model = load_portable(registry.folder(name, version))
    with alone(settings, table.name, wait=True):
        if lake.exists(table) and len(lake.read_pandas(table, [table.day], [(table.day, "=", day)])):
            raise NothingToDo(f"{table.layer}/{table.name} has rows of {day}: what was decided on a day is never replaced.")
        scored = family.score(spark, settings, model, version, day).select(*table.names).persist()
        rows = scored.count()
        if rows:
            lake.replace_days(scored, table, [day])
            publish(settings, table)
        scored.unpersist()
    if not rows:
        raise BadInput(f"--day is {day}: the lake has no features of it by which {name} could decide; expected a day that it knows")
    return Scored(name, f"{table.layer}/{table.name}", version, [day], rows)
