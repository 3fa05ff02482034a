"""Stores that have shut: closed on every day that was heard of, for long enough."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import STORE_DAYS
from feature_repo.shut import SHUT_DAYS, shut_stores
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TODAY = date(2024, 6, 30)


def days_of(store_id: str, *stretches: tuple[str, int]) -> pd.DataFrame:
    """The store's days up to TODAY, the last stretch (status, days) the newest."""
    status = [each for each, count in stretches for _ in range(count)]
    return pd.DataFrame({"store_id": store_id, "ds": [TODAY - timedelta(days=at) for at in range(len(status))][::-1], "status": status})


def test_a_store_has_shut_when_all_that_was_heard_of_four_weeks_is_that_it_was_closed(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)
    rows = pd.concat([
        days_of("open", ("open", 40)),
        days_of("shut", ("open", 10), ("closed", SHUT_DAYS)),
        days_of("nearly", ("open", 10), ("closed", SHUT_DAYS - 1)),
        days_of("heard of once", ("open", 10), ("feed_missing", SHUT_DAYS - 1), ("closed", 1)),
        days_of("unheard", ("open", 10), ("feed_missing", 30)),
        days_of("open again", ("closed", 39), ("open", 1)),
    ])  # fmt: skip
    lake.overwrite(spark.createDataFrame(rows, STORE_DAYS.spark_schema()), STORE_DAYS)
    before = TODAY - timedelta(days=1)
    found = shut_stores(lake, [TODAY, before])
    assert {(row.store_id, row.ds) for row in found.itertuples()} == {
        ("shut", TODAY), ("heard of once", TODAY), ("open again", before),
    }  # fmt: skip
