"""Events a second from Kafka into (a) nothing, (b) the lake, (c) lake and warehouse, and how late an event arrives.

    eval "$(shelfcast stack env)" && python -m benchmarks.ingest --events 500000 1000000 2000000

The events are the first so many, in time order, of a simulated retailer: all five topics, returns among them, and every
200th line cut short, so that every batch has lines for quarantine. Each size has topics of its own, which (a), (b) and (c)
read from their beginning, one after the other, in batches of the same size:

(a) Spark's Kafka source to Spark's noop sink: `EventLog.stream`, of which only the raw value is read; no
    parsing, no rules, no position. What the connector can give, not what a user can use.
(b) the product's ingest with all quality rules, into the lake alone.
(c) the product's ingest as `shelfcast ingest` runs it.

Each run has a home and a lake of its own. All share one process and one local Spark on all cores, which has taken in a few
events before the first clock starts: a stream pays for its JVM's warm-up once. Processor seconds and memory (proportional,
at its peak within the run; a heap keeps what it has grown to) are those of Python, JVM and Python workers; Kafka's and the
S3 store's are not among them.

Late by: the verb `shelfcast ingest --follow` runs while events are written at a steady rate; from the moment an event was
made to the moment of the lake's commit that has it, and to the end of its batch, when the warehouse has it counted too."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.footprint import Footprint, footprint, in_a_fresh_process
from data_ingest.contracts import TOPICS
from data_ingest.encoding import encode
from data_ingest.ingest import ingest
from data_ingest.pace import paced
from data_ingest.producers import producer, record_keys
from data_ingest.simulated_world import World, make_world
from data_ingest.simulator import block_feed, declare, live_block, store_blocks
from data_ingest.tables import EVENTS
from infra.bootstrap import warehouse_tables
from infra.event_log import event_log
from infra.lake import Lake
from infra.s3 import make_buckets
from infra.settings import PREFIX, Settings, load_settings
from infra.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PRODUCTS, DAYS, SEED, START = 100, 180, 1, date(2024, 1, 1)
#: events that a store of the simulated retailer writes at least
EVENTS_A_STORE = 60_000
#: one line in so many is cut short
BROKEN_EVERY = 200
#: what the JVM is warmed up by
WARM_UP_EVENTS, WARM_UP_ROUNDS = 20_000, 1


@dataclass(frozen=True)
class Run:
    """One run of a sink over `events` events."""

    sink: str
    events: int
    cost: Footprint


def to_noop(spark: SparkSession, settings: Settings) -> int:
    """(a): read everything, keep nothing."""
    values = event_log(settings).stream(spark, TOPICS).select("value")
    query = values.writeStream.format("noop").option("checkpointLocation", f"file://{settings.checkpoints}/noop")
    running = query.trigger(availableNow=True).start()
    running.awaitTermination()
    return sum(progress.numInputRows for progress in running.recentProgress)


def to_lake(spark: SparkSession, settings: Settings) -> int:
    """(b): the product's ingest, nothing copied."""
    return ingest(spark, settings, copied=()).events


def to_lake_and_warehouse(spark: SparkSession, settings: Settings) -> int:
    """(c): the product's ingest."""
    return ingest(spark, settings).events


#: the sinks by the name in the table
SINKS: dict[str, Callable[[SparkSession, Settings], int]] = {
    "noop": to_noop, "lake": to_lake, "lake+warehouse": to_lake_and_warehouse,
}  # fmt: skip


