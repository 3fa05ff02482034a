"""Nothing that enters the log is lost or doubled: it lands in bronze or in quarantine, once, whatever happens on the way."""

from __future__ import annotations

import fcntl
import random
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from data_ingest import landing, log_compare
from data_ingest.contracts import TOPICS
from data_ingest.ingest import dropped_unread, ingest
from data_ingest.rules import LONGEST_LINE
from data_ingest.tables import EVENTS, INGESTED, PRODUCTS, QUARANTINE, STORES
from infra.errors import NotReady
from infra.lake import Lake
from infra.settings import Settings, load_settings
from infra.tables import Table
from infra.warehouse import Warehouse
from tests.data_ingest import events

NOW = datetime(2024, 6, 1)
DAY = "2024-05-01T10:00"


def landed(spark, settings: Settings) -> tuple[Counter, Counter]:
    """Event ids in bronze, and (rule, raw) in quarantine, counted."""
    lake = Lake(settings.lake_url)
    ids = Counter(row.event_id for row in lake.read(spark, EVENTS).select("event_id").collect()) if lake.exists(EVENTS) else Counter()
    broken = lake.read(spark, QUARANTINE).collect() if lake.exists(QUARANTINE) else []
    return ids, Counter((row.rule, bytes(row.raw)) for row in broken)


def warehouse_counts(settings: Settings) -> tuple[int, int]:
    """Events accepted and quarantined as the warehouse has them, after checking that its two tables agree."""
    counted = Warehouse(settings.warehouse_url).query(
        "SELECT sumIf(events, rule IS NULL) AS good, sumIf(events, rule IS NOT NULL) AS bad FROM ingested"
    )
    rows = Warehouse(settings.warehouse_url).query("SELECT count() AS n FROM quarantine").n[0]
    assert rows == counted.bad[0]
    return int(counted.good[0]), int(counted.bad[0])


def test_good_events_land_once_with_their_local_day(spark, settings) -> None:
    lake = Lake(settings.lake_url)
    lake.overwrite(spark.createDataFrame([("s1", -5.0, 7, 22)], STORES.spark_schema()), STORES)
    lake.overwrite(spark.createDataFrame([("p1", *[None] * 10)], PRODUCTS.spark_schema()), PRODUCTS)
    bodies = [events.purchase("2024-05-02T04:59", event_id="late-evening"), events.price(DAY, 2.5), events.visits("2024-05-01", [1] * 24),
              events.purchase(DAY, product="p9"), events.purchase(DAY, store="s9")]  # fmt: skip
    events.send(settings, bodies)
    said = ingest(spark, settings, now=NOW)
    assert (said.events, said.accepted, said.quarantined) == (
        5,
        {"sales": 1, "pos": 1, "visits": 1},
        {"unknown_product": 1, "unknown_store": 1},
    )
    row = lake.read(spark, EVENTS).where("topic = 'sales'").first()
    assert (row.event_id, str(row.ds), row.units, row.unit_price) == ("late-evening", "2024-05-01", 1.0, 2.0)
    again = ingest(spark, settings, now=NOW)
    assert (again.events, again.batches) == (0, 0)
    assert warehouse_counts(settings) == (3, 2)


