"""What is known to have been bought: the history and the baskets of events, each line once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from data_ingest.tables import BASKETS, PURCHASE_HISTORY
from feature_repo.purchases import purchases
from infra.lake import Lake
from infra.settings import Settings
from tests.feature_repo.facts import bought, frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_line_known_from_both_sources_counts_once(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)

    def found() -> list[tuple]:
        rows = purchases(spark, lake).select("customer_id", "basket_id", "product_id", "units").collect()
        return sorted(map(tuple, rows), key=str)

    assert found() == []
    remembered = [bought("anna", "b1", "x", 0), bought("anna", "b1", "y", 0)]
    lake.overwrite(frame_of(spark, BASKETS, [remembered[0], bought("ben", "b2", "x", 1), bought(None, "b3", "x", 1)]), BASKETS)
    events = [("anna", "b1", "x", 1.0), ("ben", "b2", "x", 1.0), (None, "b3", "x", 1.0)]
    assert found() == sorted(events, key=str)
    lake.overwrite(frame_of(spark, PURCHASE_HISTORY, remembered), PURCHASE_HISTORY)
    assert found() == sorted([*events, ("anna", "b1", "y", 1.0)], key=str)


def test_a_receipt_number_that_a_till_uses_again_is_another_basket(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)
    lake.overwrite(frame_of(spark, PURCHASE_HISTORY, [bought("anna", "0001", "x", 0)]), PURCHASE_HISTORY)
    elsewhere = {**bought("cleo", "0001", "x", 0), "store_id": "2"}
    lake.overwrite(frame_of(spark, BASKETS, [bought("anna", "0001", "x", 0), bought("ben", "0001", "x", 1), elsewhere]), BASKETS)
    assert sorted(row["customer_id"] for row in purchases(spark, lake).collect()) == ["anna", "ben", "cleo"]


def test_a_remembered_purchase_of_a_day_to_come_is_none(spark: SparkSession, settings: Settings) -> None:
    lines = [bought("anna", "b1", "x", 0), {**bought("ben", "b2", "x", 0), "ds": date.today() + timedelta(days=9)}]
    lake = Lake(settings.lake_url)
    lake.overwrite(frame_of(spark, PURCHASE_HISTORY, lines), PURCHASE_HISTORY)
    assert [row["customer_id"] for row in purchases(spark, lake).collect()] == ["anna"]
