"""What competes to foresee silence: the recency rule, the closed form, and MLlib's classifiers; each calibrated on newer
origins than it was fitted on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from infra.errors import TooLittleHistory
from training.slow_mover.card import CARD, FEATURES, HORIZON
from training.slow_mover.closed_form import fit_beta_geometric
from training.slow_mover.model import (
    DERIVED,
    ClosedFormScorer,
    LinearScorer,
    RecencyScorer,
    Scorer,
    SlowMoverModel,
    TreesScorer,
    calibrated,
    recency_frequency,
)
from training.tabular import FEATURES as TABULAR
from training.tabular import TabularContender, TabularFitted, at_most, matrix_of
from training.trees import TreeEnsemble

if TYPE_CHECKING:
    import optuna
    from pyspark.sql import DataFrame

#: newest origins of a training set, held back from the fit to calibrate on
CALIBRATION_ORIGINS = 2
#: rows read on the driver, sampled: for the rules and the calibration
DRIVER_ROWS = 60_000
#: rows that MLlib's learners are fitted on, sampled
MLLIB_ROWS = 60_000

_COLUMNS = (*FEATURES, *DERIVED)

#: fits a scorer on examples; the second value is its Spark model, where there is one
Learn = Callable[["DataFrame", Mapping[str, Any]], tuple[Scorer, TabularFitted | None]]


@dataclass
class SilenceContender:
    """A way to foresee silence."""

    name: str
    learn: Learn
    dimensions: Callable[[optuna.Trial], dict[str, Any]]
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Its parameters."""
        return self.dimensions(trial)

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> SilenceFitted:
        """Fit on the older origins, calibrate on the newest."""
        from pyspark.sql import functions as F

        origins = sorted(row[0] for row in train.select("origin").distinct().collect())
        older, newest = _parted(origins)
        scorer, tabular = self.learn(train.where(F.col("origin").isin(older)), params)
        sample = _sample(train.where(F.col("origin").isin(newest)))
        slope, offset = _platt(scorer.probability(sample), sample[CARD.label].to_numpy(dtype=float))
        return SilenceFitted(SlowMoverModel(scorer, slope, offset), tabular)


def _parted(origins: Sequence[date]) -> tuple[Sequence[date], Sequence[date]]:
    """The ascending origins to fit on, and those to calibrate on: the newest, and the older ones whose label was complete by
    then, since labels that share days would call the fit surer than it is. Too few for that: all older ones; for either: all."""
    newest = origins[-CALIBRATION_ORIGINS:]
    older = origins[:-CALIBRATION_ORIGINS]
    complete = [day for day in older if day <= newest[0] - timedelta(days=HORIZON)]
    return (complete or older, newest) if older else (origins, origins)