def test_a_home_with_a_blank_and_a_plus_in_its_name_is_like_any_other(spark, tmp_path) -> None:
    settings = load_settings(home=tmp_path / "my shop+more")
    events.send(settings, [events.purchase(DAY, event_id="a")])
    assert ingest(spark, settings, now=NOW).events == 1
    events.send(settings, [events.purchase(DAY, event_id="a")])
    assert ingest(spark, settings, now=NOW).quarantined == {"duplicate_event": 1}
    assert warehouse_counts(settings) == (1, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["my shop+more"]


def test_without_copies_the_lake_has_the_batch_and_the_next_one_copies_both(spark, settings) -> None:
    events.send(settings, [events.purchase(DAY, event_id="a")])
    assert ingest(spark, settings, now=NOW, copied=()).events == 1
    assert landed(spark, settings)[0] == Counter({"a": 1})
    assert not Path(settings.warehouse_url.removeprefix("chdb://")).exists()
    events.send(settings, [events.purchase(DAY, event_id="b")])
    ingest(spark, settings, now=NOW)
    assert warehouse_counts(settings) == (2, 0)


def test_duplicates_within_and_across_runs_are_set_aside_once(spark, settings) -> None:
    first, other = events.purchase(DAY, event_id="a"), events.purchase(DAY, event_id="b")
    events.send(settings, [first, first, other, {**first, "units": 7}])
    assert ingest(spark, settings, now=NOW).quarantined == {"duplicate_event": 2}
    events.send(settings, [other, events.purchase(DAY, event_id="c"), events.stock("count", DAY, 3, event_id="a")])
    assert ingest(spark, settings, now=NOW).quarantined == {"duplicate_event": 1}
    ids, broken = landed(spark, settings)
    assert ids == Counter({"a": 2, "b": 1, "c": 1})  # ids are unique in their own topic
    assert broken[("duplicate_event", events.line(other))] == 1


def test_a_return_needs_its_purchase_in_the_batch_or_before(spark, settings) -> None:
    events.send(
        settings, [events.purchase(DAY, basket="b1"), events.returned(DAY, basket="b1"), events.returned(DAY, basket="b1", product="p2")]
    )
    assert ingest(spark, settings, now=NOW).quarantined == {"return_without_purchase": 1}
    events.send(settings, [events.returned("2024-05-20T10:00", basket="b1"), events.returned(DAY, basket="b2")])
    said = ingest(spark, settings, now=NOW)
    assert (said.accepted, said.quarantined) == ({"sales": 1}, {"return_without_purchase": 1})


def test_a_ten_megabyte_line_is_kept_whole_and_stops_nothing(spark, settings) -> None:
    long = b'{"junk": "' + b"\xffx" * (5 * LONGEST_LINE) + b'"}'
    good = events.purchase(DAY)
    events.send_lines(settings, "sales", [long, events.line(good), b"", b"\x00\r\x01"])
    assert ingest(spark, settings, now=NOW).quarantined == {"oversized_line": 1, "malformed_json": 2}
    ids, broken = landed(spark, settings)
    assert broken[("oversized_line", long)] == 1 and broken[("malformed_json", b"\x00\r\x01")] == 1
    assert ids[good["event_id"]] == 1


def test_lists_nested_as_deep_as_a_line_is_long_are_set_aside_and_stop_nothing(spark, settings) -> None:
    good = events.line(events.purchase(DAY))
    deep = LONGEST_LINE // 2 - 200
    lines = [b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"a": ' + b"[" * deep + b"]" * deep + b"}", b"[" * deep, b'{"a": ' * 5000 + b"1" + b"}" * 5000,
             good.replace(b'"b1"', b"[" * 5000 + b"]" * 5000)]  # fmt: skip
    events.send_lines(settings, "sales", [lines[0], good, *lines[1:]])
    said = ingest(spark, settings, now=NOW)
    assert (said.accepted, sum(said.quarantined.values())) == ({"sales": 1}, len(lines))
    assert {raw for _, raw in landed(spark, settings)[1]} == set(lines)


def garbage(seed: int, count: int) -> list[tuple[str, bytes]]:
    """Lines of every topic: good events, copies, and events with bytes dropped, flipped, cut or added."""
    rng, lines = random.Random(seed), []
    for i in range(count):
        body = rng.choice([
            events.purchase(DAY, event_id=f"g{seed}-{i}", basket=f"b{i % 7}"), events.returned(DAY, event_id=f"g{seed}-{i}", basket=f"b{i % 9}"),
            events.stock("receipt", DAY, 3, event_id=f"g{seed}-{i}"), events.price(DAY, 1, event_id=f"g{seed}-{i}"),
            events.visits("2024-05-01", [1] * 24, event_id=f"g{seed}-{i}"),
        ])  # fmt: skip
        line = bytearray(events.line(body))
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            at = rng.randrange(len(line))
            change = rng.choice(["drop", "flip", "cut", "add"])
            line[at : len(line) if change == "cut" else at + (change != "add")] = (
                b"" if change in ("drop", "cut") else bytes([rng.randrange(256)])
            )
            line = line or bytearray(b"x")
        lines.append((events.topic_of(body), bytes(line).replace(b"\n", b"?")))
        if rng.random() < 0.1:
            lines.append(rng.choice(lines))
    return lines


@pytest.mark.parametrize("seed", [1])
def test_what_goes_in_is_in_bronze_or_in_quarantine(spark, settings, seed) -> None:
    lines = garbage(seed, 400)
    total = 0
    for part in (lines[:250], lines[250:]):
        for topic in TOPICS:
            events.send_lines(settings, topic, [line for name, line in part if name == topic])
        total += ingest(spark, settings, now=NOW).events
    ids, broken = landed(spark, settings)
    assert total == len(lines) == sum(ids.values()) + sum(broken.values())
    assert sum(ids.values()) > 100 and len({rule for rule, _ in broken}) >= 5
    assert max(ids.values()) == 1  # the generator never uses an id in two topics
    everything = Counter(line for _, line in lines)
    assert all(everything[raw] >= count for (_, raw), count in broken.items())
    assert warehouse_counts(settings) == (sum(ids.values()), sum(broken.values()))


def _forget_last_commit(settings: Settings) -> None:
    """Leave the checkpoint as a kill leaves it between a batch's writes and its commit."""
    last = max((settings.checkpoints / "ingest" / "commits").glob("[0-9]*"), key=lambda path: int(path.name))
    last.unlink()
    (last.parent / f".{last.name}.crc").unlink(missing_ok=True)


def _forget(settings: Settings, table: Table) -> None:
    """Take the last commit of a table back."""
    folder = Path(Lake(settings.lake_url).path(table).removeprefix("file://"))
    commits = sorted((folder / "_delta_log").glob("*.json"))
    if len(commits) == 1:
        shutil.rmtree(folder)
        return
    commits[-1].unlink()
    (folder / "_delta_log" / f".{commits[-1].name}.crc").unlink(missing_ok=True)
    commits[-1].with_suffix(".crc").unlink(missing_ok=True)
    (folder / "_delta_log" / f".{commits[-1].stem}.crc.crc").unlink(missing_ok=True)


def test_a_batch_that_is_replayed_after_a_kill_changes_nothing(spark, settings) -> None:
    events.send(settings, [events.purchase(DAY, event_id="old")])
    ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id="new"), events.purchase(DAY, event_id="old"), events.returned(DAY, basket="zz"),
                           events.stock("count", DAY, 3)])  # fmt: skip
    ingest(spark, settings, now=NOW)
    before, counted = landed(spark, settings), warehouse_counts(settings)
    _forget_last_commit(settings)
    again = ingest(spark, settings, now=datetime(2030, 1, 1))
    assert again.batches == 1 and again.quarantined == {"duplicate_event": 1, "return_without_purchase": 1}
    assert landed(spark, settings) == before
    assert warehouse_counts(settings) == counted


