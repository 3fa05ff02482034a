"""Feast: how fast the newest features are stored online, and how fast they are read.

    eval "$(shelfcast stack env)" && python -m benchmarks.features --keys 20000 --reads 100000

Stored: `feature_repo.materialize` of every view, from a lake with the last days of so many made-up keys, as rows a second from
lake to online store; local Spark, the second time of two, since the first pays for the JVM.

Read: `feature_repo.online.OnlineFeatures.read`, the facade that the service uses, in a process of its own without Spark, keys
drawn at random; milliseconds a read from the call to the pandas frame, and the process's resident memory after the first
1,000 reads, after half of them and at the end."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import psutil

from benchmarks.footprint import Footprint, footprint, in_a_fresh_process
from feature_repo.definitions import VIEWS, service_features, service_key
from feature_repo.materialize import materialize
from feature_repo.online import OnlineFeatures
from feature_repo.snapshots import KNOWN_AT
from feature_repo.store import apply
from infra.lake import Lake
from infra.s3 import make_buckets
from infra.settings import Settings, load_settings
from infra.spark import session

UNTIL, DAYS = date(2024, 5, 31), 3
WARM_UP_READS = 1_000
#: different sets of keys that a run of reads goes round
_KEY_SETS = 500


@dataclass(frozen=True)
class Reads:
    """Reads of one service: `milliseconds` of each, and the resident memory in MB at start, middle and end."""

    service: str
    rows: int
    milliseconds: np.ndarray
    memory_mb: tuple[float, float, float]


def fill(settings: Settings, keys: int) -> None:
    """The gold tables of the views, each with the last days of `keys` keys, numbers at random; a lake that has them stays."""
    from pyspark.sql import functions as F

    spark, lake = session(settings), Lake(settings.lake_url)
    days = [UNTIL - timedelta(days=back) for back in range(DAYS)]
    every = spark.range(keys, numPartitions=spark.sparkContext.defaultParallelism).crossJoin(
        spark.createDataFrame([(d,) for d in days], "ds date")
    )
    for view in VIEWS:
        made = {"store_id": "concat('s', id div 1000)", "product_id": "concat('p', id % 1000)", "customer_id": "concat('c', id)"}
        made |= {KNOWN_AT: "CAST(date_add(ds, 1) AS timestamp)", "ds": "ds"}
        others = {c.name: "concat('x', id % 50)" if c.type == "string" else "rand() * 10" for c in view.table.columns}
        named = every.selectExpr("id", *(f"{made[name]} AS {name}" for name in view.key.columns), "ds")
        keyed = named.withColumn(view.key.join_key, view.key.spark())
        rows = [F.col(c) if c in keyed.columns else F.expr((others | made)[c]).alias(c) for c in view.table.names]
        lake.overwrite(keyed.select(*rows), view.table)


def stored(settings: Settings, keys: int) -> tuple[dict[str, int], Footprint]:
    """Rows by view and the cost of storing them online the second time."""
    fill(settings, keys)
    apply(settings)
    spark = session(settings)
    materialize(spark, settings, UNTIL)
    with footprint() as cost:
        rows = materialize(spark, settings, UNTIL)
    return rows, cost


def read(settings: Settings, service: str, rows: int, count: int, keys: int) -> Reads:
    """So many reads of `rows` keys each, after a warm-up."""
    reader, process, draw = OnlineFeatures(settings), psutil.Process(), np.random.default_rng(rows)
    asked = [keys_of(service, draw.integers(0, keys, rows)) for _ in range(_KEY_SETS)]
    for at in range(WARM_UP_READS):
        found = reader.read(service, asked[at % _KEY_SETS])
        if not found["found"].all():
            raise RuntimeError(f"{service}: a key that was stored is not found")
    took, memory = np.empty(count), [process.memory_info().rss / 1e6]
    for half in np.array_split(np.arange(count), 2):
        for at in half:
            started = time.perf_counter()
            reader.read(service, asked[at % _KEY_SETS])
            took[at] = time.perf_counter() - started
        memory.append(process.memory_info().rss / 1e6)
    return Reads(service, rows, 1e3 * took, (memory[0], memory[1], memory[2]))


def keys_of(service: str, numbers: np.ndarray) -> pd.DataFrame:
    """The key columns of made-up keys, as `fill` numbers them."""
    made = {"store_id": [f"s{n // 1000}" for n in numbers], "product_id": [f"p{n % 1000}" for n in numbers],
            "customer_id": [f"c{n}" for n in numbers]}  # fmt: skip
    return pd.DataFrame({name: made[name] for name in service_key(service).columns})


def table(every: Sequence[Reads]) -> pd.DataFrame:
    """A row a run of reads: percentiles in milliseconds, reads a second, and memory in MB."""
    return pd.DataFrame([
        {"service": one.service, "features": len(service_features(one.service)), "rows": one.rows, "reads": f"{len(one.milliseconds):,}",
         **{f"p{q} ms": f"{np.percentile(one.milliseconds, q):.2f}" for q in (50, 95, 99)},
         "reads/s": f"{1e3 / one.milliseconds.mean():,.0f}",
         **dict(zip(("MB start", "MB middle", "MB end"), (f"{mb:.1f}" for mb in one.memory_mb), strict=True))} for one in every
    ])  # fmt: skip


def placed(base: Settings, own: str) -> Settings:
    """The settings with a home and a lake of the name `own`, and local Spark."""
    home = base.home / "benchmark" / own
    return base.model_copy(update={"home": home, "lake_url": f"{base.lake_url.rstrip('/')}-benchmark/{own}", "spark_url": "local[*]"})


def main() -> None:
    """Print what storing took, then the table of reads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=20_000, help="keys of each view")
    parser.add_argument("--reads", type=int, default=100_000, help="reads of one row; of many rows a tenth")
    parser.add_argument("--services", nargs="+", default=["demand_v1", "stock_v1"])
    asked = parser.parse_args()
    base = load_settings()
    make_buckets(base)
    settings = placed(base, uuid.uuid4().hex[:6])
    rows, cost = in_a_fresh_process(stored, settings, asked.keys)
    total, values = sum(rows.values()), sum(rows[view.name] * len(view.features) for view in VIEWS)
    print(f"stored {total:,} rows of {len(VIEWS)} views ({values:,} values) in {cost.seconds:.1f} s: {total / cost.seconds:,.0f} rows/s, "
          f"{values / cost.seconds:,.0f} values/s; {cost.cpu_seconds:.1f} cpu s, peak {cost.peak_mb:,.0f} MB", flush=True)  # fmt: skip
    found = []
    for service in asked.services:
        for size, count in ((1, asked.reads), (100, asked.reads // 10)):
            found.append(in_a_fresh_process(read, settings, service, size, count, asked.keys))
            print(f"{service}: {count:,} reads of {size}", file=sys.stderr, flush=True)
    print(table(found).to_string(index=False))
    shutil.rmtree(settings.home, ignore_errors=True)


if __name__ == "__main__":
    main()
