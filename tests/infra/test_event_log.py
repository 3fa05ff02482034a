"""The landing folder: a file appears whole, the same name replaces it, and the stream reads every byte once."""

from __future__ import annotations

import os
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
    assert [path.name for path in (tmp_path / "a").glob("*.jsonl")] == ["x.jsonl"]


@pytest.mark.parametrize(
    "url", ["kafka://nowhere", "kafka://host:9092/p?partitions=many", "kafka://host:9092/p?colour=1", "kafka://host:9092/p?x"]
)
def test_a_url_that_cannot_be_a_log_is_told(url: str, tmp_path) -> None:
    with pytest.raises(BadInput, match="expected kafka://host:port/prefix"):
        event_log(load_settings(home=tmp_path, events_url=url))
