"""What must be there before the first event: each function makes what is missing of one part, and returns its names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from infra.event_log import event_log
from infra.settings import Settings
from infra.tracking import connect
from infra.warehouse import Warehouse, declare


@dataclass(frozen=True)
class Made:
    """A part of the platform, and what of it was made now."""

    part: str
    made: list[str]


def made_by(part: str, names: Iterable[str]) -> Made:
    """What was made of a part; `nothing new` is said where all was there."""
    return Made(part, list(names) or ["nothing new"])


@runtime_checkable
class _Declares(Protocol):
    def declare(self, topics: Iterable[str]) -> list[str]: ...


def topics(settings: Settings, names: Iterable[str]) -> list[str]:
    """Declare the topics of the event log, where it is one that has them declared (a landing folder makes its own)."""
    declares = getattr(event_log(settings), "topics", None)
    return declares.declare(names) if isinstance(declares, _Declares) else []


def warehouse_tables(settings: Settings) -> list[str]:
    """Create the tables and views that `infra/sql/ddl` declares and the warehouse lacks."""
    listed = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    with Warehouse(settings.warehouse_url).client() as client:
        before = {row[0] for row in client.query(listed).result_rows}
        declare(client)
        return [row[0] for row in client.query(listed).result_rows if row[0] not in before]


def experiments(settings: Settings, names: Iterable[str]) -> list[str]:
    """Create the MLflow experiments that are missing, each with its own place for artifacts."""
    client = connect(settings)
    missing = [name for name in names if client.get_experiment_by_name(name) is None]
    for name in missing:
        client.create_experiment(name, artifact_location=f"{settings.artifacts_url}/{name}")
    return missing
