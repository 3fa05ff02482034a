"""Evidently's own reports of the same comparison: a page a family, and a workspace with one project a family and a bounded
number of runs. Importing Evidently takes seconds, so it happens inside the functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from monitoring.drift import ColumnDrift

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

#: reports kept a family: Evidently's pages become slow with thousands
RUNS_KEPT = 60


def drift_snapshot(family: str, ds: date, reference: pd.DataFrame, current: pd.DataFrame, verdicts: Sequence[ColumnDrift]) -> Snapshot:
    """Evidently's run over two prepared samples, with each column's method and threshold named, so that its verdicts are
    those of `verdicts`."""
    _keep_quiet()
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    numeric = [v.column for v in verdicts if v.method == "wasserstein"]
    text = [v.column for v in verdicts if v.method != "wasserstein"]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=text)
    sides = [Dataset.from_pandas(frame[[v.column for v in verdicts]], data_definition=definition) for frame in (current, reference)]
    metrics: list[Any] = [ValueDrift(column=v.column, method=v.method, threshold=v.threshold) for v in verdicts]
    report = Report(metrics, include_tests=True, tags=[family, ds.isoformat()])
    return report.run(*sides, timestamp=datetime.combine(ds, time(12), UTC), name=f"{family} {ds.isoformat()}")


def scores(snapshot: Snapshot) -> dict[str, float]:
    """Evidently's distance by column."""
    return {metric["config"]["column"]: float(metric["value"]) for metric in snapshot.dict()["metrics"]}


def save_page(snapshot: Snapshot, path: Path) -> Path:
    """Evidently's page of a run, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    snapshot.save_html(str(partial))
    partial.replace(path)
    return path


def keep_run(folder: Path, family: str, ds: date, snapshot: Snapshot) -> int:
    """Add a run to the family's project in the workspace `folder`; the same day again replaces itself, and the oldest runs
    beyond RUNS_KEPT leave. Returns the runs kept."""
    _keep_quiet()
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(str(folder))
    project = next(iter(workspace.search_project(family)), None) or workspace.create_project(family, f"drift of the {family} features")
    kept = []
    for run in workspace.list_runs(project.id):
        model = workspace.get_run(project.id, run)
        if model is None or ds.isoformat() in model.tags:
            workspace.delete_run(project.id, run)
        else:
            kept.append((model.timestamp, str(run), run))
    for _, _, run in sorted(kept)[: max(len(kept) - RUNS_KEPT + 1, 0)]:
        workspace.delete_run(project.id, run)
    workspace.add_run(project.id, snapshot)
    return min(len(kept) + 1, RUNS_KEPT)


def _keep_quiet() -> None:
    # Evidently reports its use over the network unless told not to
    os.environ.setdefault("DO_NOT_TRACK", "1")
