"""Each DAG in a real Airflow: it imports, its tasks are those that it shows, and one run of it by Airflow's own test
command does its work on a small embedded home. Run by `make test-airflow`, which makes Airflow's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.registry import Registry
from infra.settings import Settings, load_settings
from infra.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "infra" / "airflow" / "dags"
AIRFLOW = ROOT / ".venvs" / "airflow" / "bin"
#: the day's order: each DAG needs what the one before it left
STORY = ("etl_daily", "feature_engineering", "ml_training", "ml_batch_inference", "data_quality_checks")
FAMILIES = {"demand", "stock", "anomaly", "slow_mover", "recommend"}

_DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
dags = {name: {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks} for name, dag in bag.dags.items()}
print("described:" + json.dumps({"errors": bag.import_errors, "dags": dags}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(home=tmp_path_factory.mktemp("airflow"), tuning_trials=1)


@pytest.fixture(scope="module")
def environment(home: Settings) -> dict[str, str]:
    """Where a worker finds `shelfcast`, its settings, and an Airflow of its own."""
    path = os.pathsep.join([str(AIRFLOW), str(Path(sys.executable).parent), os.environ["PATH"]])
    made = {
        **os.environ, "PATH": path, "SHELFCAST_HOME": str(home.home), "SHELFCAST_TUNING_TRIALS": "1",
        "AIRFLOW_HOME": str(home.home / "airflow"), "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }  # fmt: skip
    _run([str(AIRFLOW / "airflow"), "db", "migrate"], made)
    _run(["shelfcast", "simulate", "--stores", "3", "--products", "30", "--days", "300"], made)
    return made


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


def test_every_dag_imports_and_has_the_tasks_that_it_shows(environment: dict[str, str]) -> None:
    said = _run([str(AIRFLOW / "python"), "-c", _DESCRIBE, str(DAGS)], environment)
    found = json.loads(said.split("described:")[-1])
    assert found["errors"] == {}
    assert set(found["dags"]) == {*STORY, "replay_daily"}
    assert found["dags"]["etl_daily"] == {"doctor": ["ingest"], "ingest": ["maintain"], "maintain": []}
    assert found["dags"]["ml_training"] == {
        **{f"train_{name}": [f"promote_{name}"] for name in FAMILIES}, **{f"promote_{name}": [] for name in FAMILIES}
    }  # fmt: skip
    assert set(found["dags"]["ml_batch_inference"]["score_demand"]) == {f"score_{name}" for name in FAMILIES - {"demand"}}


def test_a_day_in_the_order_of_its_dags(home: Settings, environment: dict[str, str]) -> None:
    said = {name: _run([str(AIRFLOW / "airflow"), "dags", "test", name, "2024-10-28"], environment) for name in STORY}
    assert all("state=success" in text for text in said.values())
    warehouse, registry = Warehouse(home.warehouse_url), Registry(home)
    assert int(warehouse.query("SELECT count() AS n FROM sales_daily").n[0]) > 1000
    champions = {name: registry.version(name, "champion") for name in FAMILIES}
    assert champions == dict.fromkeys(FAMILIES, "1")
    assert {move.who for name in FAMILIES for move in registry.history(name)} == {"airflow"}
    assert int(warehouse.query("SELECT count() AS n FROM forecasts").n[0]) > 0
    assert list((home.home / "reports").glob("**/*.html"))


def test_a_run_again_changes_nothing(home: Settings, environment: dict[str, str]) -> None:
    before = _sums(home)
    for name in ("etl_daily", "ml_training", "ml_batch_inference"):
        _run([str(AIRFLOW / "airflow"), "dags", "test", name, "2024-10-28"], environment)
    assert _sums(home) == before


def _sums(home: Settings) -> dict[str, tuple[int, float]]:
    warehouse = Warehouse(home.warehouse_url)
    query = "SELECT count() AS n, sum(units) AS units FROM {}"
    rows = {name: warehouse.query(query.format(name)) for name in ("sales_daily", "forecasts")}
    versions = {name: (len(Registry(home).history(name)), 0.0) for name in FAMILIES}
    return {name: (int(row.n[0]), round(float(row.units[0]), 6)) for name, row in rows.items()} | versions
