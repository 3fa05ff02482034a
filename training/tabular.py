"""Contenders over a table of numeric features: any pyspark.ml regressor or classifier, with a measured choice of
features, on equal terms with the baselines.

An example carries its features in one column, an array of floats in its family's order: with a column for each of 70
features Spark spends more on planning and compiling a query than on running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import optuna
    from pyspark.ml import Estimator, PipelineModel
    from pyspark.sql import Column, DataFrame

#: the column of the examples that holds the features
FEATURES = "features"
#: the columns that tell examples apart, as far as a family has them
KEYS = ("store_id", "product_id", "customer_id", "origin", "ds", "horizon")
_PLACES = 1_000_000_000
#: what a missing feature is filled with: Spark's trees and linear models know no missing values
FILL = -1.0

#: turns a fitted pipeline into the portable form that its family uses
Exporter = Callable[["TabularFitted"], Any]


@dataclass(frozen=True)
class TabularContender:
    """A pyspark.ml estimator over FEATURES, whose names in order are `features`. `build(params)` gives the estimator (its
    columns are set here), `dimensions` its search space; the share of features kept, ranked by correlation with the label, is
    tuned with it."""

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
    #: whether missing features are filled with FILL in a vector of those kept; XGBoost reads the array and has its own way with
    #: missing ones, which spares Spark a boxed number a feature
    fills: bool = True
    #: turns Spark's output columns into the family's prediction columns
    present: Callable[[DataFrame], DataFrame] = field(default=lambda frame: frame)
    baseline: bool = False

    def __post_init__(self) -> None:
        if not self.fills and set(self.shares) != {1.0}:
            raise ValueError(f"{self.name} reads the array of features and so all of them; expected shares (1.0,), not {self.shares}")

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The estimator's parameters and the share of features kept."""
        kept = trial.suggest_categorical("features_kept", self.shares) if len(self.shares) > 1 else self.shares[0]
        return {**self.dimensions(trial), "features_kept": kept}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> TabularFitted:
        """Rank the features on `train`, keep the best, fit the estimator on them."""
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import VectorSlicer

        # the vector is made before it is cached: Spark fills an array element by element, and a learner reads it several times
        shown = sampled(with_vector(train) if self.fills else train, self.rows)
        at = self._places(shown, params["features_kept"])
        estimator = self.build(params)
        reads = "kept" if self.fills else FEATURES
        estimator = estimator.copy({estimator.getParam("featuresCol"): reads, estimator.getParam(_label(estimator)): self.label})
        if self.weight and estimator.hasParam("weightCol"):
            estimator = estimator.copy({estimator.getParam("weightCol"): self.weight})
        stages: list[Any] = [VectorSlicer(inputCol="vector", outputCol="kept", indices=list(at)), estimator] if self.fills else [estimator]
        model = Pipeline(stages=stages).fit(shown)
        return TabularFitted(model, tuple(self.features), tuple(at), self.present, self.export, self.fills)

    def _places(self, shown: DataFrame, share: float) -> Sequence[int]:
        count = len(self.features)
        return range(count) if share >= 1 else sorted(ranked(shown, self.label)[: max(1, round(count * share))])


def _label(estimator: Estimator) -> str:
    return "label_col" if estimator.hasParam("label_col") else "labelCol"


@dataclass(frozen=True)
class TabularFitted:
    """A fitted pipeline over `features`, and the `places` of those that its estimator reads."""

    spark_model: PipelineModel
    features: tuple[str, ...]
    places: tuple[int, ...]
    present: Callable[[DataFrame], DataFrame]
    export: Exporter
    fills: bool

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with the family's prediction columns."""
        return self.present(self.spark_model.transform(with_vector(frame) if self.fills else frame).drop("vector", "kept"))

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that the estimator reads, in their order."""
        return tuple(self.features[place] for place in self.places)

    @property
    def width(self) -> int:
        """How many features there are, those left out too."""
        return len(self.features)

    @property
    def stage(self) -> Any:
        """The fitted estimator, without the slicer before it."""
        return self.spark_model.stages[-1]

    def portable(self) -> Any:
        """The same model in plain arrays."""
        return self.export(self)


def in_order(frame: DataFrame) -> DataFrame:
    """The examples by their keys. Learners take their own samples by the place of a row, which else would depend on how many cores
    and machines there are: with `sampled`, a cluster learns what a laptop learns."""
    return frame.orderBy(*_keys_of(frame))


def sampled(frame: DataFrame, rows: int) -> DataFrame:
    """About `rows` rows of the frame, by a hash of their KEYS; all when 0 or when there are fewer; by their keys in order, in one
    partition. Cached: every trial on the same fold finds them again, until the training run clears its caches."""
    count, keys = frame.count() if rows else 0, _keys_of(frame)
    shown = frame.where(drawn(rows / count, *keys)) if count > rows > 0 else frame
    # by a shuffle: XGBoost's barrier stage refuses partitions that were put together without one
    return shown.repartition(1).sortWithinPartitions(*keys).persist()


def drawn(share: float, *keys: str) -> Column:
    """Whether a row is in a sample of that share of all, drawn by a hash of its keys: rows of equal keys all are, or none."""
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(*keys), F.lit(_PLACES)) < F.lit(int(_PLACES * share))


def at_most(frame: DataFrame, rows: int, *keys: str) -> DataFrame:
    """`rows` rows of the frame at most, by a hash of `keys` (all its KEYS unless given): rows of equal keys come together."""
    from pyspark.sql import functions as F

    own = _keys_of(frame)
    return frame.orderBy(F.xxhash64(*(keys or own)), *own).limit(rows)


def _keys_of(frame: DataFrame) -> list[str]:
    return [name for name in KEYS if name in frame.columns]


def matrix_of(arrays: pd.Series, columns: int) -> np.ndarray:
    """(rows, columns) numbers of a pandas column of arrays, such as FEATURES; NaN where not known."""
    return np.stack(arrays.tolist()) if len(arrays) else np.empty((0, columns), dtype=np.float32)


def with_vector(frame: DataFrame) -> DataFrame:
    """`frame` with FEATURES as an MLlib `vector` too, FILL where one is missing."""
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    filled = F.transform(FEATURES, lambda value: F.when(value.isNull() | F.isnan(value), F.lit(FILL)).otherwise(value.cast("double")))
    return frame.withColumn("vector", array_to_vector(filled))


def ranked(train: DataFrame, label: str) -> list[int]:
    """The places of the features in `vector` by their absolute correlation with `label`, strongest first; constant ones last. One
    pass."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.stat import Correlation

    both = VectorAssembler(inputCols=["vector", label], outputCol="both").transform(train)
    strength = np.abs(Correlation.corr(both, "both").collect()[0][0].toArray()[-1, :-1])
    return [int(place) for place in np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")]
