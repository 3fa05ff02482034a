"""The demand family on Spark: how many units a pair will sell on each of the next days, if it is on the shelf."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES
from feature_repo.shut import sold
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.lake import Lake
from infra.settings import Settings
from infra.tables import Table
from training.demand.card import CARD
from training.demand.contenders import CalibratedFitted, contenders
from training.demand.dataset import HORIZON, examples
from training.demand.examples import FULL, rows_of
from training.demand.model import DemandModel
from training.evaluation import metrics
from training.family import Card, Contender, Fitted, Fold
from training.parity import largest_gap
from training.portable import Portable
from training.rolling import rolling_folds
from training.tables import FORECASTS, QUANTILES
from training.tabular import at_most

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: rolling origins judged: all but the newest for tuning
FOLDS = 3
#: forecasts judged on the driver at most, whole pairs, sampled
JUDGED_ROWS = 300_000


@dataclass(frozen=True)
class DemandFamily:
    """See training.family.Family."""

    card: Card = CARD
    sources: Sequence[Table] = (DEMAND_FEATURES, DEMAND_DAILY)
    decisions: Table = FORECASTS

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """Examples of weekly origins, each with the next seven days."""
        return examples(spark, settings)

    def folds(self, data: DataFrame) -> Sequence[Fold]:
        """The newest origins, a week apart, so that no day is judged twice."""
        origins = sorted(row[0] for row in data.select("origin").distinct().collect())
        return [replace(fold, test=_judged(fold.test)) for fold in rolling_folds(data, origins[-FOLDS:], HORIZON)]

    def contenders(self) -> Sequence[Contender]:
        """Seasonal naive, level profile, MLlib's regressors, XGBoost."""
        return contenders()

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """WQL, RMSSE, WAPE, bias and coverage on whole days in stock, pooled and by intermittency class."""
        model, held_out = fitted.portable(), fold.held_out
        assert isinstance(model, DemandModel)
        rows = rows_of(held_out)
        units = model.units(rows)
        quantiles = model.quantiles(rows, units, held_out["horizon"].to_numpy(), list(QUANTILES.values()))
        found = {"units_mean": units, **{name: quantiles[:, at] for at, name in enumerate(QUANTILES)}}
        return metrics.by_segment(held_out[["store_id", "product_id", "segment", "units", "scale"]].assign(**found), "segment", _METRICS)

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The fitted mean with its calibration, as it was judged."""
        return fitted.portable()

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Means of example rows by both; the quantiles are the same function of them."""
        assert isinstance(fitted, CalibratedFitted) and isinstance(portable, DemandModel)
        frame = fitted.predict(sample).toPandas()
        mine, theirs = portable.units(rows_of(frame)), frame["units_mean"].to_numpy()
        return largest_gap(mine, theirs)

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """The next seven days of every pair that is sold (feature_repo/shut.py), from its newest features, in groups of pairs by the
        portable model. Days before are left as they were forecast: their champion would tell what it was trained on."""
        from pyspark.sql import functions as F

        lake = Lake(settings.lake_url)
        features = lake.read(spark, DEMAND_FEATURES)
        last = day or features.agg(F.max("ds")).collect()[0][0]
        asked = features.where(F.col("ds") == F.lit(last)).withColumn("horizon", F.lit(HORIZON))

        def forecast(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for every in frames:
                frame = every[sold(every)].reset_index(drop=True)
                if frame.empty:
                    continue
                found = model.predict(frame)
                keys = frame[["ds", "store_id", "product_id"]].rename(columns={"ds": "origin"}).iloc[found["item"]].reset_index(drop=True)
                yield pd.concat([keys, found.drop(columns="item").reset_index(drop=True)], axis=1).assign(model_version=version)[
                    FORECASTS.names
                ]

        wanted = asked.select("ds", "store_id", "product_id", "horizon", "store_shut", *ORIGIN_FEATURES)
        return wanted.mapInPandas(forecast, FORECASTS.spark_schema())

    def example(self, test: DataFrame) -> pd.DataFrame:
        """Two requests with their online features, as the service builds them."""
        keys = pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["slow", "fast"], "horizon": [7, 7]})
        values = pd.DataFrame({name: [0.1, 2.0] for name in ORIGIN_FEATURES}, dtype=float).assign(origin_day=17_000.0)
        return pd.concat([keys, values], axis=1)


def _judged(test: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return at_most(test.where(F.col("in_stock") >= FULL), JUDGED_ROWS, "store_id", "product_id")


def _wql(frame: pd.DataFrame) -> float:
    return metrics.wql(frame["units"].to_numpy(), frame[list(QUANTILES)].to_numpy(), list(QUANTILES.values()))


def _rmsse(frame: pd.DataFrame) -> float:
    squares = (
        frame.assign(square=(frame["units"] - frame["units_mean"]) ** 2).groupby(["store_id", "product_id"])[["square", "scale"]].mean()
    )
    scaled = np.sqrt(squares["square"] / squares["scale"].where(squares["scale"] > 0))
    return float(scaled.mean())


_METRICS = {
    "wql": _wql,
    "rmsse": _rmsse,
    "wape": lambda frame: metrics.wape(frame["units"].to_numpy(), frame["units_mean"].to_numpy()),
    "bias": lambda frame: metrics.bias(frame["units"].to_numpy(), frame["units_mean"].to_numpy()),
    "coverage_q90": lambda frame: metrics.coverage(frame["units"].to_numpy(), frame["q90"].to_numpy()),
}

FAMILY = DemandFamily()
