"""What the features' benchmark makes of keys and reads."""

from __future__ import annotations

import numpy as np

from benchmarks.features import Reads, keys_of, table


def test_keys_are_those_of_the_service() -> None:
    assert keys_of("demand_v1", np.array([7, 1003])).to_numpy().tolist() == [["s0", "p7"], ["s1", "p3"]]
    assert keys_of("recommend_v1", np.array([7])).to_numpy().tolist() == [["c7"]]


def test_the_table_tells_percentiles_and_memory_from_start_to_end() -> None:
    found = table([Reads("demand_v1", 1, np.arange(1, 102, dtype=float), (100.0, 100.4, 100.5))]).iloc[0]
    assert (found["p50 ms"], found["p95 ms"], found["reads"]) == ("51.00", "96.00", "101")
    assert (found["MB start"], found["MB middle"], found["MB end"]) == ("100.0", "100.4", "100.5")