@pytest.mark.parametrize("missing", [(EVENTS, INGESTED), (QUARANTINE, INGESTED)], ids=["quarantine came", "events came"])
def test_a_batch_that_was_killed_half_way_is_completed(spark, settings, missing) -> None:
    """The batch meets neither what it had landed itself nor what the batch before had not."""
    if missing[0] == QUARANTINE:
        events.send(settings, [events.purchase(DAY, event_id="old")])
        ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id=name) for name in ("old", "a", "a")])
    ingest(spark, settings, now=NOW)
    before, counted = landed(spark, settings), warehouse_counts(settings)
    _forget_last_commit(settings)
    _forget(settings, missing[0])
    _forget(settings, missing[1])
    ingest(spark, settings, now=NOW)
    assert landed(spark, settings) == before
    assert warehouse_counts(settings) == counted


def test_a_lake_that_lacks_what_was_landed_is_refused(spark, settings) -> None:
    """Its checkpoint would pass over all that came before."""
    events.send(settings, [events.purchase(DAY, event_id="a")])
    ingest(spark, settings, now=NOW)
    earlier = settings.home / "earlier"
    shutil.copytree(settings.home / "lake", earlier)
    events.send(settings, [events.purchase(DAY, event_id="b")])
    ingest(spark, settings, now=NOW)
    for lake, said in ((settings.home / "other", "has none of it"), (earlier, "ends at batch 0")):
        elsewhere = settings.model_copy(update={"lake_url": f"file://{lake}"})
        with pytest.raises(NotReady, match=said):
            ingest(spark, elsewhere, now=NOW)
    assert ingest(spark, settings, now=NOW).events == 0


