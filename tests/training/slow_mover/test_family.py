"""The family on Spark: labels, contenders on equal terms, parity of the export, decisions."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from feature_repo.tables import DEMAND_DAILY, PAIR_ACTIVITY
from infra.lake import Lake
from infra.settings import Settings, load_settings
from tests.training.slow_mover.sales import world
from training.portable import load_portable, save_portable
from training.slow_mover.card import FEATURES, HORIZON, LEAST_KNOWN_DAYS
from training.slow_mover.contenders import _parted, contenders, named
from training.slow_mover.family import FAMILY, examples
from training.slow_mover.model import DERIVED, derived
from training.tables import SLOW_MOVERS


@pytest.fixture(scope="module")
def home(spark, tmp_path_factory) -> Settings:
    """Settings of a lake with 240 pairs over 300 days."""
    from feature_repo.pair_activity import pair_activity_frame

    settings = load_settings(home=tmp_path_factory.mktemp("slow_mover"))
    lake, sold = Lake(settings.lake_url), world(120, 300, stores=2)
    keys = ["store_id", "product_id", "ds"]
    grid = pd.MultiIndex.from_product(
        [["S0", "S1"], sorted(set(sold["product_id"])), pd.date_range(sold["ds"].min(), periods=300)], names=keys
    )
    daily = grid.to_frame(index=False).merge(sold, on=keys, how="left").fillna({"units": 0.0, "revenue": 0.0}).assign(
        open=True, in_stock=1.0, price=2.0, regular_price=2.0, promotion=0.0, display=0.0, mailer=0.0,
        lines=0, baskets=0, returned_units=0.0, ds=lambda f: f["ds"].dt.date,
    )  # fmt: skip
    rows = spark.createDataFrame(daily[DEMAND_DAILY.names], DEMAND_DAILY.spark_schema())
    products = spark.createDataFrame([(p, "c") for p in sorted(set(sold["product_id"]))], "product_id string, category string")
    lake.overwrite(pair_activity_frame(rows, products), PAIR_ACTIVITY)
    return settings


@pytest.fixture(scope="module")
def data(spark, home):
    return FAMILY.dataset(spark, home).localCheckpoint()  # a cache is let go after each test


def test_the_label_is_what_followed(spark, home, data) -> None:
    sold = world(120, 300, stores=2)
    rows = data.select("store_id", "product_id", "origin", "silent").toPandas()
    assert len(rows) > 500 and not rows.duplicated(["store_id", "product_id", "origin"]).any()
    for row in rows.sample(40, random_state=0).itertuples():
        origin = pd.Timestamp(row.origin)
        own = sold[(sold["store_id"] == row.store_id) & (sold["product_id"] == row.product_id)]["ds"]
        assert row.silent == float(not ((own > origin) & (own <= origin + timedelta(days=HORIZON))).any())


def test_a_store_that_was_closed_says_nothing_of_what_sells_and_sells_nothing(spark, home, data) -> None:
    from pyspark.sql import functions as F

    activity = Lake(home.lake_url).read(spark, PAIR_ACTIVITY)
    last = activity.agg({"ds": "max"}).first()[0]
    closed = (F.col("store_id") == "S1") & (F.col("ds") == F.lit(last))
    for days, there in ((LEAST_KNOWN_DAYS - 1, ["S0"]), (LEAST_KNOWN_DAYS, ["S0", "S1"])):
        found = examples(activity.withColumn("known_days_56", F.when(closed, float(days)).otherwise(F.col("known_days_56"))))
        newest = found.where(F.col("origin") == F.lit(last - timedelta(days=HORIZON)))
        assert sorted(row[0] for row in newest.select("store_id").distinct().collect()) == there
    model = contenders()[0].fit(data, {}).portable()
    rows = activity.where(F.col("ds") == F.lit(last)).limit(4).toPandas().assign(open_days_56=[0.0, 1.0, 0.0, 56.0])
    said = model.predict(rows)
    assert (said["probability"] == 1.0).tolist() == [True, False, True, False]
    assert said["why"].str.contains("store closed for 56 days or more").tolist() == [True, False, True, False]


def test_folds_are_fitted_on_labels_complete_by_their_origin(data) -> None:
    folds = FAMILY.folds(data)
    assert len(folds) >= 2
    for fold in folds:
        assert fold.train.agg({"origin": "max"}).first()[0] <= fold.origin - timedelta(days=HORIZON)
    # no day that the last fold is judged by tells anything in tuning
    assert folds[-2].origin + timedelta(days=HORIZON) <= folds[-1].origin == data.agg({"origin": "max"}).first()[0]


def test_a_fit_is_calibrated_on_labels_that_share_no_day_with_its_own() -> None:
    origins = [date(2024, 1, 1) + timedelta(days=14 * at) for at in range(10)]
    older, newest = _parted(origins)
    assert (older, newest) == (origins[:5], origins[-2:]) and newest[0] - older[-1] == timedelta(days=HORIZON - HORIZON % 14)
    assert _parted(origins[:4]) == (origins[:2], origins[2:4])
    assert _parted(origins[:2]) == (origins[:2], origins[:2])


def test_derived_features_are_the_same_in_spark_and_pandas(data) -> None:
    rows = named(data.limit(200).toPandas())
    again = derived(rows[list(FEATURES)])
    for name in DERIVED:
        np.testing.assert_allclose(again[name].astype(float), rows[name].astype(float), rtol=1e-12, equal_nan=True)


_PARAMS = {"reg": 0.01, "depth": 3, "rounds": 5, "features_kept": 1.0}


def test_every_contender_answers_and_its_export_says_the_same(data, tmp_path) -> None:
    fold, losses = FAMILY.folds(data)[-1], {}
    for contender in contenders():
        fitted = contender.fit(fold.train, _PARAMS)
        judged = FAMILY.judge(fitted, fold)
        losses[contender.name] = judged.query("segment == 'all' and metric == 'log_loss'")["value"].iloc[0]
        save_portable(fitted.portable(), tmp_path / contender.name)
        assert FAMILY.parity(fitted, load_portable(tmp_path / contender.name), fold.test) < 1e-6
    assert all(0 < value < 0.7 for value in losses.values()), losses
    assert min(losses, key=losses.get) != "recency_rule"  # type: ignore[arg-type]


def test_scoring_fills_the_table(spark, home, data) -> None:
    model = contenders()[0].fit(data, {}).portable()
    rows = FAMILY.score(spark, home, model, "3").toPandas()
    earlier = rows["origin"].max() - timedelta(days=9)
    assert {row[0] for row in FAMILY.score(spark, home, model, "3", earlier).select("origin").distinct().collect()} == {earlier}
    assert list(rows.columns) == SLOW_MOVERS.names and not rows.duplicated(list(SLOW_MOVERS.key)).any()
    assert (
        set(rows["action"]) <= {"keep", "watch", "mark down", "clear", "delist", "transfer"}
        and rows["why"].str.contains("chance of none").all()
    )
    assert set(FAMILY.card.response) <= set(model.predict(FAMILY.example(data)).columns)
