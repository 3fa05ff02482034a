"""What competes to order: fixed cover, the arithmetic on the plain level, and the same arithmetic on learned demand over
the lead time. Each adds `expected` (units over lead time and review), `patience` and `cover` (days; NaN: not that rule)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from training.demand.model import BoosterMean
from training.portable import Portable
from training.regressors import regressors
from training.stock.cover import FixedCover
from training.stock.lead_time_demand import LEAD_TIME_FEATURES, LeadTimeDemand
from training.stock.model import StockModel
from training.stock.replay import POLICY, REVIEWS, WARM_UP, collected, replay, ruled, whole
from training.tabular import TabularContender, TabularFitted

if TYPE_CHECKING:
    import optuna
    from pyspark.sql import DataFrame

#: rows that MLlib's learners are fitted on, sampled
MLLIB_ROWS = 15_000
_PATIENCE = (1.0, 4.0)
#: what the two rules without a regressor choose from, by replay of the newest weeks that they are fitted on
COVER_DAYS = (4.0, 6.0, 8.0, 11.0, 15.0, 20.0, 27.0, 36.0, 48.0, 64.0)
PATIENCES = (1.0, 1.8, 3.0, 5.0)


@dataclass(frozen=True)
class Ruled:
    """A rule without a regressor."""

    rule: FixedCover | StockModel

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with the rule's columns."""
        from pyspark.sql.types import DoubleType, StructField, StructType

        rule = self.rule

        def parts(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for part in frames:
                yield ruled(part, rule)

        return frame.mapInPandas(parts, StructType([*frame.schema.fields, *(StructField(name, DoubleType()) for name in POLICY)]))

    def portable(self) -> Portable:
        """The rule."""
        return self.rule


@dataclass(frozen=True)
class Cover:
    """Order up to a number of days of sales, another one for what spoils: each the cheapest in the weeks before."""

    name: str = "fixed_cover"
    baseline: bool = True

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Nothing: `fit` chooses the days."""
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Ruled:
        """The days that cost least over the newest weeks of `train`."""
        rows, reviews = newest_window(train)
        plain = rows.assign(expected=rows["base"], patience=1.0)
        money = np.array([replay(plain.assign(cover=days), reviews, _warm_up(reviews)).money for days in COVER_DAYS])
        fresh = np.isfinite(rows["state_shelf_life_days"].to_numpy(dtype=float)[::reviews])
        days, fresh_days = (COVER_DAYS[int(money[:, some].sum(axis=1).argmin())] for some in (~fresh, fresh))
        return Ruled(FixedCover(days, fresh_days))


@dataclass(frozen=True)
class Level:
    """The marginal arithmetic on the level and the week's profile."""

    name: str = "level_arithmetic"
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Nothing: `fit` chooses the patience."""
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Ruled:
        """The patience that costs least over the newest weeks of `train`."""
        rows, reviews = newest_window(train)
        plain = rows.assign(expected=rows["base"], cover=np.nan)
        return Ruled(StockModel(min(PATIENCES, key=lambda value: replay(plain.assign(patience=value), reviews, _warm_up(reviews)).cost)))


def newest_window(train: DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of `whole` of the newest reviews of `train`, and how many these are (REVIEWS at most)."""
    from pyspark.sql import functions as F

    days = sorted(row[0] for row in train.select("origin").distinct().collect())[-REVIEWS:]
    return whole(collected(train.where(F.col("origin").isin(days))), len(days)), len(days)


def _warm_up(reviews: int) -> int:
    return min(WARM_UP, reviews // 3)


@dataclass(frozen=True)
class Learned:
    """The marginal arithmetic on a regressor's demand over lead time and review."""

    tabular: TabularContender
    baseline: bool = False

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.tabular.name

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The regressor's parameters and the patience."""
        return {**self.tabular.space(trial), "patience": trial.suggest_float("patience", *_PATIENCE)}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> LearnedFitted:
        """Fit the factor over what level and profile expect."""
        return LearnedFitted(self.tabular.fit(train, params), params["patience"])


@dataclass(frozen=True)
class LearnedFitted:
    """A fitted regressor and the patience."""

    tabular: TabularFitted
    patience: float

    @property
    def spark_model(self) -> Any:
        """The fitted Spark pipeline."""
        return self.tabular.spark_model

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that the estimator reads."""
        return self.tabular.kept

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with the rule's columns."""
        from pyspark.sql import functions as F

        units = F.greatest(F.col("prediction").cast("double"), F.lit(0.0)) * F.col("base")
        policy = {"expected": units, "patience": F.lit(self.patience), "cover": F.lit(float("nan"))}
        return self.tabular.predict(frame).withColumns(policy)

    def portable(self) -> Portable:
        """The arithmetic on the regressor in arrays."""
        return StockModel(self.patience, demand=LeadTimeDemand(self.tabular.export(self.tabular)))


def contenders() -> Sequence[Any]:
    """The baseline, the plain arithmetic, and the field's regressors under it."""
    xgboost = TabularContender(
        "xgboost", LEAD_TIME_FEATURES, "factor", _xgboost, _xgboost_space, _booster, "weight", shares=(1.0,), fills=False
    )
    return (Cover(), Level(), *map(Learned, [*regressors(LEAD_TIME_FEATURES, MLLIB_ROWS), xgboost]))


def _xgboost(params: Mapping[str, Any]) -> Any:
    from xgboost.spark import SparkXGBRegressor

    return SparkXGBRegressor(
        objective="reg:tweedie",
        tweedie_variance_power=1.2,
        n_estimators=params["rounds"],
        max_depth=params["depth"],
        learning_rate=0.08,
        subsample=0.6,
        colsample_bynode=0.5,
        min_child_weight=20,
        reg_lambda=5.0,
        max_bin=64,
        tree_method="hist",
        num_workers=1,
        verbose=False,
        random_state=0,
        verbosity=0,
    )


def _xgboost_space(trial: optuna.Trial) -> dict[str, Any]:
    return {"rounds": trial.suggest_int("rounds", 20, 80), "depth": trial.suggest_int("depth", 2, 5)}


def _booster(fitted: TabularFitted) -> Any:
    return BoosterMean(fitted.stage.get_booster(), offset=False)
