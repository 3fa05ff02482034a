"""Waiting for services: only for those that the settings name, only while they are away, never for a defect."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from infra.errors import BadInput, NotReady, Unanswered
from infra.patience import Service, persevere, services, wait_for, was_away
from infra.settings import Settings, load_settings


def test_the_servers_are_those_of_the_urls(settings, tmp_path) -> None:
    assert services(settings) == []
    named = load_settings(
        home=tmp_path, events_url="kafka://k1:9092,k2:9093/shop", lake_url="s3a://b/lake", s3_endpoint_url="", online_url="redis://:pw@r",
        warehouse_url="clickhouse://u:p,q@c:8123/db", tracking_url="https://m", spark_url="spark://s:7077",
    )  # fmt: skip
    assert [str(each) for each in services(named)] == [
        "Kafka at k1:9092,k2:9093",
        "ClickHouse at c:8123",
        "Redis at r:6379",
        "MLflow at m:443",
        "Spark at s:7077",
    ]


@pytest.fixture
def redis_port(tmp_path) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_server(tmp_path, port: int) -> Settings:
    return load_settings(home=tmp_path, online_url=f"redis://127.0.0.1:{port}")


def test_a_step_is_run_again_when_its_server_answers(tmp_path, redis_port) -> None:
    told: list[str] = []
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def come_back() -> None:
        time.sleep(1.5)
        server.bind(("127.0.0.1", redis_port))
        server.listen(50)

    threading.Thread(target=come_back).start()

    def step() -> str:
        with socket.create_connection(("127.0.0.1", redis_port), timeout=2):
            return "done"

    assert persevere(one_server(tmp_path, redis_port), step, told.append) == "done"
    server.close()
    assert f"waiting for Redis at 127.0.0.1:{redis_port}" in told


def test_a_defect_and_bad_input_are_not_repeated(tmp_path, redis_port) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", redis_port))
        server.listen(50)
        for error in (ValueError("a defect"), BadInput("wrong"), NotReady("ingest first")):
            calls: list[int] = []

            def step(error=error, calls=calls) -> None:
                calls.append(1)
                raise error

            with pytest.raises(type(error)):
                persevere(one_server(tmp_path, redis_port), step, print)
            assert len(calls) == 1


def test_one_that_stays_away_is_named(redis_port) -> None:
    with pytest.raises(NotReady, match=f"Redis at 127.0.0.1:{redis_port} did not answer for 1 s"):
        wait_for([Service("Redis", (("127.0.0.1", redis_port),))], lambda said: None, patience_seconds=1)


def test_the_cause_of_a_failure_counts() -> None:
    try:
        raise ValueError("the batch failed") from ConnectionRefusedError("connection refused")
    except ValueError as error:
        assert was_away(error)
    assert not was_away(ValueError("division by zero"))


def test_any_of_several_brokers_answers_for_all(tmp_path, redis_port) -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        there = f"127.0.0.1:{broker.getsockname()[1]}"
        for brokers in (f"127.0.0.1:{redis_port},{there}", f"{there},127.0.0.1:{redis_port}"):
            (kafka,) = services(load_settings(home=tmp_path, events_url=f"kafka://{brokers}/shop?partitions=2"))
            assert kafka.answers() and str(kafka) == f"Kafka at {brokers}"
    assert not kafka.answers()


def test_what_is_missing_is_told_at_once_though_an_unrelated_service_is_away(tmp_path, redis_port) -> None:
    def step() -> None:
        raise NotReady("bronze holds no events yet")

    with pytest.raises(NotReady, match="no events yet"):
        persevere(one_server(tmp_path, redis_port), step, print, patience_seconds=5)


@pytest.mark.parametrize("error", [Unanswered("Kafka did not take 3 records"), RuntimeError("the JVM said something")])
def test_what_an_absence_may_be_behind_waits_for_the_service(tmp_path, redis_port, error) -> None:
    told: list[str] = []
    with pytest.raises(NotReady, match=r"Redis at .* did not answer for 1 s"):
        persevere(one_server(tmp_path, redis_port), lambda: _raise(error), told.append, patience_seconds=1)


def test_no_password_is_told_when_a_step_is_run_again(tmp_path, redis_port) -> None:
    told, tries = list[str](), iter([ConnectionError("http://bob:hunter2@store/ reset"), None])
    with socket.create_server(("127.0.0.1", redis_port)):
        persevere(one_server(tmp_path, redis_port), lambda: (error := next(tries)) and _raise(error), told.append)
    assert told == ["once more: http://store/ reset"]


def _raise(error: Exception) -> None:
    raise error