def test_what_kafka_dropped_unread_is_named_with_the_folder_to_move_away(tmp_path) -> None:
    """In the words of Spark 4.2; tests/stack lets a real broker drop them."""
    said = (
        "KafkaIllegalStateException: Some data may have been lost because they are not available in Kafka any more;\n"
        "either the data was aged out by Kafka or the topic may have been deleted before all the data in the\ntopic was processed.\n"
        "Reason: Could not read records in offset [1, 3) for topic partition t.sales-0\nwith consumer group spark-kafka-source-1."
    )
    found = dropped_unread(RuntimeError(said), tmp_path)
    assert found is not None and "(Could not read records in offset [1, 3) for topic partition t.sales-0)" in str(found)
    assert f"Move the folder {tmp_path} away" in str(found) and found.exit_code == 3
    assert dropped_unread(RuntimeError("Connection refused"), tmp_path) is None


def test_days_that_python_does_not_know_are_set_aside_and_stop_nothing(spark, settings) -> None:
    Lake(settings.lake_url).overwrite(spark.createDataFrame([("s1", 5.75, 0, 24)], STORES.spark_schema()), STORES)
    moments = ["0000-06-01T10:00:00Z", "12024-05-01T10:00:00Z", "9999-12-31T23:00:00Z"]
    events.send(settings, [events.purchase(DAY, occurred_at=moment) for moment in moments])
    events.send(settings, [events.visits("0000-01-01", [1] * 24, at=DAY), events.purchase(DAY)])
    summary = ingest(spark, settings, now=NOW)
    assert (summary.events, summary.accepted) == (5, {"sales": 1}) and sum(summary.quarantined.values()) == 4


def test_hashes_that_meet_cost_a_closer_look_and_no_event(spark, settings, monkeypatch) -> None:
    monkeypatch.setattr(log_compare, "hashed", lambda rows: rows.withColumn("id_hash", F.lit(7)))
    monkeypatch.setattr(landing, "hashed", log_compare.hashed)
    events.send(settings, [events.purchase(DAY, event_id="a"), events.purchase(DAY, event_id="b")])
    ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id=name) for name in ("b", "c", "c")])
    assert ingest(spark, settings, now=NOW).quarantined == {"duplicate_event": 2}
    assert landed(spark, settings)[0] == Counter(a=1, b=1, c=1)


@pytest.mark.parametrize("by_name", [300, 0])
def test_a_twin_is_found_however_bronze_is_read(spark, settings, monkeypatch, by_name) -> None:
    """A straggler of another topic, or of another year, hides nothing."""
    monkeypatch.setattr(landing, "FILES_BY_NAME", by_name)
    events.send(settings, [events.purchase("2024-03-30T10:00", event_id="a"), events.stock("count", "2024-03-30T10:00", 1, event_id="a")])
    ingest(spark, settings, now=NOW)
    events.send(settings, [events.purchase(DAY, event_id="a"), events.purchase("1995-01-01T10:00", event_id="far")])
    events.send(settings, [events.price("1995-01-01T10:00", 2.0, event_id="a")])
    summary = ingest(spark, settings, now=NOW)
    assert (summary.accepted, summary.quarantined) == ({"sales": 1, "pos": 1}, {"duplicate_event": 1})


def test_a_return_finds_a_purchase_of_a_later_day(spark, settings) -> None:
    events.send(settings, [events.purchase("2024-05-02T00:30", basket="b9")])
    ingest(spark, settings, now=NOW)
    events.send(settings, [events.returned("2024-05-01T23:30", basket="b9"), events.returned("2024-05-01T23:30", basket="b8")])
    assert ingest(spark, settings, now=NOW).quarantined == {"return_without_purchase": 1}


def test_a_file_without_a_line_stops_nothing(spark, settings) -> None:
    for name in ("first", "second"):
        events.send_lines(settings, "sales", [], name)
        assert ingest(spark, settings, now=NOW).events == 0
    events.send(settings, [events.purchase(DAY, event_id="a")])
    assert ingest(spark, settings, now=NOW).events == 1


def test_a_second_ingest_is_refused_and_a_dead_ones_lock_is_not(spark, settings) -> None:
    settings.checkpoints.mkdir(parents=True)
    path = settings.checkpoints / "ingest.lock"
    path.write_text("99999999")  # what a dead process leaves
    assert ingest(spark, settings, now=NOW).events == 0
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotReady, match="another ingest"):
            ingest(spark, settings, now=NOW)
