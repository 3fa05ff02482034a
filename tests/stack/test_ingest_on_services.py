"""Events from Kafka into a lake on S3 and a ClickHouse behind HTTP: nothing lost, nothing doubled, nothing bad hidden."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from data_ingest.facts import facts
from data_ingest.ingest import ingest
from data_ingest.quarantine import replay_quarantine
from data_ingest.tables import EVENTS, FACTS, PRODUCTS, QUARANTINE
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings
from infra.warehouse import Warehouse
from tests.data_ingest import events
from tests.data_ingest.test_facts import fortnight, rows_of, set_stores

NOW, DAY = datetime(2024, 6, 1), "2024-05-01T10:00"
#: 50 makes it 200,000 good lines among which 10,000 are bad
SCALE = int(os.environ.get("SHELFCAST_TEST_SCALE", "1"))


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[str]:
    """URL of the real engine behind HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tests.stack.clickhouse_front", str(tmp_path / "clickhouse"), str(port)])
    yield f"clickhouse://default:@127.0.0.1:{port}/shelfcast"
    server.kill()
    server.wait()


def sold(spark, settings: Settings) -> tuple[int, int, float]:
    """Rows, distinct ids and units of the sales in bronze."""
    rows = Lake(settings.lake_url).read(spark, EVENTS).where("topic = 'sales'")
    one = rows.selectExpr("count(*) AS n", "count(DISTINCT event_id) AS ids", "sum(units) AS units").first()
    return one.n, one.ids, one.units


def accepted(settings: Settings) -> int:
    """Events that the warehouse counts as accepted."""
    return int(Warehouse(settings.warehouse_url).query("SELECT sumIf(events, rule IS NULL) AS n FROM ingested").n[0])


def poison(rng: random.Random, line: bytes) -> bytes:
    """A line that is no event any more."""
    at = rng.randrange(1, len(line) - 1)
    return rng.choice([line[:at], b"\xff" + line, line + b"]", b"", b"[]", line.replace(b"units", b"unit")])


def test_poison_among_good_lines_through_kafka_s3_and_clickhouse(spark, on_stack, clickhouse) -> None:
    settings, rng = on_stack(warehouse_url=clickhouse), random.Random(7)
    good = [events.line(events.purchase(DAY, event_id=f"g{i}", units=1 + i % 3)) for i in range(4_000 * SCALE)]
    bad = [poison(rng, line) for line in good[: 200 * SCALE]]
    lines = [*good, *bad]
    rng.shuffle(lines)
    events.send_lines(settings, "sales", lines)
    said = ingest(spark, settings, now=NOW)
    assert (said.events, said.accepted) == (len(lines), {"sales": len(good)})
    assert sold(spark, settings) == (len(good), len(good), sum(1 + i % 3 for i in range(len(good))))
    aside = Lake(settings.lake_url).read(spark, QUARANTINE).collect()
    assert Counter(bytes(row.raw) for row in aside) == Counter(bad)
    assert all(row.rule and row.reason and row.position.split("@")[1].isdigit() for row in aside)
    assert len({row.position for row in aside}) == len(bad)
    assert accepted(settings) == len(good)
    counted = Warehouse(clickhouse).query("SELECT count() AS n, uniqExact(position) AS positions FROM quarantine")
    assert (counted.n[0], counted.positions[0]) == (len(bad), len(bad))
    assert ingest(spark, settings, now=NOW).events == 0


def test_quarantined_lines_land_once_their_rule_is_mended(spark, settings) -> None:
    lake = Lake(settings.lake_url)
    lake.overwrite(spark.createDataFrame([("p1", *[None] * 10)], PRODUCTS.spark_schema()), PRODUCTS)
    events.send(settings, [events.purchase(DAY), events.purchase(DAY, product="p2", units=5)])
    assert ingest(spark, settings, now=NOW).quarantined == {"unknown_product": 1}
    lake.overwrite(spark.createDataFrame([(name, *[None] * 10) for name in ("p1", "p2")], PRODUCTS.spark_schema()), PRODUCTS)
    assert replay_quarantine(spark, settings, "unknown_product") == 1
    assert ingest(spark, settings, now=NOW).accepted == {"sales": 1}
    assert sold(spark, settings) == (2, 2, 6.0) and lake.read(spark, QUARANTINE).count() == 0


