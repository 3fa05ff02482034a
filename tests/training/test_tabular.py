"""Contenders over one column of features: which are kept, what a missing one becomes, and that order holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from training.tabular import FEATURES, FILL, TabularContender, matrix_of, ranked

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
    rows = pd.DataFrame({FEATURES: values.tolist(), "label": label})
    return spark.createDataFrame(rows, f"{FEATURES} array<float>, label double")


def contender(**more: object) -> TabularContender:
    from pyspark.ml.regression import LinearRegression

    return TabularContender("linear", NAMES, "label", lambda p: LinearRegression(), lambda t: {}, lambda f: f, **more)  # type: ignore[arg-type]


def test_features_are_ranked_by_correlation_and_a_constant_one_is_last(data: DataFrame) -> None:
    places, rows = ranked(data, "label"), data.toPandas()
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
    assert list(predicted.columns) == [FEATURES, "label", "prediction"]
    matrix = np.nan_to_num(matrix_of(predicted[FEATURES], 4), nan=FILL)
    expected = matrix @ whole.stage.coefficients.toArray() + whole.stage.intercept
    np.testing.assert_allclose(predicted["prediction"], expected, rtol=1e-6)
