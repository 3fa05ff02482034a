"""Maintenance: fewer files, the same rows, and no step takes what was rewritten for new."""

from __future__ import annotations

import threading

import pytest
from pyspark import inheritable_thread_target

from data_ingest.facts import facts, news
from data_ingest.facts.news import mark_path, read_news
from data_ingest.tables import DIMENSIONS, EVENTS, FACTS
from infra.alone import alone
from infra.errors import BadInput, NotReady
from infra.lake import Lake
from infra.maintain import maintain
from infra.mark import Mark
from infra.upkeep_verbs import works
from tests.data_ingest import events


def test_small_files_become_one_and_are_no_news(spark, settings) -> None:
    lake, table = Lake(settings.lake_url), EVENTS
    for batch in range(4):
        events.to_bronze(spark, settings, [events.purchase(f"2024-05-0{batch + 1}T10:00", units=batch)], batch)
    events.to_bronze(spark, settings, [events.purchase("2024-05-03T11:00")], 4)
    facts(spark, settings)
    rows = lake.read(spark, table).orderBy("event_id").collect()
    done = {each.table: each for each in maintain(spark, settings, [EVENTS, *FACTS], works)}
    assert (done[table.name].files_before, done[table.name].files_after) == (5, 1)
    assert lake.read(spark, table).orderBy("event_id").collect() == rows
    assert Mark.load(mark_path(settings)).version(lake, table) == lake.version(table)
    assert not read_news(spark, settings).added


def test_what_a_step_had_not_seen_stays_news(spark, settings) -> None:
    for batch in range(2):
        events.to_bronze(spark, settings, [events.purchase("2024-05-01T10:00")], batch)
    facts(spark, settings)
    events.to_bronze(spark, settings, [events.purchase("2024-05-02T10:00")], 2)
    maintain(spark, settings, [EVENTS], works)
    assert "sales" in read_news(spark, settings).added
    assert facts(spark, settings).days["sales_daily"] >= 1


@pytest.mark.parametrize("by_name", [300, 0])
def test_news_are_the_rows_of_new_files_however_many(spark, settings, monkeypatch, by_name) -> None:
    monkeypatch.setattr(news, "FILES_BY_NAME", by_name)
    events.to_bronze(spark, settings, [events.purchase("2024-05-01T10:00"), events.purchase("2024-06-05T10:00")], 0)
    facts(spark, settings)
    new = [events.purchase("2024-05-03T10:00", event_id="n1"), events.price("2024-06-05T10:00", 2.0, event_id="n2")]
    events.to_bronze(spark, settings, new, 1)
    added = read_news(spark, settings).added
    assert {topic: [row.event_id for row in rows.collect()] for topic, rows in added.items()} == {"sales": ["n1"], "pos": ["n2"]}


def test_upkeep_takes_its_turn_between_two_batches_and_lets_nobody_in(spark, settings) -> None:
    """Compaction rewrites the files that a landing batch compares its events with, and those that the facts know."""
    events.to_bronze(spark, settings, [events.purchase("2024-05-01T10:00")], 0)
    events.to_bronze(spark, settings, [events.purchase("2024-05-02T10:00")], 1)
    lake, landing, done = Lake(settings.lake_url), threading.Event(), threading.Event()

    def batch() -> None:
        with alone(settings, "landing"):
            landing.set()
            done.wait(60)

    writer = threading.Thread(target=batch)
    writer.start()
    landing.wait(60)
    upkeep = threading.Thread(target=inheritable_thread_target(spark)(lambda: maintain(spark, settings, [EVENTS], works)))
    upkeep.start()
    upkeep.join(3)
    assert upkeep.is_alive() and len(lake.files(EVENTS)) == 2, "upkeep did not wait for the batch"
    for work in ("facts", "landing"):
        with pytest.raises(NotReady, match=f"another {work}"), alone(settings, work):
            pass
    done.set()
    upkeep.join(120)
    writer.join()
    assert len(lake.files(EVENTS)) == 1
    with alone(settings, "facts"), alone(settings, "landing"):
        pass


def test_files_that_may_still_be_read_are_not_removed(spark, settings) -> None:
    with pytest.raises(BadInput, match="--keep-hours is 1: expected at least 168"):
        maintain(spark, settings, [], works, keep_hours=1)


def test_upkeep_waits_for_those_who_write_a_table() -> None:
    assert {works(table) for table in DIMENSIONS} == {("dimensions",)} and {works(table) for table in FACTS} == {("facts",)}
    assert works(EVENTS) == ("facts", "landing")
