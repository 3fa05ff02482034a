"""The point-in-time join: what a row of the spine gets was known at its time, and every row comes back once."""

from __future__ import annotations

import time
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from data_ingest.tables import BASKETS, DELIVERIES, LEAD_TIMES, PRICE_DAILY, PROMOTIONS, SALES_DAILY, STOCK_DAILY
from feature_repo.build import build_features
from feature_repo.definitions import DEMAND, SERVICES, service_features, service_key
from feature_repo.history import history
from feature_repo.store import apply
from feature_repo.tables import DEMAND_DAILY
from infra.errors import BadInput, NotReady
from infra.lake import Lake
from infra.settings import Settings, load_settings
from infra.tables import Table
from tests.feature_repo.facts import PAIRS, day, silver_rows, write_silver

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: the last day that the leak test may know
TODAY = 25


def spine(spark: SparkSession, service: str, days: list[date], hours: int = 0) -> DataFrame:
    """Every entity of the service at the moment each of `days` has closed, and `hours` later."""
    members = [("anna",), ("ben",)] if service == "recommend_v1" else PAIRS
    rows = [(*member, each, at) for member in members for at, each in enumerate(days)]
    columns = ", ".join(f"{name} string" for name in service_key(service).columns)
    frame = spark.createDataFrame(rows, f"{columns}, ds date, row int")
    return frame.selectExpr("* except (ds)", f"cast(ds + 1 as timestamp) + make_interval(0, 0, 0, 0, {hours}) as known_at")


def collected(frame: DataFrame, service: str) -> pd.DataFrame:
    """The answer in the order of its keys and times."""
    return frame.toPandas().sort_values([*service_key(service).columns, "known_at", "row"]).reset_index(drop=True)


def garbled(facts: dict[Table, pd.DataFrame]) -> dict[Table, pd.DataFrame]:
    """The facts with everything that was not known at the end of day TODAY replaced by other values."""
    rng = np.random.default_rng(99)
    today = day(TODAY)
    changed = {table: rows.copy() for table, rows in facts.items()}
    for table, names in {
        SALES_DAILY: ["units", "revenue"],
        STOCK_DAILY: ["on_hand_close", "in_stock"],
        PRICE_DAILY: ["price", "regular_price"],
    }.items():
        later = changed[table]["ds"] > today
        for name in names:
            changed[table].loc[later, name] = rng.uniform(0.01, 0.99, later.sum()) * (1 if name == "in_stock" else 999)
    changed[BASKETS].loc[changed[BASKETS]["ds"] > today, ["revenue", "customer_id"]] = [777.0, "anna"]
    lines = changed[LEAD_TIMES][changed[LEAD_TIMES]["ordered_on"] <= today].reset_index(drop=True)
    unknown = lines["received_on"] > today
    lines.loc[unknown, "received_on"] = [day(TODAY + 1 + int(more)) for more in rng.integers(0, 12, unknown.sum())]
    lines.loc[unknown, ["lead_time_days", "received_units"]] = 500.0
    came = changed[DELIVERIES][changed[DELIVERIES]["ds"] <= today]
    changed[DELIVERIES] = pd.concat([came, lines[unknown].rename(columns={"received_on": "ds"}).assign(units=2.0)[came.columns]])
    promotion = {
        "store_id": "12",
        "product_id": "5",
        "promotion_id": "q",
        "promotion_kind": "discount",
        "starts_on": day(TODAY + 1),
        "ends_on": day(39),
    }
    return {**changed, LEAD_TIMES: lines, PROMOTIONS: pd.concat([changed[PROMOTIONS], pd.DataFrame([promotion])])}


