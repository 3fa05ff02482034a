"""What a planner reads at the end: the newest decisions, by money, and nothing where a family has not decided."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from data_ingest.tables import PRODUCTS, STORE_DAYS
from feature_repo.shut import SHUT_DAYS
from infra.lake import Lake
from infra.settings import Settings
from monitoring.summary import summary
from tests.serving.tiny import Steps, register
from training.tables import ORDERS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def orders(day: date, units: list[float], risk: list[float]) -> pd.DataFrame:
    rank = pd.Series(risk).rank(ascending=False).astype(int)
    rows = pd.DataFrame({"order_units": units, "money_at_risk": risk, "rank": rank, "product_id": [f"P{at}" for at in range(len(units))]})
    return rows.assign(as_of=day, store_id="S1", why="sums", supplier_id="V1", model_version="1").reindex(columns=ORDERS.names)


def test_the_newest_orders_come_by_money_and_what_nobody_decided_is_left_out(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    lake = Lake(settings.lake_url)
    products = pd.DataFrame({"product_id": ["P1"], "description": ["MILK"]}).reindex(columns=PRODUCTS.names)
    lake.overwrite(spark.createDataFrame(products, PRODUCTS.spark_schema()), PRODUCTS)
    old, new = orders(date(2024, 3, 1), [9.0], [99.0]), orders(date(2024, 3, 2), [1.0, 2.0, 0.0], [3.0, 8.0, 5.0])
    numbers = [name for name in ORDERS.names if ORDERS.spark_schema()[name].dataType.typeName() == "double"]
    rows = pd.concat([old, new]).astype(dict.fromkeys(numbers, float))
    lake.overwrite(spark.createDataFrame(rows, ORDERS.spark_schema()), ORDERS)
    register(settings, "slow_mover", Steps(), tmp_path / "model")  # a version, and no champion yet
    closed = [("S2", date(2024, 3, 2) - timedelta(days=at), "closed") for at in range(SHUT_DAYS)]
    lake.overwrite(spark.createDataFrame([("S1", date(2024, 3, 2), "open"), *closed], STORE_DAYS.spark_schema()), STORE_DAYS)
    told = {section.title: section.rows for section in summary(settings)}
    assert told["Closed for 28 days: no forecast, no order"] == [{"store": "S2"}]
    assert [(row["rank"], row["product"], row["order"]) for row in told["Ten orders with the most money at risk"]] == [
        (1, "P1 MILK", "2"), (3, "P0", "1"),
    ]  # fmt: skip
    assert told["Strangest days"] == told["Likeliest not to sell"] == []
    assert told["Decided today"] == [{"table": "decisions/orders", "day": date(2024, 3, 2), "rows": 3}]
    (model,) = told["Models against their baselines (lower is better)"]
    assert (model["family"], model["champion"]) == ("slow_mover", "none: no version passed its gates")
