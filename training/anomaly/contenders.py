"""What competes to rank days by strangeness: residual bands, pooled tails, and the distance to MLlib's cluster centres; each
with the same calibration of its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from training.anomaly.day import CHANNELS
from training.anomaly.model import ALERT_AT, AnomalyModel, Bands, Centres, Ranking, Tails, upper_tail
from training.tabular import at_most

if TYPE_CHECKING:
    import optuna
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

#: days that the calibration reads on the driver, sampled
CALIBRATION_ROWS = 200_000

#: fits a ranking on clean days; the second value is its Spark model, where there is one
Learn = Callable[["DataFrame", pd.DataFrame, Mapping[str, Any]], tuple[Ranking, Any]]


@dataclass
class DayContender:
    """A way to rank days."""

    name: str
    learn: Learn
    dimensions: Callable[[optuna.Trial], dict[str, Any]]
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Its parameters."""
        return self.dimensions(trial)

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> DayFitted:
        """Learn on days as they were: what was injected teaches nothing."""
        from pyspark.sql import functions as F

        clean = train.where(~F.col("injected"))
        drawn = at_most(clean, CALIBRATION_ROWS)
        sample = drawn.select("store_id", "product_id", "ds", *CHANNELS, "z").persist().toPandas()  # for every trial on the fold
        ranking, spark_model = self.learn(clean, sample, params)
        return DayFitted(AnomalyModel(ranking, *upper_tail(ranking.raw(sample))), spark_model)


@dataclass(frozen=True)
class DayFitted:
    """A calibrated ranking, and the Spark pipeline behind it where there is one."""

    model: AnomalyModel
    spark_model: PipelineModel | None

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `score` and `alert`; distances are taken to the centre that KMeans chose (a bisecting model
        descends its tree and may miss the nearest one)."""
        from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

        schema = StructType([*frame.schema.fields, StructField("score", DoubleType()), StructField("alert", BooleanType())])
        model, names = self.model, frame.columns
        pipeline = (
            self.spark_model if self.spark_model is not None and type(self.spark_model.stages[-1]).__name__ == "KMeansModel" else None
        )
        clustered = pipeline is not None
        rows = pipeline.transform(frame).select(*names, "cluster") if pipeline is not None else frame

        def scored(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for part in frames:
                score = _score(model, part, part["cluster"].to_numpy() if clustered else None)
                yield part[names].assign(score=score, alert=score >= ALERT_AT)

        return rows.mapInPandas(scored, schema)

    def portable(self) -> AnomalyModel:
        """The calibrated ranking."""
        return self.model


def _score(model: AnomalyModel, part: pd.DataFrame, cluster: np.ndarray | None) -> np.ndarray:
    if cluster is None:
        return model.score(part)
    assert isinstance(model.ranking, Centres)
    chosen = model.ranking.distances(part)[np.arange(len(part)), cluster]
    return AnomalyModel(_Given(chosen), model.tail, model.shares).score(part)


@dataclass(frozen=True)
class _Given:
    """A ranking that is already known."""

    values: np.ndarray

    def raw(self, found: pd.DataFrame) -> np.ndarray:
        return self.values

    def arrays(self) -> dict[str, np.ndarray]:
        return {"values": self.values}


def contenders() -> Sequence[DayContender]:
    """Baseline first."""
    return (
        DayContender("residual_bands", lambda train, sample, p: (Bands(), None), lambda trial: {}, baseline=True),
        DayContender("pooled_tails", _tails, lambda trial: {}),
        DayContender("kmeans", _clusters("KMeans"), _clusters_space),
        DayContender("bisecting_kmeans", _clusters("BisectingKMeans"), _clusters_space),
    )


def _tails(train: DataFrame, sample: pd.DataFrame, params: Mapping[str, Any]) -> tuple[Ranking, Any]:
    tails = [upper_tail(sample[name].to_numpy(dtype=float)) for name in CHANNELS]
    return Tails(np.stack([tail for tail, _ in tails]), tails[0][1]), None


def _clusters_space(trial: optuna.Trial) -> dict[str, Any]:
    return {"k": trial.suggest_int("k", 2, 12)}


def _clusters(kind: str) -> Learn:
    def learn(train: DataFrame, sample: pd.DataFrame, params: Mapping[str, Any]) -> tuple[Ranking, Any]:
        import pyspark.ml.clustering as clustering
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import StandardScaler, VectorAssembler

        stages = [
            VectorAssembler(inputCols=list(CHANNELS), outputCol="raw_channels"),
            StandardScaler(inputCol="raw_channels", outputCol="scaled_channels", withMean=False, withStd=True),
            getattr(clustering, kind)(k=params["k"], seed=0, featuresCol="scaled_channels", predictionCol="cluster", maxIter=15),
        ]
        model = Pipeline(stages=stages).fit(train)
        scaler, clusters = cast(Any, model.stages[1]), cast(Any, model.stages[2])
        deviation = scaler.std.toArray()
        # Spark scales a column without spread to 0
        scale = np.where(deviation > 0, deviation, np.inf)
        return Centres(np.array(clusters.clusterCenters()), scale), model

    return learn
