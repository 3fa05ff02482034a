"""Contenders over one column of features: which are kept, what a missing one becomes, and that order holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from training.tabular import FEATURES, FILL, TabularContender, at_most, in_order, matrix_of, ranked, sampled, with_vector

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NAMES = ("noise", "constant", "strong", "weak")


@pytest.fixture(scope="module")
def data(spark: SparkSession) -> DataFrame:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(400, 4)).astype(np.float32)
    values[:, 1] = 7.0
    label = 2.0 * values[:, 2] + 0.7 * values[:, 3] + draw.normal(scale=0.1, size=400)
    values[::9, 0] = np.nan
    rows = pd.DataFrame({"product_id": [f"{at:03d}" for at in range(400)], FEATURES: values.tolist(), "label": label})
    return spark.createDataFrame(rows, f"product_id string, {FEATURES} array<float>, label double")


def contender(**more: object) -> TabularContender:
    from pyspark.ml.regression import LinearRegression

    return TabularContender("linear", NAMES, "label", lambda p: LinearRegression(), lambda t: {}, lambda f: f, **more)  # type: ignore[arg-type]


def test_features_are_ranked_by_correlation_and_a_constant_one_is_last(data: DataFrame) -> None:
    places, rows = ranked(with_vector(data), "label"), data.toPandas()
    matrix = np.nan_to_num(matrix_of(rows[FEATURES], 4), nan=FILL)
    by_hand = [abs(np.corrcoef(matrix[:, at], rows["label"])[0, 1]) for at in (0, 2, 3)]
    assert [NAMES[at] for at in places] == ["strong", "weak", "noise", "constant"] and by_hand[1] > by_hand[2] > by_hand[0]


def test_half_the_features_are_the_better_half_in_their_own_order(data: DataFrame) -> None:
    fitted = contender().fit(data, {"features_kept": 0.5})
    assert fitted.kept == ("strong", "weak")
    np.testing.assert_allclose(fitted.stage.coefficients.toArray(), [2.0, 0.7], atol=0.03)
    whole = contender().fit(data, {"features_kept": 1.0})
    assert whole.kept == NAMES
    predicted = whole.predict(data).toPandas()
    assert list(predicted.columns) == ["product_id", FEATURES, "label", "prediction"]
    matrix = np.nan_to_num(matrix_of(predicted[FEATURES], 4), nan=FILL)
    expected = matrix @ whole.stage.coefficients.toArray() + whole.stage.intercept
    np.testing.assert_allclose(predicted["prediction"], expected, rtol=1e-6)


@pytest.mark.parametrize("rows", [0, 100])
def test_however_the_rows_are_spread_over_tasks_the_same_is_learned(spark: SparkSession, rows: int) -> None:
    from xgboost.spark import SparkXGBRegressor

    draw = np.random.default_rng(1)
    values = draw.normal(size=(400, 4)).astype(np.float32)
    frame = pd.DataFrame(
        {"store_id": np.arange(400) % 7, "product_id": np.arange(400) // 7, FEATURES: values.tolist(), "label": values[:, 2]}
    )
    examples = spark.createDataFrame(frame.astype({"store_id": str, "product_id": str}), "store_id string, product_id string, "
                                     f"{FEATURES} array<float>, label double")  # fmt: skip
    learner = TabularContender(
        "boosted", NAMES, "label", lambda p: SparkXGBRegressor(n_estimators=5, subsample=0.5, num_workers=1, random_state=0, verbosity=0),
        lambda t: {}, lambda fitted: fitted.stage.get_booster().save_raw("json"), rows=rows,
        shares=(1.0,), fills=False,
    )  # fmt: skip
    # a number that is asked for is kept; few rows that are only sorted end in one partition, in which nothing could go wrong
    spread = [in_order(examples).localCheckpoint(), examples.repartition(5, "label").localCheckpoint()]
    assert spread[1].rdd.getNumPartitions() == 5
    one, other = (learner.fit(part, {"features_kept": 1.0}).portable() for part in spread)
    assert one == other
    assert sampled(spread[0], 100).toPandas().equals(sampled(spread[1], 100).toPandas())
    assert 60 < sampled(spread[0], 100).count() < 140


def test_a_part_that_fits_the_driver_is_by_keys_and_not_by_place(spark: SparkSession) -> None:
    rows = pd.DataFrame(
        {"store_id": "s", "product_id": [f"{at % 40:02d}" for at in range(120)], "horizon": [1 + at // 40 for at in range(120)]}
    )
    frame = spark.createDataFrame(rows)
    few = [at_most(frame.repartition(parts), 10).toPandas() for parts in (1, 4)]
    assert len(few[0]) == 10 and few[0].equals(few[1]) and few[0]["product_id"].nunique() > 4
    whole = at_most(frame, 12, "store_id", "product_id").toPandas()
    assert whole.groupby("product_id").size().tolist() == [3] * 4
    assert at_most(frame, 500).count() == 120
