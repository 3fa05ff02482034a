"""The Spark driver of the demand features gives what the numpy core gives on one panel of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_ingest.tables import PRODUCTS
from feature_repo import demand_snapshots
from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.demand_snapshots import KNOWN, demand_features_frame, whole_series
from feature_repo.panel import from_frame
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


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 7), st.integers(1, 12))
def test_blocks_keep_every_row_and_never_split_a_series(lengths: list[int], batch: int, rows: int) -> None:
    keys = [("s", f"p{number}") for number, length in enumerate(lengths) for _ in range(length)]
    frame = pd.DataFrame(keys, columns=["store_id", "product_id"]).assign(row=range(len(keys)))
    blocks = list(whole_series((frame.iloc[at : at + batch] for at in range(0, len(frame), batch)), rows))
    assert pd.concat(blocks)["row"].tolist() == list(range(len(frame)))
    owners = [set(block["product_id"]) for block in blocks]
    assert sum(map(len, owners)) == len(set().union(*owners))