@pytest.fixture(scope="module")
def other_future(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home like `built` whose facts agree with it up to TODAY and nowhere after."""
    settings = load_settings(home=tmp_path_factory.mktemp("other"))
    write_silver(spark, settings, garbled(silver_rows(40)))
    build_features(spark, settings)
    return settings


# stock_v1 holds all of demand_v1
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"demand_v1"}))
def test_nothing_after_the_spine_time_leaks(spark: SparkSession, built: Settings, other_future: Settings, service: str) -> None:
    asked = spine(spark, service, [day(TODAY - 9), day(TODAY)], hours=3)
    here, there = (collected(history(spark, home, asked, service), service) for home in (built, other_future))
    # customers are asked on a Sunday and in the middle of a week, when last Sunday's snapshot is what was known
    pd.testing.assert_frame_equal(here, there)
    assert here[service_features(service)].notna().any().sum() > len(service_features(service)) / 2


def test_the_other_future_is_another_one(spark: SparkSession, built: Settings, other_future: Settings) -> None:
    asked = spine(spark, "demand_v1", [day(TODAY + 1)])
    here, there = (collected(history(spark, home, asked, "demand_v1"), "demand_v1") for home in (built, other_future))
    assert not here.equals(there)


def test_feast_leaves_the_session_as_it_was(spark: SparkSession, built: Settings) -> None:
    apply(built)
    history(spark, built, spine(spark, "demand_v1", [day(20)]), "demand_v1")
    assert spark.conf.get("spark.sql.parser.quotedRegexColumnNames", "false") == "false"


def test_a_spine_from_the_lake_is_joined_and_its_cache_is_left_alone(spark: SparkSession, built: Settings) -> None:
    panel = Lake(built.lake_url).read(spark, DEMAND_DAILY)
    asked = panel.where(panel["ds"] == day(20)).selectExpr("store_id", "product_id", "cast(ds + 1 as timestamp) as known_at").persist()
    found = history(spark, built, asked, "demand_v1")
    assert found.where("level is not null").count() == len(PAIRS)
    assert asked.is_cached and asked.storageLevel.useMemory
    asked.unpersist()


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_rows_of_the_very_moment_are_what_feast_gives_an_hour_later(spark: SparkSession, built: Settings, service: str) -> None:
    days = [day(13), day(20), day(34)]  # Sundays: customers have snapshots of no other days
    now, later = (collected(history(spark, built, spine(spark, service, days, hours), service), service) for hours in (0, 1))
    pd.testing.assert_frame_equal(now[service_features(service)], later[service_features(service)])
    assert now[service_features(service)].notna().any().any()


def test_equal_rows_of_the_spine_all_come_back(spark: SparkSession, built: Settings) -> None:
    once = spine(spark, "slow_mover_v1", [day(20), day(30)])
    found = history(spark, built, once.unionByName(once).unionByName(once), "slow_mover_v1")
    assert found.count() == 3 * once.count()
    assert found.distinct().count() == once.count()


def test_unknown_keys_and_null_keys_come_back_with_nulls(spark: SparkSession, built: Settings) -> None:
    rows = [
        ("1", "23", datetime(2017, 1, 30)),
        ("nowhere", "23", datetime(2017, 1, 30)),
        (None, "23", datetime(2017, 1, 30)),
        ("1", "23", None),
    ]
    found = history(
        spark, built, spark.createDataFrame(rows, "store_id string, product_id string, known_at timestamp"), "demand_v1"
    ).toPandas()
    assert len(found) == 4
    assert found["level"].notna().sum() == 1


def test_an_empty_spine_gives_an_empty_answer_of_the_right_columns(spark: SparkSession, built: Settings) -> None:
    found = history(spark, built, spine(spark, "stock_v1", [day(1)]).limit(0), "stock_v1")
    assert found.count() == 0
    assert set(service_features("stock_v1")) < set(found.columns)


@pytest.mark.parametrize(("zone", "hours"), [("America/New_York", 0), ("America/New_York", 3), ("Asia/Tokyo", 0), ("Asia/Tokyo", 3)])
def test_the_join_is_the_row_of_the_day_in_any_time_zone_of_the_machine(
    spark: SparkSession, built: Settings, monkeypatch: pytest.MonkeyPatch, zone: str, hours: int
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = collected(history(spark, built, spine(spark, "demand_v1", [day(10), day(39)], hours), "demand_v1"), "demand_v1")
    finally:
        monkeypatch.undo()
        time.tzset()
    gold = Lake(built.lake_url).read_pandas(DEMAND.table)
    gold = gold[gold["ds"].isin([day(10), day(39)])].sort_values(["store_id", "product_id", "ds"])
    names = service_features("demand_v1")
    np.testing.assert_array_equal(found[names].to_numpy(dtype=float), gold[names].to_numpy(dtype=float))


def test_values_older_than_the_views_age_are_not_joined(spark: SparkSession, built: Settings) -> None:
    last = 39
    found = collected(history(spark, built, spine(spark, "demand_v1", [day(last + 3), day(last + 4)]), "demand_v1"), "demand_v1")
    assert found["level"].notna().tolist() == [True, False] * len(PAIRS)


def test_a_spine_that_cannot_be_joined_is_refused_by_name(spark: SparkSession, built: Settings, settings: Settings) -> None:
    asked = spine(spark, "demand_v1", [day(3)])
    with pytest.raises(BadInput, match="column 'known_at' is missing"):
        history(spark, built, asked.drop("known_at"), "demand_v1")
    with pytest.raises(BadInput, match="'level' is the name of a feature"):
        history(spark, built, asked.withColumn("level", asked["row"]), "demand_v1")
    with pytest.raises(BadInput, match="expected one of demand_v1"):
        history(spark, built, asked, "demand")
    with pytest.raises(NotReady, match="run `shelfcast features`"):
        history(spark, settings, asked, "demand_v1")