@dataclass(frozen=True)
class SilenceFitted:
    """A calibrated scorer, and the Spark pipeline behind it where there is one."""

    model: SlowMoverModel
    tabular: TabularFitted | None

    @property
    def spark_model(self) -> Any:
        """The fitted Spark pipeline, or None."""
        return self.tabular.spark_model if self.tabular else None

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that the estimator reads; none for a rule."""
        return self.tabular.kept if self.tabular else ()

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `chance`, the calibrated probability; a pipeline's own probabilities are Spark's."""
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F
        from pyspark.sql.types import DoubleType, StructField, StructType

        schema = StructType([*frame.schema.fields, StructField("chance", DoubleType())])
        names, model, rows = frame.columns, self.model, frame
        if self.tabular:
            rows = self.tabular.predict(frame).select(*names, vector_to_array(F.col("probability"))[1].alias("spoken"))

        def chances(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for part in frames:
                raw = part["spoken"].to_numpy() if "spoken" in part else model.scorer.probability(named(part))
                yield part[names].assign(chance=calibrated(raw, model.slope, model.offset))

        return rows.mapInPandas(chances, schema)

    def portable(self) -> SlowMoverModel:
        """The same without Spark."""
        return self.model


def contenders() -> Sequence[SilenceContender]:
    """Baselines first."""
    from pyspark.ml.classification import LogisticRegression, RandomForestClassifier

    return (
        SilenceContender("recency_rule", _recency, lambda trial: {}, baseline=True),
        SilenceContender("closed_form", _closed_form, lambda trial: {}, baseline=True),
        _mllib("logistic_regression", lambda p: LogisticRegression(regParam=p["reg"], maxIter=40),
               lambda t: {"reg": t.suggest_float("reg", 1e-5, 0.1, log=True)}, _linear),
        _mllib("random_forest", lambda p: RandomForestClassifier(numTrees=30, maxDepth=p["depth"], minInstancesPerNode=20, seed=0),
               lambda t: {"depth": t.suggest_int("depth", 4, 8)}, _trees),
        _mllib("gbt", _boosted, lambda t: {"rounds": t.suggest_int("rounds", 10, 30), "depth": t.suggest_int("depth", 2, 4)}, _trees),
    )  # fmt: skip


def _boosted(params: Mapping[str, Any]) -> Any:
    from pyspark.ml.classification import GBTClassifier

    return GBTClassifier(
        maxIter=params["rounds"], maxDepth=params["depth"], stepSize=0.1, minInstancesPerNode=50, subsamplingRate=0.7, seed=0
    )


def _mllib(name: str, build: Any, dimensions: Any, export: Callable[[TabularFitted], Scorer]) -> SilenceContender:
    tabular = TabularContender(name, _COLUMNS, CARD.label, build, dimensions, export, rows=MLLIB_ROWS)

    def learn(train: DataFrame, params: Mapping[str, Any]) -> tuple[Scorer, TabularFitted | None]:
        if train.select(CARD.label).distinct().count() < 2:
            raise TooLittleHistory(
                "slow_mover: in the history so far all pairs sold, or none did, and nothing tells them apart: ingest more days or pairs."
            )
        fitted = tabular.fit(train, params)
        return export(fitted), fitted

    return SilenceContender(name, learn, tabular.space)


def _linear(fitted: TabularFitted) -> LinearScorer:
    model = fitted.stage
    return LinearScorer(tuple(float(v) for v in model.coefficients.toArray()), float(model.intercept), fitted.kept)


def _trees(fitted: TabularFitted) -> TreesScorer:
    return TreesScorer(TreeEnsemble.from_spark(fitted.stage), fitted.kept)


def _recency(train: DataFrame, params: Mapping[str, Any]) -> tuple[Scorer, None]:
    edges = (1, 2, 3, 4, 6, 8, 11, 15, 22, 29, 43, 57, 85, 120, 180)
    sample = _sample(train)
    at = np.digitize(sample["days_since_sale"].fillna(np.inf), edges)
    mean = sample[CARD.label].mean()
    shares = [float((sample[CARD.label][at == k].sum() + 2 * mean) / ((at == k).sum() + 2)) for k in range(len(edges) + 1)]
    # longer silence is never a better sign
    return RecencyScorer(edges, tuple(np.maximum.accumulate(shares).tolist())), None


def _closed_form(train: DataFrame, params: Mapping[str, Any]) -> tuple[Scorer, None]:
    sample = _sample(train)
    return ClosedFormScorer(fit_beta_geometric(recency_frequency(sample), sample[CARD.label].to_numpy(dtype=float), float(HORIZON))), None


def named(examples: pd.DataFrame) -> pd.DataFrame:
    """The features of examples in pandas, a column each."""
    return pd.DataFrame(matrix_of(examples[TABULAR], len(_COLUMNS)), columns=list(_COLUMNS))


def _sample(rows: DataFrame) -> pd.DataFrame:
    some = at_most(rows, DRIVER_ROWS).select(TABULAR, CARD.label).persist().toPandas()  # every trial on the same fold finds it again
    return named(some).assign(**{CARD.label: some[CARD.label]})


def _platt(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Slope and offset of least log loss, drawn to 1 and 0 as if by a hundred rows."""
    from scipy.optimize import minimize

    def loss(v: np.ndarray) -> float:
        p = np.clip(calibrated(probability, v[0], v[1]), 1e-9, 1 - 1e-9)
        drawn = 100.0 / max(len(label), 1) * ((v[0] - 1) ** 2 + v[1] ** 2)
        return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)) + drawn)

    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0.1, 3.0), (-3.0, 3.0)])
    return float(found.x[0]), float(found.x[1])
