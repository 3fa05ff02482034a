"""The training story of demand and stock through Spark, from silver facts to the registry and the decisions of a day."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model

from data_ingest.tables import STOCK_DAILY
from feature_repo.build import build_features
from feature_repo.tables import DEMAND_FEATURES
from infra.lake import Lake
from infra.registry import Registry, model_name
from infra.settings import Settings, load_settings
from infra.warehouse import Warehouse
from tests.feature_repo.facts import PAIRS, day, silver_rows, write_silver
from training.demand.dataset import HORIZON
from training.family import load_family
from training.portable import load_portable
from training.runner import train
from training.score import score
from training.stock.model import LONGEST_COVER_DAYS
from training.tables import FORECASTS, ORDERS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = 280


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load_settings(home=tmp_path_factory.mktemp("story"))
    facts = silver_rows(DAYS)
    # stock is full but on the days that a test plants
    facts[STOCK_DAILY] = facts[STOCK_DAILY].assign(in_stock=1.0)
    facts[STOCK_DAILY].loc[planted(facts[STOCK_DAILY]), "in_stock"] = 0.5
    write_silver(spark, settings, facts)
    build_features(spark, settings)
    return settings


def planted(rows: pd.DataFrame) -> pd.Series:
    return (rows["store_id"] == "1") & (rows["product_id"] == "23") & (rows["ds"] >= date(2017, 9, 20))


@pytest.fixture(scope="module")
def sold(home: Settings) -> pd.Series:
    from feature_repo.tables import DEMAND_DAILY

    return Lake(home.lake_url).read_pandas(DEMAND_DAILY).set_index(["store_id", "product_id", "ds"])["units"]


def test_a_stock_example_covers_the_days_after_its_review_and_no_other(spark: SparkSession, home: Settings, sold: pd.Series) -> None:
    rows = load_family("stock").dataset(spark, home).toPandas()
    assert set(zip(rows["store_id"], rows["product_id"], strict=True)) == set(PAIRS)
    full = rows[~planted(rows.rename(columns={"origin": "ds"})) & (rows["origin"] < date(2017, 8, 1))]
    assert len(full) > 20
    for row in full.itertuples():
        days = [row.origin + timedelta(days=ahead) for ahead in range(1, LONGEST_COVER_DAYS + 1)]
        coming = np.array([sold[row.store_id, row.product_id, day] for day in days])
        np.testing.assert_array_equal(row.week, coming[:7])
        # the promise of three days, or what was learned, and a review of seven: a whole number of days
        assert row.lead_time_demand in set(np.cumsum(coming))


def test_demand_examples_are_the_days_after_their_origin(spark: SparkSession, home: Settings, sold: pd.Series) -> None:
    rows = load_family("demand").dataset(spark, home).toPandas()
    assert rows.groupby(["store_id", "product_id", "origin"]).size().eq(HORIZON).all()
    for row in rows.sample(60, random_state=0).itertuples():
        assert (row.ds - row.origin).days == row.horizon
        assert row.units == sold[row.store_id, row.product_id, row.ds]
        assert row.demand == row.units / row.in_stock
    assert set(rows.loc[planted(rows), "in_stock"]) == {0.5}


@pytest.mark.parametrize("name", ["demand", "stock"])
def test_a_family_is_trained_registered_and_decides(spark: SparkSession, home: Settings, name: str) -> None:
    trained = train(spark, home, name, trials=1)
    registry = Registry(home)
    assert trained.version == "1" and np.isfinite(list(trained.numbers.values())).all()
    assert registry.version(name, "challenger") == ("1" if trained.passed else None)
    run = registry.client.get_run(trained.run_id)
    names = {contender.name for contender in load_family(name).contenders()}
    assert {key.split(".")[1] for key in run.data.metrics if key.startswith("tuning.")} == names
    assert run.data.metrics["parity.max_relative_difference"] < 1e-4
    assert all(f"lake.{table.name}.version" in run.data.tags for table in load_family(name).sources)
    kept = {Path(file.path).name for file in registry.client.list_artifacts(trained.run_id, "spark_model")}
    learned = trained.contender in {"linear_regression", "decision_tree", "random_forest", "gbt", "xgboost"}
    assert kept == ({"metadata", "stages"} if learned else set()) and not list((home.home / "lake" / "scratch").glob("*"))
    artifacts = {file.path for file in registry.client.list_artifacts(trained.run_id)}
    assert ("features.json" in artifacts) is learned
    assert {"judged.json", "folds.json", "trials.json", "plots"} <= artifacts
    described = Model.load(registry._location(registry.client.get_model_version(model_name(name), "1").source).removeprefix("file://"))
    assert described.signature is not None and described.saved_input_example_info is not None
    assert (registry.folder(name, "1") / "input_example.json").is_file()
    again = train(spark, home, name, trials=1)
    assert again.reused and again.version == trained.version
    registry.promote(name, "1", "test", "the only one")
    (scored,) = score(spark, home, [name])
    table = {"demand": FORECASTS, "stock": ORDERS}[name]
    rows = Lake(home.lake_url).read_pandas(table)
    assert scored.version == "1" and scored.rows == len(rows) and not rows.duplicated(list(table.key)).any()
    assert set(zip(rows["store_id"], rows["product_id"], strict=True)) == set(PAIRS)
    assert int(Warehouse(home.warehouse_url).query(f"SELECT count() AS n FROM {table.name}").n[0]) == len(rows)
    # a past day by its own features
    model = load_portable(registry.folder(name, "1"))
    past = load_family(name).score(spark, home, model, "1", day(DAYS - 9))
    assert {row[0] for row in past.select(table.day).distinct().collect()} == {day(DAYS - 9)}
    # a store that has shut gets none any more
    from pyspark.sql import functions as F

    lake = Lake(home.lake_url)
    known = lake.read(spark, DEMAND_FEATURES).where(F.col("ds") == F.lit(day(DAYS - 1))).localCheckpoint()
    shut = F.when(F.col("store_id") == "9", 1.0).otherwise(F.col("store_shut"))
    lake.replace_days(known.withColumn("store_shut", shut), DEMAND_FEATURES, [day(DAYS - 1)])
    score(spark, home, [name])
    rows = Lake(home.lake_url).read_pandas(table)
    assert set(rows.loc[rows[table.day] == rows[table.day].max(), "store_id"]) == {"1", "12"}
    # nor does what was said of the others stand when all have
    lake.replace_days(known.withColumn("store_shut", F.lit(1.0)), DEMAND_FEATURES, [day(DAYS - 1)])
    (scored,) = score(spark, home, [name])
    assert scored.rows == 0 and lake.read_pandas(table).empty
    assert int(Warehouse(home.warehouse_url).query(f"SELECT count() AS n FROM {table.name}").n[0]) == 0
    lake.replace_days(known, DEMAND_FEATURES, [day(DAYS - 1)])
