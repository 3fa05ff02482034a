"""The story of the features: day by day gives what all at once gives, and twice gives what once gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from data_ingest.tables import PRODUCTS, PROMOTIONS, SALES_DAILY, STORE_DAYS
from feature_repo.build import _demand, build_features
from feature_repo.changes import SOURCES, first_changed_day
from feature_repo.tables import DEMAND_DAILY, GOLD, PAIR_ACTIVITY
from infra.errors import NotReady
from infra.lake import Lake
from infra.mark import Mark
from infra.settings import Settings
from infra.tables import Table
from tests.feature_repo.facts import PAIRS, day, frame_of, silver_rows, write_silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def gold_rows(settings: Settings, table: Table) -> pd.DataFrame:
    """A gold table in the order of its key."""
    return Lake(settings.lake_url).read_pandas(table).sort_values(list(table.key)).reset_index(drop=True)


def assert_same_gold(settings: Settings, other: Settings) -> None:
    """Both homes hold the same gold tables."""
    for table in GOLD:
        pd.testing.assert_frame_equal(gold_rows(settings, table), gold_rows(other, table), obj=table.name)


def test_a_pair_s_features_say_by_the_rule_for_shut_stores_whether_its_store_has(
    spark: SparkSession, built: Settings, tmp_path: Path
) -> None:
    here, moved = Lake(built.lake_url), Lake(f"file://{tmp_path}/lake")
    for table in (DEMAND_DAILY, PRODUCTS):
        moved.overwrite(here.read(spark, table), table)
    days = silver_rows(40)[STORE_DAYS]
    closed = (days["store_id"] == "9") & (days["ds"] > day(9)) & (days["ds"] != day(39))
    moved.overwrite(frame_of(spark, STORE_DAYS, days.assign(status=closed.map({True: "closed", False: "open"}))), STORE_DAYS)
    for since in (None, day(36)):
        found = _demand(spark, moved, day(39), since).select("store_id", "ds", "store_shut").distinct().toPandas()
        assert {(row.store_id, row.ds) for row in found.itertuples() if row.store_shut == 1.0} == {
            ("9", each) for each in (day(37), day(38))
        }
        assert set(found["store_shut"]) == {0.0, 1.0}


def test_later_days_late_events_and_a_stopped_build_end_where_one_build_ends(
    spark: SparkSession, settings: Settings, built: Settings
) -> None:
    facts = silver_rows(40)
    early = {table: rows[rows["ds"] <= day(34)] if "ds" in rows else rows for table, rows in facts.items()}
    early[SALES_DAILY] = early[SALES_DAILY][early[SALES_DAILY]["ds"] != day(33)]
    write_silver(spark, settings, early)
    assert build_features(spark, settings).since is None
    # a late day, and days 35 to 39 whose build was stopped half way
    write_silver(spark, settings, facts)
    with pytest.raises(KeyboardInterrupt):
        build_features(spark, settings, progress=_interrupt)
    told: list[tuple[int, int, str]] = []
    summary = build_features(spark, settings, progress=lambda *step: told.append(step))
    assert (summary.since, summary.until) == (day(33), day(39))
    assert summary.online_rows["demand_features"] == len(PAIRS)
    assert {label for _, _, label in told} == {*(f"features: {name}" for name in summary.seconds), "features: done"}
    assert sorted(done for done, _, _ in told) == list(range(8))
    assert_same_gold(settings, built)
    # nothing changed: nothing is made again
    versions = [Lake(settings.lake_url).version(table) for table in GOLD]
    again = build_features(spark, settings)
    assert (again.since, again.seconds) == (day(40), {})
    assert [Lake(settings.lake_url).version(table) for table in GOLD] == versions
    # a table of an earlier release, which lacks a column
    path = Lake(settings.lake_url).path(PAIR_ACTIVITY)
    older = spark.read.format("delta").load(path).drop("days_since_sale").localCheckpoint()
    older.write.format("delta").mode("overwrite").option("overwriteSchema", "true").partitionBy("month").save(path)
    assert build_features(spark, settings).since is None
    assert_same_gold(settings, built)


def test_what_was_vacuumed_since_may_have_been_anything(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)
    facts = silver_rows(3)
    write_silver(spark, settings, facts)
    mark = Mark.of(lake, SOURCES)
    # a day that was known and had not ended when the features were built
    assert first_changed_day(spark, lake, Mark.of(lake, SOURCES, day(1))) == day(2)
    old = lake.files(SALES_DAILY)
    write_silver(spark, settings, {SALES_DAILY: facts[SALES_DAILY][facts[SALES_DAILY]["ds"] != day(1)]})
    assert first_changed_day(spark, lake, mark) == day(1)
    Path(next(iter(old)).removeprefix("file://")).unlink()
    assert first_changed_day(spark, lake, mark) is None


def _interrupt(done: int, total: int, label: str) -> None:
    if label == "features: stock_features":
        raise KeyboardInterrupt


def test_without_facts_it_says_which_step_is_missing(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(NotReady, match="run `shelfcast ingest` first"):
        build_features(spark, settings)


def test_a_key_is_unique_in_every_gold_table(built: Settings) -> None:
    for table in GOLD:
        rows = gold_rows(built, table)
        assert len(rows), table.name
        assert not rows.duplicated(list(table.key)).any(), table.name


def test_promotions_reach_the_panel(built: Settings) -> None:
    panel = gold_rows(built, GOLD[0])
    promoted = panel[panel["promotion"] == 1]
    assert set(zip(promoted["store_id"], promoted["product_id"], promoted["ds"], strict=True)) == {
        ("1", "23", day(at)) for at in range(3, 7)
    }
    assert len(silver_rows(40)[PROMOTIONS]) == 1
