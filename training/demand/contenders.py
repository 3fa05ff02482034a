"""What competes to forecast demand: two cheap baselines and the MLlib and XGBoost regressors, each turned into a
distribution by the same calibration on origins that its fit has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from training.demand.calibration import Calibration
from training.demand.examples import EXAMPLE_FEATURES, FULL, rows_of, spread
from training.demand.model import BoosterMean, DemandModel, MeanPredictor
from training.demand.profiles import ProfileMean, SeasonalNaiveMean
from training.regressors import regressors
from training.tabular import FEATURES, TabularContender, TabularFitted, at_most

if TYPE_CHECKING:
    import optuna
    from pyspark.sql import DataFrame

#: the newest origins of a training set, held back from the fit to calibrate on
CALIBRATION_ORIGINS = 2
#: rows that the calibration reads on the driver, sampled
CALIBRATION_ROWS = 60_000
#: rows that MLlib's learners are fitted on, sampled
MLLIB_ROWS = 20_000


class MeanFitted(Protocol):
    """A fitted mean forecaster on Spark: adds `units_mean`."""

    def predict(self, frame: DataFrame) -> DataFrame: ...

    def portable(self) -> MeanPredictor: ...


class MeanContender(Protocol):
    """A mean forecaster to be fitted on Spark."""

    @property
    def name(self) -> str: ...

    @property
    def baseline(self) -> bool: ...

    def space(self, trial: optuna.Trial) -> dict[str, Any]: ...

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> MeanFitted: ...


@dataclass(frozen=True)
class Calibrated:
    """A mean forecaster with quantiles around it."""

    mean: MeanContender

    @property
    def name(self) -> str:
        """The mean forecaster's name."""
        return self.mean.name

    @property
    def baseline(self) -> bool:
        """Whether it is a cheap baseline."""
        return self.mean.baseline

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The mean forecaster's search space."""
        return self.mean.space(trial)

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> CalibratedFitted:
        """Fit the mean on the older origins and the calibration on the newest ones."""
        from pyspark.sql import functions as F

        newest = _newest_origins(train, CALIBRATION_ORIGINS)
        held_back = F.col("origin").isin(newest)
        fitted = self.mean.fit(train.where(~held_back) if newest else train, params)
        mean = fitted.portable()
        return CalibratedFitted(fitted, DemandModel(mean, _calibration(mean, train.where(held_back))))


@dataclass(frozen=True)
class CalibratedFitted:
    """The fitted mean, and the model with its calibration that would serve."""

    mean: MeanFitted
    model: DemandModel

    @property
    def spark_model(self) -> Any:
        """The Spark pipeline of the mean; None for a baseline."""
        return getattr(self.mean, "spark_model", None)

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that the mean reads; none for a baseline."""
        return getattr(self.mean, "kept", ())

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `units_mean`, of which the quantiles are a function."""
        return self.mean.predict(frame)

    def portable(self) -> DemandModel:
        """The model without Spark."""
        return self.model


@dataclass(frozen=True)
class Baseline:
    """A rule that learns nothing: `rule` in arrays, the same in Spark through it."""

    name: str
    rule: MeanPredictor
    baseline: bool = True

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Nothing to tune."""
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Baseline:
        """Itself."""
        return self

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `units_mean`."""
        from pyspark.sql.types import DoubleType, StructField, StructType

        rule = self.rule

        def ruled(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for part in frames:
                yield part.assign(units_mean=rule.predict(rows_of(part)))

        return frame.mapInPandas(ruled, StructType([*frame.schema.fields, StructField("units_mean", DoubleType())]))

    def portable(self) -> MeanPredictor:
        """The rule."""
        return self.rule


@dataclass(frozen=True)
class Learned:
    """A pyspark.ml regressor of the factor over the profile (`offset` False) or, by its own offset, of units."""

    tabular: TabularContender
    offset: bool = False
    baseline: bool = False

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.tabular.name

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The regressor's parameters."""
        return self.tabular.space(trial)

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> LearnedFitted:
        """Fit on rows in stock long enough; half a day in stock is half a day's offset or weight."""
        from pyspark.sql import functions as F

        return LearnedFitted(self.tabular.fit(train.withColumn("margin", F.log(F.col("base") * F.col("in_stock"))), params), self.offset)


@dataclass(frozen=True)
class LearnedFitted:
    """A fitted regressor."""

    tabular: TabularFitted
    offset: bool

    @property
    def spark_model(self) -> Any:
        """The fitted Spark pipeline."""
        return self.tabular.spark_model

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that the estimator reads."""
        return self.tabular.kept

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `units_mean` of a whole day in stock."""
        from pyspark.sql import functions as F

        found = self.tabular.predict(frame.withColumn("margin", F.log("base")))
        scale = F.lit(1.0) if self.offset else F.col("base")
        return found.withColumn("units_mean", F.greatest(F.col("prediction").cast("double"), F.lit(0.0)) * scale)

    def portable(self) -> MeanPredictor:
        """The regressor in arrays, over all EXAMPLE_FEATURES."""
        return self.tabular.export(self.tabular)


def contenders() -> Sequence[Calibrated]:
    """Baselines first."""
    baselines: list[MeanContender] = [Baseline("seasonal_naive", SeasonalNaiveMean()), Baseline("level_profile", ProfileMean())]
    return [Calibrated(mean) for mean in [*baselines, *learners()]]


def learners() -> Sequence[Learned]:
    """The field's regressors with their search spaces."""
    xgboost = TabularContender("xgboost", EXAMPLE_FEATURES, "units", _xgboost, _xgboost_space, _booster, shares=(1.0,), fills=False)
    return (*map(Learned, regressors(EXAMPLE_FEATURES, MLLIB_ROWS)), Learned(xgboost, offset=True))


def _xgboost(params: Mapping[str, Any]) -> Any:
    from xgboost.spark import SparkXGBRegressor

    return SparkXGBRegressor(
        objective="reg:tweedie",
        tweedie_variance_power=params["power"],
        n_estimators=params["rounds"],
        max_depth=params["depth"],
        learning_rate=params["rate"],
        subsample=0.6,
        colsample_bynode=0.5,
        min_child_weight=params["child"],
        reg_lambda=5.0,
        max_bin=64,
        tree_method="hist",
        base_margin_col="margin",
        num_workers=1,
        verbose=False,
        random_state=0,
        verbosity=0,
    )


def _xgboost_space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "rounds": trial.suggest_int("rounds", 40, 120),
        "depth": trial.suggest_int("depth", 3, 7),
        "rate": trial.suggest_float("rate", 0.03, 0.1, log=True),
        "child": trial.suggest_float("child", 5, 80, log=True),
        "power": trial.suggest_float("power", 1.05, 1.5),
    }


def _booster(fitted: TabularFitted) -> Any:
    return BoosterMean(fitted.stage.get_booster())


def _newest_origins(train: DataFrame, count: int) -> list[date]:
    days = sorted(row[0] for row in train.select("origin").distinct().collect())
    return days[-count:] if len(days) > count else []


def _calibration(mean: MeanPredictor, held_back: DataFrame) -> Calibration:
    """Learned from a bounded sample of whole days in stock, which every trial on the same fold finds again."""
    from pyspark.sql import functions as F

    drawn = at_most(held_back.where(F.col("in_stock") >= FULL), CALIBRATION_ROWS)
    frame = drawn.select("ds", "units", "horizon", "base", FEATURES).persist().toPandas()
    rows = rows_of(frame)
    return Calibration.fit(mean.predict(rows), frame["units"].to_numpy(), spread(rows), frame["horizon"].to_numpy())
