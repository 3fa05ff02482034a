"""MLflow's tracking: a client of the configured store, and runs that end even where their process was killed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: host and process id of who writes a run
_PROCESS_TAG = "shelfcast.process"


def connect(settings: Settings) -> MlflowClient:
    """An MLflow client of the configured store; an embedded one is made where there is none yet."""
    from mlflow import MlflowClient

    if settings.tracking_url.startswith("sqlite:///"):
        _make_embedded_store(Path(settings.tracking_url.removeprefix("sqlite:///")))
    return MlflowClient(settings.tracking_url, settings.tracking_url)


def _make_embedded_store(path: Path) -> None:
    """Let an empty MLflow store appear whole: a kill amid its migrations would leave one that MLflow cannot open again."""
    if path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{partial}").search_experiments(max_results=1)
    if path.exists():  # another process made it meanwhile
        partial.unlink()
    else:
        partial.rename(path)


@contextmanager
def tracked_run(settings: Settings, experiment: str, name: str, tags: Mapping[str, str] | None = None) -> Iterator[str]:
    """An active MLflow run in `experiment`, joined to the run that `mlflow run` opened when there is one; yields its id."""
    import mlflow

    client = connect(settings)
    mlflow.set_tracking_uri(settings.tracking_url)
    mlflow.set_registry_uri(settings.tracking_url)
    known = client.get_experiment_by_name(experiment)
    where = f"{settings.artifacts_url}/{experiment}"
    experiment_id = known.experiment_id if known else client.create_experiment(experiment, artifact_location=where)
    os.environ.pop("MLFLOW_RUN_ID", None)  # MLflow would resume it even where it belongs to another tracking store
    _end_abandoned(client, experiment_id)
    told = {**(tags or {}), _PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"}
    # not by `set_experiment`: that would be the choice of the whole process
    with mlflow.start_run(_opened_run(settings, experiment_id), experiment_id, run_name=name, tags=told) as run:
        yield run.info.run_id


def _end_abandoned(client: MlflowClient, experiment_id: str) -> None:
    """End, as killed, the runs of this machine whose process is gone: nobody else ever would."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get(_PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _lives(int(process)):
            client.set_terminated(run.info.run_id, "KILLED")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _opened_run(settings: Settings, experiment_id: str) -> str | None:
    """The run that `mlflow run` opened, where it is one of our store and experiment; its own record otherwise stays apart."""
    from mlflow.exceptions import MlflowException

    if not settings.mlflow_run_id:
        return None
    try:
        opened = connect(settings).get_run(settings.mlflow_run_id).info
    except MlflowException:
        return None
    return opened.run_id if opened.experiment_id == experiment_id else None
