"""What competes to forecast demand: two cheap baselines and the MLlib and XGBoost regressors, each turned into a
distribution by the same calibration on origins that its fit has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from training.demand.error import calibrated, fit_error
from training.demand.examples import EXAMPLE_FEATURES
from training.demand.ground import Ground, with_margin, with_told
from training.demand.model import BoosterMean, DemandModel, MeanPredictor, OffsetMean
from training.demand.profiles import ProfileMean, SeasonalNaiveMean, StackedMean
from training.regressors import regressors
from training.tabular import TabularContender, TabularFitted

if TYPE_CHECKING:
    import optuna
    from pyspark.sql import DataFrame

#: rows that MLlib's learners are fitted on, sampled
MLLIB_ROWS = 20_000
_SEED = 0


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

    def fit(self, ground: Ground, params: Mapping[str, Any]) -> MeanFitted: ...


@dataclass(frozen=True)
class Calibrated:
    """A mean forecaster with quantiles around it."""

    mean: MeanContender
    #: of each training set, found again by the contenders that share it
    grounds: dict[DataFrame, Ground]

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
        """Fit the mean on the older origins and the calibration on the newest ones. Which forecasts are how wild is learnt, but for
        a baseline, which stays cheap: the series' own deviation tells."""
        ground = self.grounds.setdefault(train, Ground(train))
        fitted = self.mean.fit(ground, params)
        mean = fitted.portable()
        error = None if self.baseline else fit_error(mean, ground.fitted_on, _SEED)
        return CalibratedFitted(fitted, DemandModel(mean, calibrated(mean, error, ground.held_back), error=error))


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

    def fit(self, ground: Ground, params: Mapping[str, Any]) -> Baseline:
        """Itself."""
        return self

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `units_mean`."""
        return with_told(frame, "units_mean", self.rule.predict)

    def portable(self) -> MeanPredictor:
        """The rule."""
        return self.rule


@dataclass(frozen=True)
class Learned:
    """A pyspark.ml regressor of the factor over the profile."""

    tabular: TabularContender
    baseline: bool = False

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.tabular.name

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The regressor's parameters."""
        return self.tabular.space(trial)

    def fit(self, ground: Ground, params: Mapping[str, Any]) -> LearnedFitted:
        """Fit on the older origins."""
        return LearnedFitted(self.tabular.fit(ground.older, params))


@dataclass(frozen=True)
class LearnedFitted:
    """A fitted regressor."""

    tabular: TabularFitted

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

        factor = F.greatest(F.col("prediction").cast("double"), F.lit(0.0))
        return self.tabular.predict(frame).withColumn("units_mean", factor * F.col("base"))

    def portable(self) -> MeanPredictor:
        """The regressor in arrays, over all EXAMPLE_FEATURES."""
        return self.tabular.portable()


@dataclass(frozen=True)
class Boosted(Learned):
    """A pyspark.ml regressor of units whose base margin is the logarithm of the stack of simple forecasts."""

    def fit(self, ground: Ground, params: Mapping[str, Any]) -> BoostedFitted:
        """Fit on the older origins."""
        return BoostedFitted(self.tabular.fit(ground.over_stack, params), ground.stack)


@dataclass(frozen=True)
class BoostedFitted(LearnedFitted):
    """A fitted regressor over its `stack`."""

    stack: StackedMean

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with `units_mean` of a whole day in stock."""
        from pyspark.sql import functions as F

        found = self.tabular.predict(with_margin(frame, self.stack))
        return found.withColumn("units_mean", F.col("prediction").cast("double"))

    def portable(self) -> MeanPredictor:
        """The stack and the regressor over it, in arrays."""
        return OffsetMean(self.stack, self.tabular.portable())


def contenders() -> Sequence[Calibrated]:
    """Baselines first."""
    baselines: list[MeanContender] = [Baseline("seasonal_naive", SeasonalNaiveMean()), Baseline("level_profile", ProfileMean())]
    grounds: dict[DataFrame, Ground] = {}
    return [Calibrated(mean, grounds) for mean in [*baselines, *learners()]]


def learners() -> Sequence[Learned]:
    """The field's regressors with their search spaces."""
    xgboost = TabularContender("xgboost", EXAMPLE_FEATURES, "units", _xgboost, _xgboost_space, _booster, shares=(1.0,), fills=False)
    return (*map(Learned, regressors(EXAMPLE_FEATURES, MLLIB_ROWS)), Boosted(xgboost))


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
