"""The contract of an event log, held on both backends: a landing folder, and a real Kafka broker."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from infra.errors import NotReady
from infra.event_log import EventLog, LandingFolder, event_log
from infra.kafka_log import KafkaLog
from infra.kafka_topics import WRITES, Topics


@pytest.fixture(params=["landing", "kafka"])
def log(request, settings, tmp_path) -> EventLog:
    return event_log(settings) if request.param == "kafka" else LandingFolder(tmp_path / "landing")


def again(log: EventLog) -> EventLog:
    """The same log as another process opens it."""
    return log if isinstance(log, LandingFolder) else KafkaLog(type(log.topics)(log.topics.servers, log.topics.prefix), log.dead_letters)


def streamed(spark, log: EventLog, checkpoint: Path) -> list[tuple[str, bytes, str]]:
    """What one run of a query over topics a and b takes in: topic, line, position."""
    seen: list[tuple[str, bytes, str]] = []
    writer = log.stream(spark, ["a", "b"]).writeStream.foreachBatch(
        lambda batch, _: seen.extend((row.topic, bytes(row.value), row.position) for row in batch.collect())
    )
    writer.option("checkpointLocation", checkpoint.as_uri()).trigger(availableNow=True).start().awaitTermination()
    return sorted(seen)


def test_every_line_is_read_once_as_it_is(spark, log, tmp_path) -> None:
    odd = [b"plain", b"\xff\xfe", b"a\rb\r", b"", "ä".encode(), b"\x00", b"x" * 2_000_000]
    assert log.write("a", odd, keys=[b"k"] * 7) == 7
    log.write("b", [b"x"])
    first = streamed(spark, log, tmp_path / "c")
    assert [row[:2] for row in first] == sorted([*(("a", line) for line in odd), ("b", b"x")])
    # lines of a landing file share their file's position
    assert isinstance(log, LandingFolder) or len({position for _, _, position in first}) == 8
    log.write("b", [b"y"])
    assert [row[:2] for row in streamed(spark, again(log), tmp_path / "c")] == [("b", b"y")]


def test_a_name_stands_for_one_content(spark, log, tmp_path) -> None:
    assert not log.has("a", "x")
    log.write("a", [b"1", b"2"], name="x")
    assert log.has("a", "x") and again(log).has("a", "x") and not log.has("b", "x")
    again(log).write("a", [b"1", b"2"], name="x")
    assert [row[:2] for row in streamed(spark, log, tmp_path / "c")] == [("a", b"1"), ("a", b"2")]


def test_a_write_that_breaks_off_is_not_complete(log) -> None:
    def broken():
        yield b"half"
        raise RuntimeError("the producer died")

    with pytest.raises(RuntimeError):
        log.write("a", broken(), name="y")
    assert not again(log).has("a", "y")


def test_records_of_one_key_keep_their_order(spark, settings, tmp_path) -> None:
    log = event_log(settings)
    lines = [f"{key}-{number:04d}".encode() for number in range(500) for key in "abc"]
    log.write("a", lines, keys=[line[:1] for line in lines])
    rows = streamed(spark, log, tmp_path / "c")
    places: dict[bytes, list[tuple[str, int]]] = {}
    for _, line, position in sorted(rows, key=lambda row: row[1]):
        partition, _, offset = position.partition("@")
        places.setdefault(line[:1], []).append((partition, int(offset)))
    assert all(
        len({partition for partition, _ in found}) == 1 and found == sorted(found) and len(found) == 500 for found in places.values()
    )


def test_what_the_broker_refuses_is_a_dead_letter(settings) -> None:
    log = event_log(settings)
    name = uuid.uuid4().hex
    assert log.write("a", [b"good", b"x" * 17_000_000, b"fine"], name=name) == 2
    letters = (settings.home / "dead-letters" / "a" / f"{name}.jsonl").read_bytes()
    assert letters == b"x" * 17_000_000 + b"\n" and log.has("a", name)


DAY_MS = 86_400_000


def as_declared(topics: Topics, topic: str) -> tuple[int, str, int]:
    """Partitions, clean-up and days of a topic as the broker has it."""
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource

    admin = KafkaAdminClient(bootstrap_servers=topics.servers)
    name = topics.name(topic)
    found = admin.describe_configs([ConfigResource("topic", name)], config_filter="all")["topic"][name]
    partitions = len(admin.describe_topics([name])[0]["partitions"])
    admin.close()
    return partitions, found["cleanup.policy"]["value"], int(found["retention.ms"]["value"]) // DAY_MS


def test_topics_keep_in_step_with_the_url_where_that_drops_nothing(settings, caplog) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    topics = event_log(settings).topics
    admin = KafkaAdminClient(bootstrap_servers=topics.servers)
    admin.create_topics([NewTopic(topics.name(WRITES), 1, 1, topic_configs={"cleanup.policy": "compact"})])  # as of an earlier release
    admin.close()
    topics.declare(["a"])
    assert (as_declared(topics, "a"), as_declared(topics, WRITES)) == ((2, "delete", 30), (1, "compact,delete", 30))
    Topics(topics.servers, topics.prefix, partitions=2, retention_days=60).declare(["a"])
    assert (as_declared(topics, "a"), as_declared(topics, WRITES)) == ((2, "delete", 60), (1, "compact,delete", 60))
    caplog.clear()
    Topics(topics.servers, topics.prefix, partitions=4, retention_days=7).declare(["a"])
    assert (as_declared(topics, "a"), as_declared(topics, WRITES)) == ((2, "delete", 60), (1, "compact,delete", 60))
    assert f"{topics.name('a')} has 2 partitions and keeps them: SHELFCAST_EVENTS_URL says 4" in caplog.messages
    assert f"{topics.name('a')} keeps its records for 60 days, and goes on so: SHELFCAST_EVENTS_URL says 7 days" in caplog.messages


def test_what_a_broker_refuses_to_declare_is_told_with_its_reason(settings) -> None:
    topics = event_log(settings).topics
    with pytest.raises(NotReady, match=r"does not declare a, writes: .*[Rr]eplication.* Mend that, then repeat"):
        Topics(topics.servers, topics.prefix, replication=3).declare(["a"])


def test_a_note_older_than_the_records_are_kept_does_not_count(settings) -> None:
    from confluent_kafka import Producer

    topics = event_log(settings).topics
    topics.declare(["a"])
    producer, now = Producer({"bootstrap.servers": topics.servers}), int(time.time() * 1000)
    for key, days in (("a/old", 31), ("a/new", 29)):
        producer.produce(topics.name(WRITES), b"", key.encode(), timestamp=now - days * DAY_MS)
    producer.flush()
    assert topics.notes == {"a/new"}
