"""What the scale benchmark reads in a Spark event log, and its table."""

from __future__ import annotations

import json

from benchmarks.footprint import Footprint
from benchmarks.scale import Moved, Step, collected_most, moved_by_step, table


def task(stage: int, kind: str, finish_ms: int, written: int, result: int) -> str:
    metrics = {"Result Size": result, "Shuffle Write Metrics": {"Shuffle Bytes Written": written}}
    told = {"Event": "SparkListenerTaskEnd", "Stage ID": stage, "Task Type": kind, "Task Info": {"Finish Time": finish_ms}}
    return json.dumps({**told, "Task Metrics": metrics})


def test_bytes_are_told_by_step_and_what_came_to_the_driver_by_action() -> None:
    stage = {"Event": "SparkListenerStageCompleted", "Stage Info": {"Stage ID": 2, "Stage Name": "collectToPython at Native.java:0"}}
    log = [task(1, "ShuffleMapTask", 10_000, 700, 9), task(2, "ResultTask", 11_000, 0, 50), json.dumps(stage),
           task(2, "ResultTask", 12_000, 0, 30), task(3, "ResultTask", 25_000, 5, 1), json.dumps({"Event": "SparkListenerTaskEnd"}),
           task(3, "ResultTask", 99_000, 5, 1)]  # fmt: skip
    found = moved_by_step(log, {"facts": (9.5, 20.0), "features": (20.0, 30.0)})
    assert found == {"facts": Moved(700, {"collectToPython": 80}), "features": Moved(5, {"unfinished": 1})}


def test_a_line_costs_what_it_costs_at_the_smallest_size_or_more() -> None:
    moved = Moved(2_000_000, {"collectToPython": 1_500_000, "toString": 500_000})
    steps = [Step("facts", 1_000, 2, Footprint(1, 1, 1), moved), Step("facts", 4_000, 2, Footprint(6, 1, 1), moved)]
    assert table(steps)["vs smallest"].tolist() == ["1.00", "1.50"]
    assert table(steps)["to driver MB"].tolist() == ["2.0", "2.0"]
    assert collected_most(steps)["to driver"].tolist() == ["collectToPython 1.50 MB, toString 0.50 MB"]
