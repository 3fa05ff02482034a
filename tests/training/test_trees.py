"""Tree ensembles in arrays give what Spark gives, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.trees import TreeEnsemble

_REGRESSORS = [("DecisionTreeRegressor", {}), ("RandomForestRegressor", {"numTrees": 5}), ("GBTRegressor", {"maxIter": 6})]
_CLASSIFIERS = [("DecisionTreeClassifier", {}), ("RandomForestClassifier", {"numTrees": 5}), ("GBTClassifier", {"maxIter": 6})]


def _examples(spark, classes: int):
    from pyspark.ml.feature import VectorAssembler

    random = np.random.default_rng(3)
    x = random.normal(size=(400, 4))
    y = x[:, 0] * 2 + np.abs(x[:, 1]) + random.normal(size=400) * 0.3
    if classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)).astype(float)
    frame = pd.DataFrame(x, columns=list("abcd")).assign(label=y)
    assembler = VectorAssembler(inputCols=list("abcd"), outputCol="features")
    return assembler.transform(spark.createDataFrame(frame)), x


@pytest.mark.parametrize(("name", "params"), _REGRESSORS)
def test_regression_equals_spark_row_by_row(spark, tmp_path: Path, name: str, params: dict) -> None:
    import pyspark.ml.regression as ml

    data, x = _examples(spark, 0)
    model = getattr(ml, name)(maxDepth=4, seed=1, **params).fit(data)
    said = model.transform(data).toPandas()["prediction"].to_numpy()
    trees = TreeEnsemble.from_spark(model)
    np.testing.assert_allclose(trees.predict(x), said, rtol=1e-9, atol=1e-9)
    trees.save(tmp_path)
    np.testing.assert_array_equal(TreeEnsemble.load(tmp_path).predict(x), trees.predict(x))


@pytest.mark.parametrize(("name", "params"), _CLASSIFIERS)
def test_two_classes_give_the_probability_of_class_one(spark, name: str, params: dict) -> None:
    import pyspark.ml.classification as ml

    data, x = _examples(spark, 2)
    model = getattr(ml, name)(maxDepth=4, seed=1, **params).fit(data)
    said = np.array([row[1] for row in model.transform(data).toPandas()["probability"]])
    np.testing.assert_allclose(TreeEnsemble.from_spark(model).predict(x), said, rtol=1e-9, atol=1e-9)


def test_three_classes_give_a_column_each(spark) -> None:
    from pyspark.ml.classification import RandomForestClassifier

    data, x = _examples(spark, 3)
    model = RandomForestClassifier(numTrees=4, maxDepth=3, seed=1).fit(data)
    said = np.array([row.toArray() for row in model.transform(data).toPandas()["probability"]])
    np.testing.assert_allclose(TreeEnsemble.from_spark(model).predict(x), said, rtol=1e-9, atol=1e-9)


def test_another_model_is_refused_by_name(spark) -> None:
    from pyspark.ml.regression import LinearRegression

    model = LinearRegression(maxIter=1).fit(_examples(spark, 0)[0])
    with pytest.raises(ValueError, match="LinearRegressionModel is not a tree model"):
        TreeEnsemble.from_spark(model)


def test_no_rows_give_no_predictions() -> None:
    one = np.zeros(1, dtype=np.int32)
    trees = TreeEnsemble(one, np.array([np.inf]), one, one, np.ones((1, 1)), one, np.ones(1), "sum")
    assert trees.predict(np.empty((0, 3))).shape == (0,)
    np.testing.assert_array_equal(trees.predict(np.zeros((3, 2))), [1.0, 1.0, 1.0])
