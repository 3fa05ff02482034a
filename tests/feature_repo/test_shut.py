"""Stores that have shut: closed on every day that was heard of, for long enough."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_ingest.tables import STORE_DAYS
from feature_repo.shut import LEAST_HEARD_DAYS, OFF_SHELF_DAYS, SHUT_DAYS, off_shelf, shut_stores, sold
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TODAY = date(2024, 6, 30)


def days_of(store_id: str, *stretches: tuple[str, int]) -> pd.DataFrame:
    """The store's days up to TODAY, the last stretch (status, days) the newest."""
    status = [each for each, count in stretches for _ in range(count)]
    return pd.DataFrame({"store_id": store_id, "ds": [TODAY - timedelta(days=at) for at in range(len(status))][::-1], "status": status})


def test_the_rule_holds_on_every_day_of_any_calendar(spark: SparkSession, settings: Settings) -> None:
    rng, kinds = np.random.default_rng(5), ["open", "closed", "feed_missing"]
    rows = pd.concat(
        [days_of(f"s{at}", *((str(rng.choice(kinds, p=[0.1, 0.6, 0.3])), int(rng.integers(1, 25))) for _ in range(8))) for at in range(12)]
    )
    rows = rows[rng.random(len(rows)) < 0.9]
    lake = Lake(settings.lake_url)
    lake.overwrite(spark.createDataFrame(rows, STORE_DAYS.spark_schema()), STORE_DAYS)
    days = [TODAY - timedelta(days=at) for at in range(70)]
    expected = set()
    for day in days:
        for store, own in rows[(rows["ds"] <= day) & (rows["ds"] > day - timedelta(days=SHUT_DAYS))].groupby("store_id"):
            heard = own.loc[own["status"] != "feed_missing", "status"]
            if len(heard) >= LEAST_HEARD_DAYS and (heard == "closed").all():
                expected.add((store, day))
    assert 0 < len(expected) < 12 * 70
    assert {(row.store_id, row.ds) for row in shut_stores(lake, days).itertuples()} == expected


def test_a_store_has_shut_when_all_that_was_heard_of_four_weeks_is_that_it_was_closed(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)
    rows = pd.concat([
        days_of("open", ("open", 40)),
        days_of("shut", ("open", 10), ("closed", SHUT_DAYS)),
        days_of("nearly", ("open", 10), ("closed", SHUT_DAYS - 1)),
        days_of("heard of once", ("open", 10), ("feed_missing", SHUT_DAYS - 1), ("closed", 1)),
        days_of("heard of enough", ("open", 10), ("feed_missing", SHUT_DAYS - LEAST_HEARD_DAYS), ("closed", LEAST_HEARD_DAYS)),
        days_of("new, on a Sunday", ("closed", 1)),
        days_of("unheard", ("open", 10), ("feed_missing", 30)),
        days_of("open again", ("closed", 39), ("open", 1)),
    ])  # fmt: skip
    lake.overwrite(spark.createDataFrame(rows, STORE_DAYS.spark_schema()), STORE_DAYS)
    before = TODAY - timedelta(days=1)
    found = shut_stores(lake, [TODAY, before])
    assert {(row.store_id, row.ds) for row in found.itertuples()} == {
        ("shut", TODAY), ("heard of enough", TODAY), ("open again", before),
    }  # fmt: skip


def test_a_pair_has_left_the_shelf_when_it_was_on_offer_for_no_hour_of_a_quarter() -> None:
    rows = [(None, 400.0, True), (None, float(OFF_SHELF_DAYS), True), (None, 90.0, False), (0.0, 400.0, False), (None, None, False)]
    frame = pd.DataFrame(rows, columns=["mean_91", "age_days", "gone"], dtype=object).astype({"mean_91": float, "age_days": float})
    assert off_shelf(frame).tolist() == frame["gone"].tolist()
    assert sold(frame.assign(store_shut=0.0)).tolist() == [not gone for gone in frame["gone"]]
    assert not sold(frame.assign(store_shut=1.0)).any()
