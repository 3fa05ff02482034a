"""The family on Spark: contenders, folds, judging, export, batch scoring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_ingest.tables import PURCHASE_HISTORY
from infra.lake import Lake
from infra.settings import Settings
from tests.training.recommend.shop import lines
from training.family import Fold
from training.recommend.contenders import Listed
from training.recommend.cooccurrence import neighbours
from training.recommend.family import FAMILY

PARAMS: Mapping[str, Mapping[str, Any]] = {"als": {"rank": 8, "regularisation": 0.1, "alpha": 5.0}}


@pytest.fixture(scope="module")
def data(spark: SparkSession) -> DataFrame:
    frame = lines(customers=30, days=150)
    return spark.createDataFrame(frame).withColumn("ds", F.to_date("ds")).persist()


@pytest.fixture(scope="module")
def folds(data: DataFrame) -> list[Fold]:
    return FAMILY.folds(data)


@pytest.fixture(scope="module")
def fitted(folds: list[Fold]) -> dict[str, Listed]:
    return {c.name: c.fit(folds[-1].train, PARAMS.get(c.name, {})) for c in FAMILY.contenders()}


def test_folds_train_on_the_past_and_ask_for_what_followed(data: DataFrame, folds: list[Fold]) -> None:
    assert len(folds) == 2
    for fold in folds:
        assert fold.train.agg(F.max("ds")).first()[0] == fold.origin
        row = fold.test.orderBy("customer_id").first()
        after = data.where(F.col("customer_id") == row.customer_id).where(F.col("ds").between(*_window(fold)))
        assert sorted(r[0] for r in after.select("product_id").distinct().collect()) == list(row.wanted)
    assert folds[0].origin < folds[1].origin


def test_every_contender_ranks_for_every_customer_and_the_best_beats_popularity(folds: list[Fold], fitted: dict[str, Listed]) -> None:
    values = {}
    for name, model in fitted.items():
        predicted = model.predict(folds[-1].test).persist()
        assert predicted.count() == folds[-1].test.count()
        assert predicted.where(F.size("products") != F.size(F.array_distinct("products"))).count() == 0
        assert predicted.where(F.size("products") < 10).count() == 0
        judged = FAMILY.judge(predicted.coalesce(1))
        values[name] = judged.query("segment == 'all' and metric == 'one_minus_ndcg'")["value"].item()
    assert 0 < values["blended"] < values["popularity"]
    assert values["als"] < 1.0
    assert values["personal_frequency"] < values["popularity"]


@pytest.mark.parametrize("name", ["personal_frequency", "als", "blended"])
def test_the_export_says_what_spark_says(folds: list[Fold], fitted: dict[str, Listed], name: str) -> None:
    model = FAMILY.finish(fitted[name], folds[-1].train)
    assert FAMILY.parity(fitted[name], model, folds[-1].test.limit(20)) < 1e-6
    broken = type(model)(model.lists.assign(score=model.lists["score"] * 1.01), model.neighbours, model.origin, model.recipe, model.params)
    assert FAMILY.parity(fitted[name], broken, folds[-1].test.limit(20)) > 1e-3
    example = FAMILY.example(folds[-1].test)
    assert not set(example["basket"].iloc[0]) & set(model.predict(example).query("item == 0")["product_id"])


def test_neighbours_are_what_shares_baskets(data: DataFrame, folds: list[Fold]) -> None:
    near = neighbours(data, folds[-1].origin).where("product_id = 'bread'").toPandas().sort_values("cosine", ascending=False)
    assert near["other_id"].iloc[0] == "butter"
    assert near["share"].iloc[0] == 1.0


def _window(fold: Fold) -> tuple[date, date]:
    return fold.origin + timedelta(days=1), fold.origin + timedelta(days=28)


def test_scoring_uses_the_stored_lists_until_newer_lines_arrive(
    spark: SparkSession, settings: Settings, data: DataFrame, folds: list[Fold], fitted: dict[str, Listed]
) -> None:
    lake, model = Lake(settings.lake_url), fitted["personal_frequency"].portable()
    full = data.withColumn("store_id", F.lit("s")).withColumn("revenue", F.lit(1.0))
    lake.overwrite(full.where(F.col("ds") <= folds[-1].origin), PURCHASE_HISTORY)
    stored = FAMILY.score(spark, settings, model, "3").toPandas()
    assert set(FAMILY.decisions.names) <= set(stored.columns)
    assert stored.groupby("customer_id").size().eq(10).all()
    assert set(stored["origin"]) == {folds[-1].origin}
    lake.overwrite(full, PURCHASE_HISTORY)
    again = FAMILY.score(spark, settings, model, "3").toPandas()
    assert again["origin"].iloc[0] > folds[-1].origin
    key = ["customer_id", "product_id"]
    assert not pd.merge(stored[[*key, "score"]], again[[*key, "score"]], on=key).eval("score_x == score_y").all()
