"""The ingest is killed (kill -9, driver and JVM) at random points of its batches, again and again: at the end every event
is in the lake once and in the warehouse once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_ingest.tables import EVENTS
from infra.lake import Lake
from infra.settings import Settings
from infra.warehouse import Warehouse
from tests.data_ingest import events

DAY = "2024-05-01T10:00"
KILLS = int(os.environ.get("SHELFCAST_TEST_KILLS", "6"))
#: independent ingests that are killed at the same time: each has topics, lake, warehouse and checkpoint of its own
VICTIMS = 2


class Victim:
    """An ingest that is killed at random; `sent` are its events by id with their units."""

    def __init__(self, settings: Settings, variables: dict[str, str], seed: int) -> None:
        self.settings, self.rng = settings, random.Random(seed)
        self.sent: dict[str, float] = {}
        urls = {f"SHELFCAST_{name.upper()}": str(getattr(settings, name)) for name in type(settings).model_fields if name.endswith("_url")}
        # a short life is not worth the second compiler
        java = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
        self.env = {**os.environ, **variables, **urls, "SHELFCAST_HOME": str(settings.home), "JDK_JAVA_OPTIONS": java,
                    "SHELFCAST_SPARK_MEMORY": "1g", "PYTHONPATH": str(Path.cwd())}  # fmt: skip

    def send(self, count: int) -> None:
        bodies = [
            events.purchase(DAY, event_id=f"e{len(self.sent) + i}", units=self.rng.randint(1, 9), basket=f"b{i}") for i in range(count)
        ]
        self.sent |= {body["event_id"]: body["units"] for body in bodies}
        events.send(self.settings, bodies)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.stack.ingest_once"], env=self.env, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=(self.settings.home / "ingest.log").open("ab"),
        )  # fmt: skip

    def offsets(self) -> int:
        """Batches that the checkpoint has begun."""
        return sum(1 for _ in (self.settings.checkpoints / "ingest" / "offsets").glob("[0-9]*"))

    def kill_once(self) -> str:
        """Send events, start the ingest, kill it somewhere within its next batch; returns what was then committed. An ingest
        that came to its end before is started again with more events."""
        while True:
            self.send(self.rng.randint(20, 60))
            begun, process = self.offsets(), self.start()
            while self.offsets() == begun and process.poll() is None:
                time.sleep(0.02)
            time.sleep(self.rng.uniform(0, self.rng.choice([0.5, 2.0, 5.0])))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return self.landed()
            assert process.returncode == 0, (self.settings.home / "ingest.log").read_text()[-2000:]

    def landed(self) -> str:
        """How far the killed batch had come, in words: for the test's own report."""
        lake = Lake(self.settings.lake_url)
        return f"events at version {lake.version(EVENTS) if lake.exists(EVENTS) else None}, batches {self.offsets()}"


@pytest.mark.slow
def test_killed_at_random_points_nothing_is_lost_and_nothing_doubled(spark, stack, on_stack) -> None:
    aws = {name: value for name, value in stack.variables.items() if name.startswith("AWS_")}
    victims = [Victim(on_stack(), aws, seed) for seed in range(VICTIMS)]
    for victim in victims:
        victim.settings.home.mkdir(parents=True)
    with ThreadPoolExecutor(VICTIMS) as pool:
        points = list(pool.map(lambda victim: [victim.kill_once() for _ in range(KILLS // VICTIMS)], victims))
    assert sum(map(len, points)) >= KILLS - KILLS % VICTIMS
    for victim in victims:
        victim.send(10)
        assert victim.start().wait(300) == 0
        rows = Lake(victim.settings.lake_url).read(spark, EVENTS).select("event_id", "units").collect()
        assert len(rows) == len(victim.sent) and {row.event_id: row.units for row in rows} == victim.sent
        counted = Warehouse(victim.settings.warehouse_url).query("SELECT rule, sum(events) AS n FROM ingested GROUP BY rule")
        assert counted.rule.isna().tolist() == [True] and counted.n.tolist() == [len(victim.sent)]
