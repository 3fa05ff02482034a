"""The Spark driver of the demand features gives what the numpy core gives on one panel of everything."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from data_ingest.tables import PRODUCTS
from feature_repo import demand_snapshots
from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.demand_snapshots import KNOWN, Totals, block_features, demand_features_frame, whole_series
from feature_repo.panel import Panel, from_frame
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.lake import Lake
from infra.settings import Settings
from tests.feature_repo.facts import day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize("block_rows", [1, 100_000])
def test_the_driver_equals_the_core(spark: SparkSession, built: Settings, monkeypatch: pytest.MonkeyPatch, block_rows: int) -> None:
    monkeypatch.setattr(demand_snapshots, "BLOCK_ROWS", block_rows)
    lake = Lake(built.lake_url)
    daily = lake.read(spark, DEMAND_DAILY)
    # one pair starts late and one day is closed
    daily = daily.where(~((daily["store_id"] == "9") & (daily["ds"] < day(20))))
    daily = daily.withColumn("open", (daily["ds"] != day(30)) | (daily["store_id"] != "12"))
    found = demand_features_frame(daily, lake.read(spark, PRODUCTS), day(39)).toPandas()
    found = found.sort_values(["store_id", "product_id", "ds"]).reset_index(drop=True)

    rows = daily.toPandas().assign(ds=lambda rows: pd.to_datetime(rows["ds"]))
    rows["units"] = rows["units"].where(rows["open"])
    static = lake.read_pandas(PRODUCTS, ["product_id", "category"])
    panel = from_frame(rows, known=KNOWN, last_day=day(39), static=static, writes_zeros=True, step=1)
    values = origin_features(panel, range(len(panel.days)))
    born = rows.groupby(["store_id", "product_id"])["ds"].min().to_numpy()
    alive = panel.days.to_numpy()[None, :] >= born[:, None]
    np.testing.assert_allclose(found[list(ORIGIN_FEATURES)].to_numpy(dtype=float), values[alive].astype(float), rtol=1e-5, atol=1e-6)
    assert found["pair_id"].tolist() == (found["store_id"] + "|" + found["product_id"]).tolist()
    assert (found["known_at"] == pd.to_datetime(found["ds"]) + pd.Timedelta(days=1)).all()
    assert list(found.columns) == DEMAND_FEATURES.names


def test_rows_since_a_day_are_the_rows_of_the_whole(spark: SparkSession, built: Settings) -> None:
    lake = Lake(built.lake_url)
    part = demand_features_frame(lake.read(spark, DEMAND_DAILY), lake.read(spark, PRODUCTS), day(39), day(37)).toPandas()
    whole = lake.read_pandas(DEMAND_FEATURES)
    whole = whole[whole["ds"] >= day(37)].sort_values(["pair_id", "ds"]).reset_index(drop=True)
    part = part.sort_values(["pair_id", "ds"]).reset_index(drop=True)
    assert part["ds"].tolist() == whole["ds"].tolist()
    np.testing.assert_array_equal(part[list(ORIGIN_FEATURES)].to_numpy(dtype=float), whole[list(ORIGIN_FEATURES)].to_numpy(dtype=float))


def test_a_row_of_a_clock_that_was_reset_changes_no_feature(spark: SparkSession, built: Settings) -> None:
    lake = Lake(built.lake_url)
    daily, products = lake.read(spark, DEMAND_DAILY), lake.read(spark, PRODUCTS)
    daily = daily.where(daily["ds"] >= day(30)).localCheckpoint()
    old = daily.where(daily["ds"] == day(30)).limit(1).withColumn("ds", F.lit(date(1990, 1, 1)))
    order = ["pair_id", "ds"]
    without, found = (demand_features_frame(rows, products, day(39)).toPandas().sort_values(order, ignore_index=True)
                      for rows in (daily, daily.unionByName(old)))  # fmt: skip
    pd.testing.assert_frame_equal(found, without)


def test_a_block_of_young_series_is_computed_from_its_first_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its groups are older, and still seen."""
    asked = []

    def counted(panel: Panel, positions: range) -> np.ndarray:
        asked.extend(positions)
        return origin_features(panel, positions)

    monkeypatch.setattr(demand_snapshots, "origin_features", counted)
    days = pd.date_range("2023-01-01", periods=400).to_numpy().astype("datetime64[D]")
    sums = np.full((1, 400), 6.0)
    totals = {name: Totals(pd.Index([member]), days[0], sums, sums / 2)
              for name, member in {"store": "new", "product": "p1", "category": "", "all": ""}.items()}  # fmt: skip
    block = pd.DataFrame({"store_id": "new", "product_id": "p1", "ds": days[-3:], "units": [1.0, 2.0, 3.0], "in_stock": 1.0, "category": "",
                          "price": 1.0, "promotion": 0.0})  # fmt: skip
    (found,) = block_features(block, totals, None, days[-1].astype(object))
    assert len(asked) == 3 and found["ds"].tolist() == days[-3:].astype(object).tolist()
    assert found["product_mean_28"].tolist() == [2.0] * 3 and found["last_1"].tolist() == [1.0, 2.0, 3.0]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 7), st.integers(1, 12))
def test_blocks_keep_every_row_and_never_split_a_series(lengths: list[int], batch: int, rows: int) -> None:
    keys = [("s", f"p{number}") for number, length in enumerate(lengths) for _ in range(length)]
    frame = pd.DataFrame(keys, columns=["store_id", "product_id"]).assign(row=range(len(keys)))
    blocks = list(whole_series((frame.iloc[at : at + batch] for at in range(0, len(frame), batch)), rows))
    assert pd.concat(blocks)["row"].tolist() == list(range(len(frame)))
    owners = [set(block["product_id"]) for block in blocks]
    assert sum(map(len, owners)) == len(set().union(*owners))
