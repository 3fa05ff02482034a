"""Whether the newest data can be decided on, by what the warehouse counts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from data_ingest.tables import INGESTED, SALES_DAILY, STOCK_DAILY, STORE_DAYS, STORES
from infra.errors import NotReady
from infra.settings import Settings
from infra.tables import Table
from infra.warehouse import Warehouse
from monitoring.quality import Bounds, quality
from tests.infra.filled import fill


def put(settings: Settings, table: Table, *given: tuple[Any, ...]) -> None:
    fill(Warehouse(settings.warehouse_url), table, pd.DataFrame(given, columns=table.names).astype(object))


def landed(settings: Settings, *counts: tuple[str, str | None, int, int]) -> None:
    """Lines by topic and rule (none: accepted), and the day of May 2024 on which they landed."""
    put(settings, INGESTED, *[("q", n, topic, None, rule, date(2024, 5, 1), count, datetime(2024, 5, day))
                              for n, (topic, rule, count, day) in enumerate(counts)])  # fmt: skip


def test_before_the_first_ingest_it_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(NotReady, match="shelfcast ingest"):
        quality(settings)


def test_good_lines_of_all_stores_pass_and_a_line_sent_twice_is_no_bad_one(settings: Settings) -> None:
    landed(
        settings,
        ("sales", None, 95, 9),
        ("sales", "malformed_json", 5, 9),
        ("sales", "duplicate_event", 900, 9),
        ("stock", "wrong_type", 50, 7),
    )
    put(
        settings, STORE_DAYS, ("s1", date(2024, 5, 8), "feed_missing"), ("s1", date(2024, 5, 9), "open"), ("s2", date(2024, 5, 9), "closed")
    )
    assert [(each.name, each.ok) for each in quality(settings)] == [
        ("accepted sales", True),
        ("stores heard", True),
        ("stock possible", True),
    ]


def test_each_check_fails_by_itself_and_says_what_it_found(settings: Settings) -> None:
    landed(settings, ("sales", None, 94, 9), ("sales", "malformed_json", 6, 9), ("stock", None, 10, 9))
    put(settings, STORE_DAYS, ("s1", date(2024, 5, 9), "feed_missing"), ("s2", date(2024, 5, 9), "open"))
    days = [date(2024, 5, day) for day in range(1, 11)]
    # below zero on the newest of 7 days and on one that is older; sold without stock on another
    put(
        settings,
        STOCK_DAILY,
        *[("s2", "p1", day, 1.0, -1.0 if day.day in (2, 10) else 1.0, 0.0, 0.0, 0.0, 0.0 if day.day == 5 else 1.0) for day in days],
    )
    put(settings, SALES_DAILY, ("s2", "p1", days[4], 2.0, 0.0, 4.0, 0.0, 0.0, 1, 1))
    checks = {each.name: each for each in quality(settings)}
    assert {name: each.ok for name, each in checks.items()} == {
        "accepted sales": False, "accepted stock": True, "stores heard": False, "stock possible": False,
    }  # fmt: skip
    assert "94 of 100 lines" in checks["accepted sales"].found and "2024-05-09: s1" in checks["stores heard"].found
    assert "on 2 of 7 days of pairs up to 2024-05-10" in checks["stock possible"].found
    assert all(each.ok for each in quality(settings, Bounds(accepted=0.9, silent_stores=1, impossible_stock=0.3)))


def test_a_day_that_still_runs_tells_nothing_of_who_is_silent(settings: Settings) -> None:
    landed(settings, ("sales", None, 10, 9))
    put(settings, STORES, *[(store, -5.0, 8, 22) for store in ("s1", "s2")])
    words = {8: ("feed_missing", "open"), 9: ("open", "feed_missing")}
    put(settings, STORE_DAYS, *[(f"s{at + 1}", date(2024, 5, day), word) for day, both in words.items() for at, word in enumerate(both)])
    for hour, said in ((2, "2024-05-08: s1"), (3, "2024-05-09: s2")):
        heard = {each.name: each for each in quality(settings, now=datetime(2024, 5, 10, hour, tzinfo=UTC))}["stores heard"]
        assert said in heard.found