def test_a_new_checkpoint_drops_nothing_and_doubles_nothing(spark, settings) -> None:
    events.send(settings, [events.purchase(DAY, event_id=f"a{i}") for i in range(5)])
    ingest(spark, settings, now=NOW)
    shutil.rmtree(settings.checkpoints)
    events.send(settings, [events.purchase(DAY, event_id=f"b{i}") for i in range(3)])
    said = ingest(spark, settings, now=NOW)
    assert (said.accepted, said.quarantined) == ({"sales": 3}, {"duplicate_event": 5})
    assert sold(spark, settings)[:2] == (8, 8) and accepted(settings) == 8


def test_records_that_kafka_dropped_unread_are_told_and_the_rest_lands(spark, settings) -> None:
    """An ingest that was off for longer than the retention."""
    events.send(settings, [events.purchase(DAY, event_id="a")])
    ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id=f"b{number}") for number in range(5)])
    drop_all(settings, "sales")
    events.send(settings, [events.purchase(DAY, event_id="c")])
    checkpoint = settings.checkpoints / "ingest"
    with pytest.raises(NotReady, match=rf"Kafka has dropped records .*sales-\d.* Move the folder {checkpoint} away") as told:
        ingest(spark, settings, now=NOW)
    assert "\n" not in str(told.value)
    checkpoint.rename(settings.home / "away")
    assert ingest(spark, settings, now=NOW).accepted == {"sales": 1}
    assert sold(spark, settings) == (2, 2, 2.0)


def drop_all(settings: Settings, topic: str) -> None:
    """What retention does in time: the log begins after all that it holds now."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    address, _, prefix = settings.events_url.removeprefix("kafka://").partition("?")[0].partition("/")
    admin = AdminClient({"bootstrap.servers": address})
    name = f"{prefix}.{topic}"
    parts = [TopicPartition(name, part, -1) for part in admin.list_topics(name, timeout=30).topics[name].partitions]
    for done in admin.delete_records(parts).values():
        done.result(30)


def test_late_events_newer_producers_and_unknown_types_give_the_facts_of_events_in_time(spark, on_stack) -> None:
    told, rng = fortnight(11, 150), random.Random(11)
    in_time, late = on_stack(), on_stack()
    for place in (in_time, late):
        set_stores(spark, place)
    events.send(in_time, told)
    ingest(spark, in_time, now=NOW)
    facts(spark, in_time)
    # the same, from producers that tell more than the contract knows, in any order, in three deliveries
    newer = [{**body, "loyalty_tier": "gold", "lane": {"number": 4}} if rng.random() < 0.5 else body for body in told]
    rng.shuffle(newer)
    strange = events.line({**events.purchase(DAY), "event_type": "teleported"})
    for part in (newer[:50], newer[50:100], newer[100:]):
        events.send(late, part)
        events.send_lines(late, "sales", [strange])
        assert ingest(spark, late, now=NOW).quarantined == {"unknown_event_type": 1}
        facts(spark, late)
    for table in FACTS:
        assert rows_of(late, table) == rows_of(in_time, table), table.name


def test_a_stream_goes_on_as_events_come_and_a_second_one_is_refused(spark, settings) -> None:
    events.send(settings, [events.purchase(DAY, event_id="first")])
    ended: list[object] = []
    stream = threading.Thread(target=lambda: ended.append(ingest(spark, settings, now=NOW, available_now=False)))
    stream.start()
    _until(lambda: Lake(settings.lake_url).exists(EVENTS) and sold(spark, settings)[0] == 1)
    with pytest.raises(NotReady, match="another ingest"):
        ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id="later"), events.purchase(DAY, event_id="first")])
    _until(lambda: sold(spark, settings)[0] == 2)
    _until(lambda: accepted(settings) == 2)
    for query in spark.streams.active:
        query.stop()
    stream.join(60)
    assert ended and ended[0].accepted == {"sales": 2}


def _until(true, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)
