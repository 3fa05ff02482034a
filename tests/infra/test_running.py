"""What verbs run on: a share of a cluster, and a word when it gives nothing."""

from __future__ import annotations

import threading
from pathlib import Path

from infra.running import waiting_told
from infra.settings import load_settings
from infra.spark import _configuration


def test_a_verb_takes_a_share_of_a_cluster_and_all_of_a_laptop(tmp_path: Path) -> None:
    cluster = load_settings(home=tmp_path, spark_url="spark://127.0.0.1:7077")
    assert _configuration(cluster, "")["spark.cores.max"] == "1"
    assert _configuration(cluster.model_copy(update={"spark_cores": 3}), "")["spark.cores.max"] == "3"
    assert "spark.cores.max" not in _configuration(load_settings(home=tmp_path), "")


def test_a_cluster_that_gives_no_executor_is_told_once() -> None:
    said, told = [], threading.Event()

    def tell(sentence: str) -> None:
        said.append(sentence)
        told.set()

    with waiting_told("spark://s:7077", lambda: 0, tell, seconds=0.01):
        assert told.wait(10)
    assert len(said) == 1 and "waiting for Spark at spark://s:7077: no executor came" in said[0] and "SHELFCAST_SPARK_CORES" in said[0]


def test_nothing_is_told_where_there_are_executors_or_no_cluster() -> None:
    said: list[str] = []
    looked = threading.Event()

    def one() -> int:
        looked.set()
        return 1

    with waiting_told("spark://s:7077", one, said.append, seconds=0.01):
        assert looked.wait(10)
    with waiting_told("local[*]", lambda: 0, said.append, seconds=0.0):
        pass
    assert said == []
