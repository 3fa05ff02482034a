"""The features of customers against numbers worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import BASKETS, PURCHASE_HISTORY
from feature_repo.customer_features import customer_features_frame, purchases
from infra.lake import Lake
from infra.settings import Settings
from tests.feature_repo.facts import day, frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def bought(customer: str, basket: str, product: str, at: int, revenue: float = 2.0) -> dict:
    """A basket line on day `at`."""
    return {
        "customer_id": customer,
        "basket_id": basket,
        "store_id": "1",
        "product_id": product,
        "ds": day(at),
        "units": 1.0,
        "revenue": revenue,
    }


def test_snapshots_end_on_sundays_and_on_the_last_known_day(spark: SparkSession) -> None:
    # day 0 is a Monday; day 6 is the first Sunday
    lines = [
        bought("anna", "b1", "x", 2),
        bought("anna", "b1", "y", 2),
        bought("anna", "b2", "x", 9),
        bought("anna", "b3", "z", 70),
        bought("anna", "b4", "q", 90),
    ]
    found = customer_features_frame(frame_of(spark, PURCHASE_HISTORY, lines), day(73)).toPandas().sort_values("ds").reset_index(drop=True)
    assert found["ds"].tolist() == [day(at) for at in (*range(6, 73, 7), 73)]
    assert (found["known_at"] == pd.to_datetime(found["ds"]) + pd.Timedelta(days=1)).all()
    assert found.loc[[0, 1, 8, 9, 10], "baskets_8w"].tolist() == [1, 2, 1, 0, 1]
    assert found.loc[[0, 1, 8, 9, 10], "spend_26w"].tolist() == [4, 6, 6, 6, 8]
    assert found["distinct_products"].tolist() == [2] * 10 + [3]
    assert found.loc[[0, 1, 10], "recency_days"].tolist() == [4, 4, 3]
    assert found.loc[[0, 10], "tenure_days"].tolist() == [4, 71]


def test_a_line_known_from_both_sources_counts_once(spark: SparkSession, settings: Settings) -> None:
    lake = Lake(settings.lake_url)
    assert purchases(spark, lake).count() == 0
    lake.overwrite(frame_of(spark, PURCHASE_HISTORY, [bought("anna", "b1", "x", 0), bought("anna", "b1", "y", 0)]), PURCHASE_HISTORY)
    nobody = {**bought("", "b3", "x", 1), "customer_id": None}
    lake.overwrite(frame_of(spark, BASKETS, [bought("anna", "b1", "x", 0), bought("ben", "b2", "x", 1), nobody]), BASKETS)
    found = sorted((row["customer_id"], row["basket_id"], row["product_id"]) for row in purchases(spark, lake).collect())
    assert found == [("anna", "b1", "x"), ("anna", "b1", "y"), ("ben", "b2", "x")]
