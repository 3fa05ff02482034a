"""The features of slow movers against a slow and plain computation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_ingest.tables import PRODUCTS
from feature_repo.pair_activity import pair_activity_frame
from feature_repo.tables import DEMAND_DAILY
from tests.feature_repo.facts import day, frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = 240


def plain(series: pd.DataFrame, at: int) -> dict[str, float]:
    """The features at the end of row `at` of one pair's rows, in plain Python."""
    rows = series.iloc[: at + 1].reset_index(drop=True)
    sales = [number for number, units in enumerate(rows["units"]) if units > 0]
    gaps = np.diff(sales)
    return {
        "age_days": at,
        "days_since_sale": at - sales[-1] if sales else np.nan,
        **{f"sale_days_{days}": sum(number > at - days for number in sales) for days in (28, 91, 182)},
        "sale_gap_days": gaps.mean() if len(gaps) else np.nan,
        **{f"units_{days}": rows["units"].tail(days).sum() for days in (28, 91)},
        **{f"known_days_{days}": (rows["open"] & rows["units"].notna()).tail(days).sum() for days in (56, 91)},
        "open_days_56": rows["open"].tail(56).sum(),
        "price_ratio": rows["price"].iloc[-1] / rows["regular_price"].iloc[-1],
        "promotion_days_28": rows["promotion"].tail(28).sum(),
    }


def test_features_equal_the_plain_computation(spark: SparkSession) -> None:
    rng = np.random.default_rng(3)
    pairs = [("1", "5", 0.02), ("1", "23", 0.3), ("2", "5", 0.0)]
    rows = pd.concat([
        pd.DataFrame({"store_id": store, "product_id": product, "ds": [day(at) for at in range(DAYS)], "open": rng.random(DAYS) > 0.05,
                      "units": np.where(rng.random(DAYS) < 0.05, np.nan, rng.poisson(rate, DAYS)), "price": rng.choice([1.5, 2.0], DAYS),
                      "regular_price": 2.0, "promotion": rng.choice([0.0, 1.0], DAYS)})
        for store, product, rate in pairs
    ])  # fmt: skip
    products = [{"product_id": "5", "category": "dairy"}, {"product_id": "23", "category": "snacks"}]
    found = (
        pair_activity_frame(frame_of(spark, DEMAND_DAILY, rows), frame_of(spark, PRODUCTS, products))
        .toPandas()
        .set_index(["store_id", "product_id", "ds"])
    )
    assert len(found) == len(rows)
    for store, product, _ in pairs:
        series = rows[(rows["store_id"] == store) & (rows["product_id"] == product)]
        for at in (0, 5, 60, 130, DAYS - 1):
            expected = pd.Series(plain(series, at), dtype=float)
            np.testing.assert_allclose(
                found.loc[(store, product, day(at)), expected.index].astype(float), expected, err_msg=f"{store} {product} {at}"
            )
    for store, product, other in (("1", "5", "2"), ("2", "5", "1"), ("1", "23", None)):
        sold = found.loc[(other, product, day(60)), "sale_days_28"] if other else 0.0
        assert found.loc[(store, product, day(60)), "product_others"] == sold
    dairy = rows[rows["product_id"] == "5"].groupby("ds")["units"].sum()
    last = found.loc[("2", "5", day(DAYS - 1))]
    assert last["category_units_28"] == dairy.tail(28).sum()
    assert np.isclose(last["category_trend"], dairy.tail(28).sum() / (dairy.tail(112).head(84).sum() / 3))
