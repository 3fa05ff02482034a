"""Contenders over a table of numeric features: any pyspark.ml regressor or classifier, with a measured choice of
features, on equal terms with the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna
    from pyspark.ml import Estimator, PipelineModel
    from pyspark.sql import DataFrame

#: what a missing feature is filled with: Spark's trees and linear models know no missing values
FILL = -1.0

#: turns a fitted pipeline into the portable form that its family uses
Exporter = Callable[["TabularFitted"], Any]


@dataclass(frozen=True)
class TabularContender:
    """A pyspark.ml estimator over `features`. `build(params)` gives the estimator (its columns are set here), `dimensions`
    its search space; the share of features kept, ranked by correlation with the label, is tuned with it."""

    name: str
    features: Sequence[str]
    label: str
    build: Callable[[Mapping[str, Any]], Estimator]
    dimensions: Callable[[optuna.Trial], dict[str, Any]]
    export: Exporter
    weight: str = ""
    #: most rows to fit on, sampled; 0: all. Spark's boosted trees take minutes where XGBoost takes seconds
    rows: int = 0
    #: shares of the ranked features that tuning may keep
    shares: Sequence[float] = (0.5, 1.0)
    #: whether missing features are filled with FILL; XGBoost has its own way with them
    fills: bool = True
    #: turns Spark's output columns into the family's prediction columns
    present: Callable[[DataFrame], DataFrame] = field(default=lambda frame: frame)
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The estimator's parameters and the share of features kept."""
        kept = trial.suggest_categorical("features_kept", self.shares) if len(self.shares) > 1 else self.shares[0]
        return {**self.dimensions(trial), "features_kept": kept}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> TabularFitted:
        """Rank the features on `train`, keep the best, fit the estimator on them."""
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import VectorAssembler

        kept, shown = list(self.features), sampled(train, self.rows)
        if params["features_kept"] < 1:
            best = ranked(shown, self.features, self.label)[: max(1, round(len(kept) * params["features_kept"]))]
            kept = [name for name in kept if name in best]
        estimator = self.build(params)
        estimator = estimator.copy({estimator.getParam("featuresCol"): "vector", estimator.getParam(_label(estimator)): self.label})
        if self.weight and estimator.hasParam("weightCol"):
            estimator = estimator.copy({estimator.getParam("weightCol"): self.weight})
        assembler = VectorAssembler(inputCols=kept, outputCol="vector", handleInvalid="keep")
        model = Pipeline(stages=[assembler, estimator]).fit(filled(shown, kept, FILL if self.fills else float("nan")))
        return TabularFitted(model, tuple(kept), self.present, self.export, self.fills)


def _label(estimator: Estimator) -> str:
    return "label_col" if estimator.hasParam("label_col") else "labelCol"


@dataclass(frozen=True)
class TabularFitted:
    """A fitted pipeline and the features it reads, in the order of its vector."""

    spark_model: PipelineModel
    kept: tuple[str, ...]
    present: Callable[[DataFrame], DataFrame]
    export: Exporter
    fills: bool = True

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with the family's prediction columns."""
        ready = filled(frame, self.kept, FILL if self.fills else float("nan"))
        return self.present(self.spark_model.transform(ready).drop("vector"))

    @property
    def stage(self) -> Any:
        """The fitted estimator, without the assembler before it."""
        return self.spark_model.stages[-1]

    def portable(self) -> Any:
        """The same model in plain arrays."""
        return self.export(self)


def sampled(frame: DataFrame, rows: int) -> DataFrame:
    """About `rows` rows of the frame, the same each time; all when 0 or when there are fewer. A sample is cached: every trial
    on the same fold finds it again, until the training run clears its caches."""
    count = frame.count() if rows else 0
    return frame.sample(fraction=rows / count, seed=0).coalesce(1).persist() if count > rows > 0 else frame


def filled(frame: DataFrame, features: Sequence[str], fill: float = FILL) -> DataFrame:
    """`features` as doubles with `fill` where they are missing."""
    from pyspark.sql import functions as F

    known = {name: F.when(F.isnan(c) | c.isNull(), F.lit(fill)).otherwise(c) for name in features for c in [F.col(name).cast("double")]}
    return frame.withColumns(known)


def ranked(train: DataFrame, features: Sequence[str], label: str) -> list[str]:
    """`features` by their absolute correlation with `label`, strongest first; constant ones last. One pass."""
    from pyspark.sql import functions as F

    known = filled(train, features)
    goal = F.col(label).cast("double")
    # what F.corr is, without its division by zero on a constant column
    strengths = [F.abs(F.try_divide(F.covar_samp(name, goal), F.stddev(name) * F.stddev(goal))).alias(name) for name in features]
    row = known.agg(*strengths).first()
    strength = {name: -1.0 if row is None or row[name] is None else row[name] for name in features}
    return sorted(features, key=lambda name: -strength[name])
