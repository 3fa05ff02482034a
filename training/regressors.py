"""MLlib's regressors as candidates: of the factor by which units depart from a base, weighted by that base, and their
portable forms. Families share them; XGBoost is set up by each family itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.demand.model import LinearMean, TreesMean
from training.tabular import FILL, TabularContender, TabularFitted
from training.trees import TreeEnsemble

if TYPE_CHECKING:
    import optuna


def regressors(features: Sequence[str], rows: int) -> list[TabularContender]:
    """The four, over examples with `factor` and `weight`, each fitted on `rows` rows at most."""
    from pyspark.ml.regression import DecisionTreeRegressor, GBTRegressor, LinearRegression, RandomForestRegressor

    def of(name: str, build: Callable[[Mapping[str, Any]], Any], dimensions: Callable[[optuna.Trial], dict[str, Any]]) -> TabularContender:
        export = _linear if name == "linear_regression" else _trees
        return TabularContender(name, features, "factor", build, dimensions, export, "weight", rows)

    return [
        of(
            "linear_regression",
            lambda p: LinearRegression(regParam=p["reg"], elasticNetParam=0.5),
            lambda t: {"reg": t.suggest_float("reg", 1e-4, 0.3, log=True)},
        ),
        of(
            "decision_tree",
            lambda p: DecisionTreeRegressor(maxDepth=p["depth"], minInstancesPerNode=100, seed=0),
            lambda t: {"depth": t.suggest_int("depth", 2, 7)},
        ),
        of(
            "random_forest",
            lambda p: RandomForestRegressor(numTrees=p["trees"], maxDepth=p["depth"], minInstancesPerNode=20, seed=0),
            lambda t: {"trees": t.suggest_int("trees", 10, 20), "depth": t.suggest_int("depth", 4, 6)},
        ),
        of(
            "gbt",
            lambda p: GBTRegressor(
                maxIter=p["rounds"], maxDepth=p["depth"], stepSize=0.1, subsamplingRate=0.7, minInstancesPerNode=50, seed=0
            ),
            lambda t: {"rounds": t.suggest_int("rounds", 6, 16), "depth": t.suggest_int("depth", 2, 4)},
        ),
    ]


def _trees(fitted: TabularFitted) -> TreesMean:
    trees = TreeEnsemble.from_spark(fitted.stage)
    places = np.array(fitted.places, dtype=np.int32)
    return TreesMean(replace(trees, feature=places[trees.feature]), np.full(fitted.width, FILL))


def _linear(fitted: TabularFitted) -> LinearMean:
    coefficients = np.zeros(fitted.width)
    coefficients[list(fitted.places)] = fitted.stage.coefficients.toArray()
    return LinearMean(coefficients, float(fitted.stage.intercept), np.full(fitted.width, FILL))
