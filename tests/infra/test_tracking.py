"""MLflow's tracking: a store that appears whole, runs that are joined where they are ours and ended where their process is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from infra.registry import Registry
from infra.settings import Settings
from infra.tracking import connect, tracked_run


def test_a_kill_while_the_embedded_store_is_made_leaves_none(settings: Settings) -> None:
    code = "from infra.tracking import connect; from infra.settings import load_settings; connect(load_settings())"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "SHELFCAST_HOME": str(settings.home)}) as process:
        while not list(settings.home.glob("*mlflow.db*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not (settings.home / "mlflow.db").exists()
    assert Registry(settings).models() == []
    assert (settings.home / "mlflow.db").exists()


def test_a_run_that_mlflow_run_opened_is_joined_where_it_is_of_our_experiment(settings: Settings) -> None:
    client = connect(settings)
    with tracked_run(settings, "shelfcast-demand", "first"):
        pass
    ours, other = client.get_experiment_by_name("shelfcast-demand").experiment_id, client.create_experiment("launcher")
    for experiment, joined in ((ours, True), (other, False)):
        opened = client.create_run(experiment).info.run_id
        launched = settings.model_copy(update={"mlflow_run_id": opened})
        with tracked_run(launched, "shelfcast-demand", "launched") as run_id:
            pass
        assert (run_id == opened) is joined
        assert client.get_run(run_id).info.experiment_id == ours
    with tracked_run(settings.model_copy(update={"mlflow_run_id": "f" * 32}), "shelfcast-demand", "of another store") as run_id:
        assert client.get_run(run_id).info.experiment_id == ours


def test_a_run_whose_process_was_killed_is_ended_by_the_next(settings: Settings) -> None:
    code = f"""
import os, signal
from pathlib import Path
from infra.tracking import tracked_run
from infra.settings import load_settings
with tracked_run(load_settings(home=Path({str(settings.home)!r})), "shelfcast-demand", "killed") as run_id:
    print(run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    killed, client = done.stdout.strip(), connect(settings)
    assert client.get_run(killed).info.status == "RUNNING"
    mine = dict(client.get_run(killed).data.tags) | {"shelfcast.process": f"{socket.gethostname()}:{os.getpid()}"}
    other = dict(client.get_run(killed).data.tags) | {"shelfcast.process": "another-machine:1"}
    experiment = client.get_run(killed).info.experiment_id
    living = [client.create_run(experiment, tags=tags).info.run_id for tags in (mine, other)]
    with tracked_run(settings, "shelfcast-demand", "next"):
        assert client.get_run(killed).info.status == "KILLED"
        assert [client.get_run(run_id).info.status for run_id in living] == ["RUNNING", "RUNNING"]
