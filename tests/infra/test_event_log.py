"""The landing folder: a file appears whole, the same name replaces it, and the stream reads every byte once."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from infra.errors import BadInput
from infra.event_log import LandingFolder, event_log
from infra.settings import load_settings


def streamed(spark, log: LandingFolder, checkpoint: Path) -> list[tuple[str, bytes]]:
    """What one run of a query over topics a and b takes in: (topic, line)."""
    seen: list[tuple[str, bytes]] = []
    batches: list[int] = []

    def take(batch, number: int) -> None:
        batches.append(number)
        seen.extend((row.topic, bytes(row.value)) for row in batch.collect())

    writer = log.stream(spark, ["a", "b"]).writeStream.foreachBatch(take).option("checkpointLocation", checkpoint.as_uri())
    writer.trigger(availableNow=True).start().awaitTermination()
    return sorted(seen)


def test_every_line_is_read_once_as_it_is(spark, tmp_path) -> None:
    log = LandingFolder(tmp_path / "landing")
    odd = [b"plain", b"\xff\xfe", b"a\rb\r", b"", "ä".encode(), b"\x00"]
    assert log.write("a", odd) == 6
    log.write("b", [b"x"])
    expected = sorted([*(("a", line) for line in odd), ("b", b"x")])
    assert streamed(spark, log, tmp_path / "c") == expected
    assert streamed(spark, log, tmp_path / "c") == []
    log.write("b", [b"y"])
    assert streamed(spark, log, tmp_path / "c") == [("b", b"y")]


def test_a_file_of_long_ago_that_arrives_late_is_read(spark, tmp_path) -> None:
    log = LandingFolder(tmp_path / "landing")
    log.write("a", [b"new"])
    assert streamed(spark, log, tmp_path / "c") == [("a", b"new")]
    log.write("a", [b"copied"], name="copied")
    os.utime(tmp_path / "landing" / "a" / "copied.jsonl", (1_000_000_000, 1_000_000_000))
    assert streamed(spark, log, tmp_path / "c") == [("a", b"copied")]


def test_a_batch_takes_a_bounded_number_of_bytes(spark, tmp_path) -> None:
    log = LandingFolder(tmp_path / "landing", bytes_per_batch=1500)
    for i in range(4):
        log.write("a", [bytes([65 + i]) * 1000])
    sizes: list[int] = []
    writer = log.stream(spark, ["a", "b"]).writeStream.foreachBatch(lambda batch, _: sizes.append(batch.count()))
    writer.option("checkpointLocation", (tmp_path / "c").as_uri()).trigger(availableNow=True).start().awaitTermination()
    assert sum(sizes) == 4 and len(sizes) >= 3


def test_a_name_replaces_its_file_and_a_failure_leaves_none(tmp_path) -> None:
    log = LandingFolder(tmp_path)
    log.write("a", [b"1", b"2\n"], name="x")
    log.write("a", [b"3"], name="x")
    assert [path.read_bytes() for path in (tmp_path / "a").glob("*.jsonl")] == [b"3\n"]

    def broken():
        yield b"half"
        raise RuntimeError("the producer died")

    with pytest.raises(RuntimeError):
        log.write("a", broken(), name="y")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.jsonl"]


@pytest.mark.parametrize(("topic", "name"), [("a", "../x"), ("a", "till/7"), ("a", "..\\x"), ("../a", "x"), ("a", ".x"), ("a", "_x")])
def test_a_name_that_would_lie_elsewhere_or_unread_is_refused(tmp_path, topic, name) -> None:
    with pytest.raises(BadInput, match="no file of the event log can be named"):
        LandingFolder(tmp_path / "landing").write(topic, [b"1"], name)
    assert not list(tmp_path.rglob("*"))


def test_what_a_killed_writer_left_is_swept_when_it_is_old(tmp_path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "a").mkdir()
    for name, writer, age in (("old", gone.pid, 25), ("new", gone.pid, 1), ("slow", os.getpid(), 25)):
        partial = tmp_path / "a" / f".{name}.jsonl.{writer}.partial"
        partial.write_bytes(b"half")
        os.utime(partial, (time.time() - age * 3600,) * 2)
    LandingFolder(tmp_path).write("a", [b"1"], name="x")
    assert sorted(path.name.split(".")[1] for path in (tmp_path / "a").glob(".*")) == ["new", "slow"]


@pytest.mark.parametrize(
    "url",
    [
        "kafka://nowhere",
        "kafka://host:9092/p?partitions=many",
        "kafka://host:9092/p?colour=1",
        "kafka://host:9092/p?x",
        "kafka://host:9092/p?retention_days=0",
        "kafka://host:9092/p?partitions=-1",
        "kafka://host:9092/p?batch=0",
    ],
)
def test_a_url_that_cannot_be_a_log_is_told(url: str, tmp_path) -> None:
    with pytest.raises(BadInput, match="expected kafka://host:port/prefix"):
        event_log(load_settings(home=tmp_path, events_url=url))


def test_a_user_in_the_url_of_kafka_is_refused_and_not_told(tmp_path) -> None:
    with pytest.raises(BadInput, match="'kafka://h:9092/shop' with a user") as told:
        event_log(load_settings(home=tmp_path, events_url="kafka://user:se@cret@h:9092/shop"))
    assert "cret" not in str(told.value)
