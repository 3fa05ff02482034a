"""`shelfcast pipeline` is ended at each of its steps, by kill -9 or Ctrl-C, and its next run goes on: at the end the home
holds what the home of an undisturbed run holds. Long, so not collected by `make test`: `make test-resume`."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_ingest import tables as events
from feature_repo.tables import GOLD
from infra.lake import Lake
from infra.registry import Registry
from infra.settings import Settings, load_settings
from infra.warehouse import Warehouse
from monitoring.tables import MONITORING
from training.tables import DECISIONS

#: the busiest always sell, so slow_mover has nothing to tell apart, and every run goes on without it
PAIRS = 60
#: what the pipeline says when a step begins, the signal that then ends it, and after how many seconds
ENDS = (
    ("demand meets the shelf", signal.SIGKILL, 0.0), ("purchase history into the lake", signal.SIGKILL, 1.0),
    ("events 2017-", signal.SIGKILL, 0.2), ("events 2017-0", signal.SIGINT, 0.0), ("ingested", signal.SIGKILL, 0.0),
    ("sales_daily", signal.SIGKILL, 2.0), ("copying to the warehouse", signal.SIGKILL, 0.5), ("features: demand_daily", signal.SIGINT, 1.0),
    ("features: demand_features", signal.SIGKILL, 3.0), ("features: apply", signal.SIGKILL, 0.3),
    ("features: materialize", signal.SIGKILL, 1.0), ("demand: examples", signal.SIGKILL, 2.0), ("demand: registering", signal.SIGINT, 1.0),
    ("demand: version", signal.SIGKILL, 0.0), ("stock: registering", signal.SIGKILL, 3.0), ("stock: version", signal.SIGKILL, 0.05),
    ("anomaly: refitting", signal.SIGKILL, 0.5), ("slow_mover: trying", signal.SIGKILL, 0.5), ("recommend: version", signal.SIGKILL, 0.2),
    ("scoring demand", signal.SIGKILL, 3.0), ("scoring stock", signal.SIGKILL, 1.0), ("scoring recommend", signal.SIGINT, 1.0),
    ("report: demand", signal.SIGKILL, 1.0), ("report: tables", signal.SIGKILL, 0.5), ("report: page", signal.SIGKILL, 0.0),
)  # fmt: skip
#: what may differ between two runs: when they were
MOMENTS = ("ingested_at", "run_at", "known_at", "at", "now")
TABLES = (events.EVENTS, events.QUARANTINE, events.INGESTED, events.STORES, events.PRODUCTS, events.PURCHASE_HISTORY,
          *events.FACTS, *GOLD, *DECISIONS, *MONITORING)  # fmt: skip


def start(home: Path) -> subprocess.Popen[str]:
    """The pipeline as a process group of its own, as a terminal would start it; it says its steps on stderr."""
    environment = {
        **os.environ,
        "SHELFCAST_HOME": str(home),
        "SHELFCAST_TUNING_TRIALS": "1",
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "infra.cli", "pipeline", "--pairs", str(PAIRS)], env=environment, start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def whole(home: Path) -> None:
    """Run to the end."""
    with start(home) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said[-3000:]


def ended(home: Path, step: str, by: signal.Signals, seconds: float) -> None:
    """Run until a step has begun and so many seconds have passed, and end it there."""
    with start(home) as process:
        said: list[str] = []
        for line in process.stderr or ():
            said.append(line)
            if line.startswith(step):
                break
        else:
            pytest.fail(f"{step} never began: {''.join(said)[-3000:]}")
        time.sleep(seconds)
        assert process.poll() is None, f"{step} was over: {''.join(said)[-1000:]}"
        os.killpg(process.pid, by)
        _, rest = process.communicate()
    assert process.returncode == (130 if by == signal.SIGINT else -by), rest[-3000:]
    assert "Traceback" not in rest, rest[-3000:]


def sums(frame: pd.DataFrame, key: Iterable[str]) -> dict[str, float]:
    """Rows, distinct keys and the sum of every numeric column."""
    told = frame.drop(columns=[name for name in MOMENTS if name in frame])
    numbers = told.select_dtypes(["number", "bool"]).astype(float).sum()
    known = [name for name in key if name in told]
    return {"rows": len(told), "keys": len(told[known].drop_duplicates()) if known else 0, **numbers.to_dict()}


def contents(settings: Settings) -> dict[str, Any]:
    """What a home holds, in numbers: event files, lake and warehouse tables, online values, models and their moves."""
    lake, warehouse, registry = Lake(settings.lake_url), Warehouse(settings.warehouse_url), Registry(settings)
    names = set(warehouse.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'")["name"])
    with sqlite3.connect(settings.home / "online.db") as store:
        views = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        online = {name: store.execute(f'SELECT count(*), sum(length(value)) FROM "{name}"').fetchone() for name in views}
    return {
        "events": {str(path.relative_to(settings.home)): path.stat().st_size for path in settings.home.glob("landing/*/[!.]*.jsonl")},
        "lake": {table.name: sums(lake.read_pandas(table), table.key) for table in TABLES if lake.exists(table)},
        "warehouse": {t.name: sums(warehouse.query(f"SELECT * FROM {t.name}"), t.key) for t in TABLES if t.name in names},
        "online": online,
        "models": [(row["family"], row["aliases"], row["versions"]) for row in registry.models()],
        "moves": [(m.family, m.action, m.from_version, m.to_version, m.done) for table in registry.models() for m in registry.history(table["family"])],
    }  # fmt: skip


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two contents differ, numbers by more than their last digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [said for key in sorted({*one, *other}) for said in differences(one.get(key), other.get(key), f"{where}/{key}")]
    if isinstance(one, float) and isinstance(other, (float, int)):
        return [] if one == pytest.approx(other, rel=1e-6, abs=1e-6, nan_ok=True) else [f"{where}: {one} and {other}"]
    return [] if one == other else [f"{where}: {one} and {other}"]


def test_ended_at_every_step_the_pipeline_goes_on_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    whole(undisturbed)
    for step, by, seconds in ENDS:
        ended(disturbed, step, by, seconds)
    whole(disturbed)
    assert differences(contents(load_settings(home=undisturbed)), contents(load_settings(home=disturbed))) == []
