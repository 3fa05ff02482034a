"""What facts, features and the demand family's examples cost against the rows, on one and two executors of a real cluster.

    eval "$(shelfcast stack env)" && python -m benchmarks.scale --lines 300000 1000000 3000000

A simulated retailer of about so many sales lines is written and ingested once a size (local Spark, not timed). Then each
number of executors (one core and 1 GB each) makes everything anew from the same bronze, in a process and a home of its own:
`facts`, `build_features` and, as `train demand` begins, the examples of its family. Seconds by the clock; peak memory is that
of driver, workers and executors together (proportional). From Spark's event log: bytes that tasks wrote for a shuffle, and
bytes of results that came to the driver, with the Spark actions that most of them are of."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.footprint import Footprint, footprint, in_a_fresh_process
from data_ingest.facts import facts
from data_ingest.ingest import ingest
from data_ingest.simulator import simulate
from feature_repo.build import build_features
from infra.s3 import make_buckets
from infra.settings import Settings, load_settings
from infra.spark import session
from infra.stack.services import WORKERS
from infra.stack.stack import Stack
from training.family import load_family

PRODUCTS, DAYS, SEED, START = 100, 180, 1, date(2024, 1, 1)
#: sales lines that a store of the simulated retailer writes, about
LINES_A_STORE = 50_000


@dataclass(frozen=True)
class Moved:
    """Bytes that tasks wrote for a shuffle, and result bytes that came to the driver by the name of Spark's action."""

    shuffled: int
    collected: Mapping[str, int]


@dataclass(frozen=True)
class Step:
    """One step of one run over so many sales lines."""

    name: str
    lines: int
    executors: int
    cost: Footprint
    moved: Moved


def filled(settings: Settings, lines: int) -> int:
    """Simulate and ingest; returns the sales lines there are."""
    spark = session(settings)
    stores = max(1, round(lines / LINES_A_STORE))
    said = simulate(spark, settings, stores=stores, products=PRODUCTS, days=DAYS, seed=SEED, start=START)
    ingest(spark, settings)
    return said.events["sales"]


def made(settings: Settings, lines: int, executors: int, workers: Sequence[int]) -> list[Step]:
    """Facts, features and examples on so many executors; `workers` are the processes whose children the executors are."""
    logs = settings.home / "spark-events"
    keep_event_log(settings.home / "spark-conf", logs)
    spark = session(settings.model_copy(update={"spark_cores": executors}))
    steps = {
        "facts": lambda: facts(spark, settings),
        "features": lambda: build_features(spark, settings, rebuild=True),
        "examples": lambda: load_family("demand").dataset(spark, settings).localCheckpoint(),
    }
    costs, spans = {}, {}
    for name, step in steps.items():
        started = time.time()
        with footprint(workers) as costs[name]:
            step()
        spans[name] = (started, time.time())
        print(f"{lines:>12,} lines, {executors} executors: {name} {costs[name].seconds:.1f} s", file=sys.stderr, flush=True)
    spark.stop()
    with next(path for path in logs.iterdir()).open() as log:
        moved = moved_by_step(log, spans)
    return [Step(name, lines, executors, costs[name], moved[name]) for name in steps]


def keep_event_log(folder: Path, logs: Path) -> None:
    """Spark's own settings file for the session that this process opens next: it writes an event log."""
    for each in (folder, logs):
        each.mkdir(parents=True)
    chosen = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{logs}",
              "spark.eventLog.rolling.enabled": "false", "spark.eventLog.compress": "false"}  # fmt: skip
    (folder / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in chosen.items()))
    os.environ["SPARK_CONF_DIR"] = str(folder)


def moved_by_step(log: Iterable[str], spans: Mapping[str, tuple[float, float]]) -> dict[str, Moved]:
    """What was moved in each span of time (seconds since 1970), from the lines of a Spark event log."""
    events = [json.loads(line) for line in log]
    actions = {e["Stage Info"]["Stage ID"]: e["Stage Info"]["Stage Name"].partition(" at ")[0] for e in events if e["Event"] == _STAGE}
    shuffled: Counter[str] = Counter()
    collected: dict[str, Counter[str]] = {name: Counter() for name in spans}
    for event in events:
        if event["Event"] != _TASK or not event.get("Task Metrics"):
            continue
        ended, metrics = event["Task Info"]["Finish Time"] / 1e3, event["Task Metrics"]
        for name, (first, last) in spans.items():
            if first <= ended < last:
                shuffled[name] += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                if event["Task Type"] == "ResultTask":
                    collected[name][actions.get(event["Stage ID"], "unfinished")] += metrics["Result Size"]
    return {name: Moved(shuffled[name], collected[name]) for name in spans}


