"""A small silver layer, written through the lake as the ingest writes it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data_ingest.tables import BASKETS, DELIVERIES, LEAD_TIMES, PRICE_DAILY, PRODUCTS, PROMOTIONS, SALES_DAILY, STOCK_DAILY, STORE_DAYS
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIRST = date(2017, 1, 2)
#: the joined texts of the first two pairs are equal unless a separator keeps them apart
PAIRS = (("1", "23"), ("12", "3"), ("1", "5"), ("12", "5"), ("9", "23"))


def day(number: int) -> date:
    """The day `number` days after the first."""
    return FIRST + timedelta(days=number)


def frame_of(spark: SparkSession, table: Table, rows: pd.DataFrame | list[dict[str, Any]]) -> DataFrame:
    """A Spark frame of a table from rows that may lack columns."""
    make = {"double": float, "bigint": int, "boolean": bool}
    given = pd.DataFrame(rows).to_dict("records")
    clean = [
        tuple(None if pd.isna(row.get(c.name)) else make.get(c.type, lambda value: value)(row[c.name]) for c in table.columns)
        for row in given
    ]
    return spark.createDataFrame(clean, table.spark_schema())


def bought(customer: str | None, basket: str, product: str, at: int, revenue: float = 2.0) -> dict[str, Any]:
    """A line of one unit in a basket of store 1 on day `at`."""
    keys = {"customer_id": customer, "basket_id": basket, "store_id": "1", "product_id": product, "ds": day(at)}
    return {**keys, "units": 1.0, "revenue": revenue}


def silver_rows(days: int, seed: int = 7) -> dict[Table, pd.DataFrame]:
    """Random facts of PAIRS over `days` days: sales, stock with stockouts, prices, a promotion, deliveries, baskets."""
    rng = np.random.default_rng(seed)
    grid = [(*pair, day(at)) for pair in PAIRS for at in range(days)]
    every = pd.DataFrame(grid, columns=["store_id", "product_id", "ds"])
    units = rng.poisson(0.7, len(every)).astype(float)
    sold = every.assign(units=units, returned_units=0.0, revenue=units * 2.5, lines=1, baskets=1)[units > 0]
    stock = every.assign(on_hand_close=rng.integers(0, 20, len(every)).astype(float), in_stock=rng.choice([1.0, 1.0, 0.5], len(every)))
    orders = every.iloc[rng.integers(0, len(every), days)].reset_index(drop=True)
    lead = rng.integers(1, 6, len(orders))
    lines = orders.rename(columns={"ds": "ordered_on"}).assign(order_id=[f"o{at}" for at in range(len(orders))])
    came = [ordered + timedelta(days=int(took)) for ordered, took in zip(lines["ordered_on"], lead, strict=True)]
    baskets = sold.assign(basket_id=[f"b{at}" for at in range(len(sold))], customer_id=rng.choice(["anna", "ben"], len(sold)))
    return {
        SALES_DAILY: sold,
        STOCK_DAILY: stock,
        PRICE_DAILY: every.assign(price=rng.choice([2.0, 2.5], len(every)), regular_price=2.5),
        PROMOTIONS: pd.DataFrame([{"store_id": "1", "product_id": "23", "promotion_id": "p", "promotion_kind": "discount",
                                   "starts_on": day(3), "ends_on": day(6), "price": 2.0}]),
        STORE_DAYS: every[["store_id", "ds"]].drop_duplicates().assign(status="open"),
        LEAD_TIMES: lines.assign(
            supplier_id="north", ordered_units=6.0, lead_time_days=lead.astype(float), received_on=came,
            promised_on=[ordered + timedelta(days=3) for ordered in lines["ordered_on"]]),
        DELIVERIES: lines.drop(columns="ordered_on").assign(ds=came, units=[6.0, 4.0] * (len(lines) // 2) + [6.0] * (len(lines) % 2)),
        BASKETS: baskets,
        PRODUCTS: pd.DataFrame([{"product_id": product, "category": "dairy" if product == "5" else "snacks", "supplier_id": "north",
                                 "unit_cost": 1.0, "pack_size": 6.0, "lead_time_days": 3.0, "review_period_days": 7.0}
                                for product in ("23", "3", "5")]),
    }  # fmt: skip


def write_silver(spark: SparkSession, settings: Settings, facts: dict[Table, pd.DataFrame]) -> None:
    """Put the facts into the lake of `settings`."""
    for table, rows in facts.items():
        Lake(settings.lake_url).overwrite(frame_of(spark, table, rows), table)
