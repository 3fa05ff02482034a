"""The family on Spark: contenders, folds, judging, export, batch scoring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_ingest.tables import BASKETS, PURCHASE_HISTORY
from infra.errors import BadInput, NotReady
from infra.lake import Lake
from infra.settings import Settings
from tests.training.recommend.shop import lines
from training.family import Fold
from training.recommend import contenders, family
from training.recommend.blended import Blended
from training.recommend.contenders import Listed
from training.recommend.cooccurrence import neighbours
from training.recommend.family import FAMILY
from training.recommend.model import RecommendModel

PARAMS: Mapping[str, Mapping[str, Any]] = {"als": {"rank": 8, "regularisation": 0.1, "alpha": 5.0}}


@pytest.fixture(scope="module")
def data(spark: SparkSession) -> DataFrame:
    frame = lines(customers=30, days=150)
    return spark.createDataFrame(frame).withColumn("ds", F.to_date("ds")).localCheckpoint()  # a cache is let go after each test


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


def test_a_shop_that_knows_no_customers_has_nothing_to_judge_by(data: DataFrame) -> None:
    assert FAMILY.folds(data.withColumn("customer_id", F.lit(None).cast("string"))) == []


def test_every_contender_ranks_for_every_customer_and_the_best_beats_popularity(folds: list[Fold], fitted: dict[str, Listed]) -> None:
    values = {}
    for name, model in fitted.items():
        predicted = model.predict(folds[-1].test).persist()
        assert predicted.count() == folds[-1].test.count()
        assert predicted.where(F.size("products") != F.size(F.array_distinct("products"))).count() == 0
        assert predicted.where(F.size("products") < 10).count() == 0
        judged = FAMILY.judge(model, folds[-1])
        values[name] = judged.query("segment == 'all' and metric == 'one_minus_ndcg'")["value"].item()
    assert 0 < values["blended"] < values["popularity"]
    assert values["als"] < 1.0
    assert values["personal_frequency"] < values["popularity"]


def test_what_a_customer_brought_back_is_no_habit_of_the_blend(data: DataFrame) -> None:
    bought = data.where("customer_id = 'c00' and product_id = 'bread'")
    back = bought.withColumns({"units": F.lit(-1.0), "basket_id": F.lit("back")})
    listed = Blended().fit(data.unionByName(back), {}).lists_for(bought.select("customer_id").distinct()).toPandas()
    habits = listed[listed["why"].str.startswith("bought o")]["product_id"].tolist()
    assert "butter" in habits and "bread" not in habits


@pytest.mark.parametrize("name", ["personal_frequency", "als", "blended"])
def test_the_export_says_what_spark_says(folds: list[Fold], fitted: dict[str, Listed], name: str) -> None:
    model = FAMILY.finish(fitted[name], folds[-1].train)
    assert FAMILY.parity(fitted[name], model, folds[-1].test.limit(20)) < 1e-6
    broken = type(model)(model.lists.assign(score=model.lists["score"] * 1.01), model.neighbours, model.origin, model.recipe, model.params)
    assert FAMILY.parity(fitted[name], broken, folds[-1].test.limit(20)) > 1e-3
    example = FAMILY.example(folds[-1].test)
    assert not set(example["basket"].iloc[0]) & set(model.predict(example).query("item == 0")["product_id"])


def test_customers_without_an_exported_list_are_proved_by_none_and_listed_anew(
    spark: SparkSession, settings: Settings, folds: list[Fold], fitted: dict[str, Listed], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (contenders, family):
        monkeypatch.setattr(module, "EXPORTED", 5)
    model = FAMILY.finish(fitted["personal_frequency"], folds[-1].train)
    assert isinstance(model, RecommendModel) and len(model.customers) == 5
    assert FAMILY.parity(fitted["personal_frequency"], model, folds[-1].test) < 1e-6
    lines = folds[-1].train.withColumn("store_id", F.lit("s")).withColumn("revenue", F.lit(1.0))
    Lake(settings.lake_url).overwrite(lines, PURCHASE_HISTORY)
    with pytest.raises(BadInput, match="--day is 2024-05-01: recommend makes its lists of all that is known now"):
        FAMILY.score(spark, settings, model, "3", date(2024, 5, 1))
    scored = FAMILY.score(spark, settings, model, "3")
    assert scored.select("customer_id").distinct().count() == lines.select("customer_id").distinct().count() > 5


def test_neighbours_are_what_shares_baskets(data: DataFrame, folds: list[Fold]) -> None:
    near = neighbours(data, folds[-1].origin).where("product_id = 'bread'").toPandas().sort_values("cosine", ascending=False)
    assert near["other_id"].iloc[0] == "butter"
    assert near["share"].iloc[0] == 1.0


def _window(fold: Fold) -> tuple[date, date]:
    return fold.origin + timedelta(days=1), fold.origin + timedelta(days=28)


def test_a_receipt_number_that_is_used_again_is_another_basket(spark: SparkSession, settings: Settings, data: DataFrame) -> None:
    numbered = data.withColumns({"basket_id": F.col("customer_id"), "store_id": F.lit("s"), "revenue": F.lit(1.0)})
    Lake(settings.lake_url).overwrite(numbered, BASKETS)
    found = FAMILY.dataset(spark, settings).select("basket_id").distinct().count()
    assert found == data.select("basket_id").distinct().count() > data.select("customer_id").distinct().count()


def test_scoring_uses_the_stored_lists_until_events_tell_of_newer_purchases(
    spark: SparkSession, settings: Settings, data: DataFrame, folds: list[Fold], fitted: dict[str, Listed]
) -> None:
    lake, model = Lake(settings.lake_url), fitted["personal_frequency"].portable()
    with pytest.raises(NotReady, match="no purchase is known yet"):
        FAMILY.score(spark, settings, model, "3")
    full = data.withColumn("store_id", F.lit("s")).withColumn("revenue", F.lit(1.0))
    remembered = F.col("ds") <= folds[-1].origin
    lake.overwrite(full.where(remembered), PURCHASE_HISTORY)
    stored = FAMILY.score(spark, settings, model, "3").toPandas()
    assert set(FAMILY.decisions.names) <= set(stored.columns)
    assert stored.groupby("customer_id").size().eq(10).all()
    assert set(stored["origin"]) == {folds[-1].origin}
    # the ingested baskets have lines that the history knows too: all are known once
    lake.overwrite(full.where(F.col("ds") > folds[-1].origin - timedelta(days=7)), BASKETS)
    known = FAMILY.dataset(spark, settings).drop("basket_id")
    assert known.count() == data.count() and known.exceptAll(data.select(*known.columns)).isEmpty()
    again = FAMILY.score(spark, settings, model, "3").toPandas()
    assert set(again["origin"]) == {data.agg(F.max("ds")).first()[0]}
    key = ["customer_id", "product_id"]
    assert not pd.merge(stored[[*key, "score"]], again[[*key, "score"]], on=key).eval("score_x == score_y").all()
