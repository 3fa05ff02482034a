"""The features of customers against numbers worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import PURCHASE_HISTORY
from feature_repo.customer_features import customer_features_frame
from tests.feature_repo.facts import bought, day, frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_snapshots_end_on_sundays_and_on_the_last_known_day(spark: SparkSession) -> None:
    # day 0 is a Monday; day 6 is the first Sunday
    lines = [
        bought("anna", "b1", "x", 2),
        bought("anna", "b1", "y", 2),
        bought("anna", "b2", "x", 9),
        bought("anna", "b3", "z", 70),
        bought("anna", "b4", "q", 90),
        bought(None, "b5", "q", 1),
    ]
    found = customer_features_frame(frame_of(spark, PURCHASE_HISTORY, lines), day(73)).toPandas().sort_values("ds").reset_index(drop=True)
    assert found["ds"].tolist() == [day(at) for at in (*range(6, 73, 7), 73)]
    assert (found["known_at"] == pd.to_datetime(found["ds"]) + pd.Timedelta(days=1)).all()
    assert found.loc[[0, 1, 8, 9, 10], "baskets_8w"].tolist() == [1, 2, 1, 0, 1]
    assert found.loc[[0, 1, 8, 9, 10], "spend_26w"].tolist() == [4, 6, 6, 6, 8]
    assert found["distinct_products"].tolist() == [2] * 10 + [3]
    assert found.loc[[0, 1, 10], "recency_days"].tolist() == [4, 4, 3]
    assert found.loc[[0, 10], "tenure_days"].tolist() == [4, 71]