def world_of(events: int) -> World:
    """A retailer of as many stores as write so many events; the same stores, and the same days, whatever the number."""
    return make_world(-(-events // EVENTS_A_STORE), PRODUCTS, DAYS, SEED, START)


def feed_of(world: World) -> dict[str, pa.Table]:
    """Every event of the retailer by topic, each topic in time order."""
    blocks = [block_feed(world, live_block(world, rows)) for rows in store_blocks(world)]
    every = {name: pa.concat_tables([block[name] for block in blocks], promote_options="default") for name in blocks[0]}
    return {name: table.sort_by("occurred_at").combine_chunks() for name, table in every.items()}


def first_events(feed: Mapping[str, pa.Table], count: int) -> dict[str, pa.Table]:
    """The first `count` events of all topics together."""
    moments = {name: table["occurred_at"].to_numpy().astype("datetime64[us]") for name, table in feed.items()}
    last = np.partition(np.concatenate(list(moments.values())), count - 1)[count - 1]
    before = {name: int(np.searchsorted(at, last)) for name, at in moments.items()}
    missing, out = count - sum(before.values()), {}
    for name, table in feed.items():
        # several events may share the last moment: the first topics give theirs
        more = min(missing, int(np.searchsorted(moments[name], last, side="right")) - before[name])
        out[name], missing = table.slice(0, before[name] + more), missing - more
    return out


def fill(settings: Settings, feed: Mapping[str, pa.Table]) -> None:
    """Write the events to the log, some of their lines cut short."""
    for name, table in feed.items():
        topic = TOPICS[name]
        lines = encode(topic, table)
        lines[::BROKEN_EVERY] = [line[:-2] for line in lines[::BROKEN_EVERY]]
        event_log(settings).write(name, lines, keys=record_keys(topic, table))


def measured(spark: SparkSession, sink: str, settings: Settings, world: World, events: int) -> Run:
    """One run into an empty home and lake; both are given up afterwards."""
    declare(spark, settings, world)
    warehouse_tables(settings)
    with footprint() as cost:
        read = SINKS[sink](spark, settings)
    if read != events:
        raise RuntimeError(f"{sink} read {read:,} events of {events:,}")
    shutil.rmtree(settings.home, ignore_errors=True)
    print(f"{events:>10,} events to {sink}: {cost.seconds:.1f} s", file=sys.stderr, flush=True)
    return Run(sink, events, cost)


def placed(base: Settings, log: str, own: str) -> Settings:
    """The settings with topics of the name `log`, and a home and a lake of the name `own`."""
    servers, _, _ = base.events_url.removeprefix("kafka://").partition("/")
    home, root = base.home / "benchmark" / own, base.lake_url.rstrip("/")
    return load_settings(
        home=home, jars=base.jars, java_home=base.java_home, s3_endpoint_url=base.s3_endpoint_url, spark_url="local[*]",
        events_url=f"kafka://{servers}/{log}", lake_url=f"{root}-benchmark/{own}", warehouse_url=f"chdb://{home}/warehouse",
    )  # fmt: skip


def rates(base: Settings, sizes: Sequence[int], rounds: int) -> list[Run]:
    """Every sink over every size, the sinks alternating; a line is printed as each is done."""
    world, mark = world_of(max(sizes)), uuid.uuid4().hex[:6]
    feed = feed_of(world)
    for size in {WARM_UP_EVENTS, *sizes}:
        fill(placed(base, f"bench-{mark}-{size}", "filling"), first_events(feed, size))
    del feed
    spark = session(placed(base, "bench", "session"))

    def run(turn: int, size: int, sink: str) -> Run:
        return measured(spark, sink, placed(base, f"bench-{mark}-{size}", f"{mark}-{turn}-{size}-{sink}"), world, size)

    for turn in range(WARM_UP_ROUNDS):
        for sink in SINKS:
            run(-1 - turn, WARM_UP_EVENTS, sink)
    return [run(turn, size, sink) for turn in range(rounds) for size in sizes for sink in SINKS]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a size and sink, medians over rounds: events a second, that over the noop sink's of the same size, processor
    microseconds an event, seconds an event over those of the smallest size, and peak memory."""
    rows = pd.DataFrame([
        {"events": run.events, "sink": run.sink, "rate": run.events / run.cost.seconds, "cpu_us": 1e6 * run.cost.cpu_seconds / run.events,
         "peak_mb": run.cost.peak_mb} for run in runs
    ])  # fmt: skip
    found = rows.groupby(["events", "sink"], sort=False).median().reset_index()
    noop = found[found["sink"] == "noop"].set_index("events")["rate"]
    smallest = found[found["events"] == found["events"].min()].set_index("sink")["rate"]
    return pd.DataFrame({
        "events": found["events"].map("{:,}".format), "sink": found["sink"], "events/s": found["rate"].map("{:,.0f}".format),
        "of noop": (found["rate"] / found["events"].map(noop)).map("{:.2f}".format),
        "cost/event vs smallest": (found["sink"].map(smallest) / found["rate"]).map("{:.2f}".format),
        "cpu us/event": found["cpu_us"].map("{:.0f}".format), "peak MB": found["peak_mb"].map("{:,.0f}".format),
    })  # fmt: skip


def lateness(base: Settings, rate: float, seconds: int, left_out: int) -> pd.DataFrame:
    """Follow the log while `rate` events a second are written, and tell how late they came; those of the first `left_out`
    seconds, in which a JVM starts and warms up, are not counted."""
    mark, world = uuid.uuid4().hex[:6], world_of(1)
    settings = placed(base, f"bench-{mark}", mark)
    in_a_fresh_process(prepared, settings, world)
    verb = [sys.executable, "-m", "infra.cli", "ingest", "--follow"]
    follower = subprocess.Popen(verb, env={**os.environ, **variables(settings)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with footprint([follower.pid]) as cost:
            written = write_steadily(settings, world, rate, seconds)
            arrived = wait_for(settings, written, seconds=120)
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait()
    counted = arrived[arrived["made"] >= arrived["made"].min() + pd.Timedelta(seconds=left_out)]
    shutil.rmtree(settings.home, ignore_errors=True)
    print(f"\n{len(arrived):,} events at {rate:,.0f}/s, {len(counted):,} counted; peak {cost.peak_mb:,.0f} MB with the writer", flush=True)
    return late_by(counted)


def prepared(settings: Settings, world: World) -> None:
    """Declare the retailer's stores and products, and the warehouse's tables."""
    declare(session(settings), settings, world)
    warehouse_tables(settings)


def variables(settings: Settings) -> dict[str, str]:
    """The variables that give a verb these settings."""
    names = ("home", "jars", "events_url", "lake_url", "warehouse_url", "spark_url", "s3_endpoint_url")
    return {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in names}


def write_steadily(settings: Settings, world: World, rate: float, seconds: int) -> int:
    """Write purchases for so many seconds, each stamped with the moment it was made in; returns how many."""
    till, count = producer("sales", "benchmark"), round(rate * seconds)
    stores, products = world.stores["store_id"].tolist(), world.products["product_id"].tolist()
    pairs = [(stores[at % len(stores)], products[at % len(products)]) for at in range(count)]

    def lines() -> Iterator[bytes]:
        for at, (store_id, product_id) in enumerate(pairs):
            body = {"product_id": product_id, "basket_id": f"b{at // 6}", "line": at % 6, "units": 2.0, "unit_price": 3.49, "discount": 0.0}
            yield json.dumps(till.event("purchase", datetime.now(UTC), store_id, **body)).encode()

    return paced(event_log(settings), rate).write("sales", lines(), keys=("|".join(pair).encode() for pair in pairs))


def wait_for(settings: Settings, events: int, seconds: float) -> pd.DataFrame:
    """The `arrivals` once all events are there."""
    deadline = time.monotonic() + seconds
    while len(found := arrivals(settings)) < events:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(found):,} of {events:,} events arrived within {seconds:.0f} s of the last")
        time.sleep(2)
    return found


def arrivals(settings: Settings) -> pd.DataFrame:
    """A row an event of `sales` in the lake: when it was `made`, when the `lake` had it, and when its `batch` had ended. Each
    batch with sales is one commit of the table, and a checkpoint's commit is a file, written last."""
    from deltalake import DeltaTable

    lake = Lake(settings.lake_url)
    if not lake.exists(EVENTS):
        return pd.DataFrame({"made": [], "lake": [], "batch": []})
    delta = DeltaTable(lake.path(EVENTS).replace("s3a://", "s3://", 1))
    commits = {each["version"]: pd.Timestamp(each["timestamp"], unit="ms") for each in delta.history()}
    ended = sorted((settings.checkpoints / "ingest" / "commits").glob("[0-9]*"), key=lambda file: int(file.name))
    rows = {Path(part.path).name: part.to_table(["occurred_at"])["occurred_at"] for part in delta.to_pyarrow_dataset().get_fragments()}
    parts = []
    for version, file in zip(sorted(commits), ended, strict=False):
        for name in {Path(each).name for each in lake.files(EVENTS, version) - lake.files_seen(EVENTS, version - 1)}:
            made = rows[name].to_pandas().dt.tz_localize(None)
            batch = pd.Timestamp(file.stat().st_mtime, unit="s")
            parts.append(pd.DataFrame({"made": made, "lake": commits[version], "batch": batch}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"made": [], "lake": [], "batch": []})


def late_by(arrived: pd.DataFrame) -> pd.DataFrame:
    """Seconds from `made` to `lake` and to `batch`: p50, p95, largest."""
    late = {"lake": arrived["lake"] - arrived["made"], "lake+warehouse": arrived["batch"] - arrived["made"]}
    told = {"p50 s": lambda s: s.quantile(0.5), "p95 s": lambda s: s.quantile(0.95), "max s": lambda s: s.max()}
    return pd.DataFrame([
        {"late by": where, **{name: f"{of(s.dt.total_seconds()):.1f}" for name, of in told.items()}} for where, s in late.items()
    ])  # fmt: skip


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[500_000, 1_000_000, 2_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2_000, help="events a second, for how late they arrive")
    parser.add_argument("--seconds", type=int, default=150, help="how long that lasts; 0: not at all")
    asked = parser.parse_args()
    settings = load_settings()
    if not settings.events_url.startswith("kafka://"):
        parser.error("SHELFCAST_EVENTS_URL is no kafka:// URL")
    make_buckets(settings)
    if asked.events:
        print(table(rates(settings, asked.events, asked.rounds)).to_string(index=False), flush=True)
    if asked.seconds:
        print(lateness(settings, asked.rate, asked.seconds, left_out=asked.seconds // 3).to_string(index=False))


if __name__ == "__main__":
    main()