_STAGE, _TASK = "SparkListenerStageCompleted", "SparkListenerTaskEnd"


def table(steps: Sequence[Step]) -> pd.DataFrame:
    """A row a step, size and number of executors: seconds, microseconds a line, and the same over that of the smallest size
    on as many executors; processor seconds, MB shuffled, MB at the driver, peak MB."""
    smallest = {(s.name, s.executors): s.cost.seconds / s.lines for s in steps if s.lines == min(step.lines for step in steps)}
    return pd.DataFrame([
        {"lines": f"{s.lines:,}", "executors": s.executors, "step": s.name, "seconds": f"{s.cost.seconds:.1f}",
         "us/line": f"{1e6 * s.cost.seconds / s.lines:.1f}",
         "vs smallest": f"{s.cost.seconds / s.lines / smallest[s.name, s.executors]:.2f}", "cpu s": f"{s.cost.cpu_seconds:.0f}",
         "shuffled MB": f"{s.moved.shuffled / 1e6:,.1f}", "to driver MB": f"{sum(s.moved.collected.values()) / 1e6:,.1f}",
         "peak MB": f"{s.cost.peak_mb:,.0f}"} for s in steps
    ])  # fmt: skip


def collected_most(steps: Sequence[Step], most: int = 4) -> pd.DataFrame:
    """The Spark actions whose results are most of what came to the driver, a row a step of the largest size."""
    largest, executors = max(s.lines for s in steps), max(s.executors for s in steps)
    chosen = [s for s in steps if (s.lines, s.executors) == (largest, executors)]
    told = {s.name: [f"{name} {count / 1e6:.2f} MB" for name, count in Counter(s.moved.collected).most_common(most)] for s in chosen}
    return pd.DataFrame([{"step": name, "to driver": ", ".join(parts)} for name, parts in told.items()])


def placed(base: Settings, own: str, data: str, **more: str) -> Settings:
    """The settings with a home of the name `own`, and events and a lake of the name `data`."""
    home, servers = base.home / "benchmark" / own, base.events_url.removeprefix("kafka://").partition("/")[0]
    return load_settings(
        home=home, jars=base.jars, java_home=base.java_home, s3_endpoint_url=base.s3_endpoint_url, online_url=base.online_url,
        events_url=f"kafka://{servers}/scale-{data}", lake_url=f"{base.lake_url.rstrip('/')}-benchmark/{data}",
        warehouse_url=f"chdb://{home}/warehouse", **{"spark_url": base.spark_url, **more},
    )  # fmt: skip


def main() -> None:
    """Print the table and what came to the driver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="+", default=[300_000, 1_000_000, 3_000_000])
    parser.add_argument("--executors", type=int, nargs="+", default=list(range(1, WORKERS + 1)))
    asked = parser.parse_args()
    base = load_settings()
    if not base.spark_url.startswith("spark://"):
        parser.error("SHELFCAST_SPARK_URL is no spark:// URL")
    make_buckets(base)
    stack, mark, steps = Stack.at(base), uuid.uuid4().hex[:6], []
    workers = [found.pid for number in range(1, WORKERS + 1) if (found := stack.process(f"spark-worker-{number}").running())]
    for size in asked.lines:
        data = f"{mark}-{size}"
        lines = in_a_fresh_process(filled, placed(base, f"{data}-filling", data, spark_url="local[*]"), size)
        for executors in asked.executors:
            settings = placed(base, f"{data}-{executors}", data)
            steps += in_a_fresh_process(made, settings, lines, executors, workers)
            shutil.rmtree(settings.home, ignore_errors=True)
    print(table(steps).to_string(index=False))
    print(f"\nResults that came to the driver\n{collected_most(steps).to_string(index=False)}")


if __name__ == "__main__":
    main()
