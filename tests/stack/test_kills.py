"""The ingest is killed (kill -9, driver and JVM) at random points of its batches, before, between and after the sinks, again and
again: at the end every event is in the lake once and in the warehouse once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_ingest.facts import facts
from data_ingest.tables import EVENTS
from infra.lake import Lake
from infra.settings import Settings
from infra.warehouse import Warehouse
from tests.data_ingest import events

DAY = "2024-05-01T10:00"
KILLS = int(os.environ.get("SHELFCAST_TEST_KILLS", "20"))
#: where a batch may be when its ingest is killed, in their order
POINTS = ("begun", "in the lake", "done")
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

    def reached(self) -> tuple[int, str]:
        """The newest batch that the checkpoint has begun, and how far it is: one of POINTS."""
        checkpoint, lake = self.settings.checkpoints / "ingest", Lake(self.settings.lake_url)
        newest, done = self._newest("offsets"), self._newest("commits")
        if newest < 0 or done == newest:
            return newest, "done"
        query = json.loads((checkpoint / "metadata").read_text())["id"]
        return newest, "in the lake" if lake.batch(EVENTS, query) == newest else "begun"

    def kill_once(self, point: str) -> str:
        """Send events, start the ingest, and kill it a moment after a new batch is at `point`; returns how far the batch had come
        by then. An ingest that came to its end before is started again with more events."""
        while True:
            self.send(self.rng.randint(20, 60))
            (before, _), process = self.reached(), self.start()
            while not self._is_at(before, point) and process.poll() is None:
                time.sleep(0.02)
            time.sleep(self.rng.uniform(0, self.rng.choice([0.0, 0.5, 2.0])))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return self.reached()[1]
            assert process.returncode == 0, (self.settings.home / "ingest.log").read_text()[-2000:]

    def _is_at(self, before: int, point: str) -> bool:
        # a glance at the folder first: to open the lake's table takes more than all of a killed ingest's waiting
        if self._newest("offsets") <= before:
            return False
        newest, stage = self.reached()
        return newest > before and POINTS.index(stage) >= POINTS.index(point)

    def _newest(self, kind: str) -> int:
        files = (self.settings.checkpoints / "ingest" / kind).glob("[0-9]*")
        return max((int(file.name) for file in files), default=-1)


@pytest.mark.slow
def test_killed_at_random_points_nothing_is_lost_and_nothing_doubled(spark, stack, on_stack) -> None:
    aws = {name: value for name, value in stack.variables.items() if name.startswith("AWS_")}
    victims = [Victim(on_stack(), aws, seed) for seed in range(VICTIMS)]
    for victim in victims:
        victim.settings.home.mkdir(parents=True)
    points = [[POINTS[(number + each) % len(POINTS)] for each in range(KILLS // VICTIMS)] for number in range(VICTIMS)]
    with ThreadPoolExecutor(VICTIMS) as pool:
        found = list(pool.map(lambda victim, own: [victim.kill_once(point) for point in own], victims, points))
    # a batch that was killed before the lake had it, one that the lake had and the checkpoint did not, and one that was done
    assert {point for each in found for point in each} == set(POINTS)
    for victim in victims:
        victim.send(10)
        assert victim.start().wait(300) == 0
        rows = Lake(victim.settings.lake_url).read(spark, EVENTS).select("event_id", "units").collect()
        assert len(rows) == len(victim.sent) and {row.event_id: row.units for row in rows} == victim.sent
        warehouse = Warehouse(victim.settings.warehouse_url)
        counted = warehouse.query("SELECT rule, sum(events) AS n FROM ingested GROUP BY rule")
        assert counted.rule.isna().tolist() == [True] and counted.n.tolist() == [len(victim.sent)]
        facts(spark, victim.settings)
        sold = warehouse.query("SELECT sum(units) AS units, sum(lines) AS lines FROM sales_daily")
        assert (sold.units[0], sold.lines[0]) == (sum(victim.sent.values()), len(victim.sent))
