"""What competes to forecast demand, on examples in Spark: what is learnt is learnt from the older origins, and serves as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import numpy as np
import optuna
import pandas as pd
import pytest

from feature_repo.demand_features import origin_features
from feature_repo.panel import from_frame
from training.demand import dataset
from training.demand.contenders import CalibratedFitted, contenders
from training.demand.dataset import HORIZON
from training.demand.examples import EXAMPLE_FEATURES, FLOOR, rows_of
from training.demand.explain import drivers, explained
from training.demand.family import FAMILY
from training.demand.ground import CALIBRATION_ORIGINS, Ground
from training.demand.model import OffsetMean
from training.demand.profiles import StackedMean
from training.tuning import middle

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAYS, PAIRS = 160, 40
ORIGINS = range(90, DAYS - HORIZON, HORIZON)


def sold() -> pd.DataFrame:
    ds, rng = pd.date_range("2024-01-01", periods=DAYS), np.random.default_rng(0)
    weekend = 1 + 0.5 * (ds.dayofweek >= 5)
    rates = np.geomspace(0.3, 8, PAIRS)
    parts = [
        pd.DataFrame({"store_id": "a", "product_id": str(p), "ds": ds, "units": rng.poisson(rates[p] * weekend)}) for p in range(PAIRS)
    ]
    return pd.concat(parts)


@pytest.fixture(scope="module")
def examples(spark: SparkSession) -> DataFrame:
    panel = from_frame(sold())
    known, count = origin_features(panel, list(ORIGINS)), len(panel.keys)
    parts = []
    for at, position in enumerate(ORIGINS):
        keys = panel.keys.assign(
            origin=panel.days[position].date(), scale=1.0, in_stock=1.0, known=list(known[:, at]), series=np.arange(count)
        )
        for ahead in range(1, HORIZON + 1):
            day = panel.days[position + ahead].date()
            parts.append(keys.assign(ds=day, horizon=ahead, units=panel.units[:, position + ahead]))
    shaped = dataset.shaped(pd.concat(parts, ignore_index=True))
    return spark.createDataFrame(shaped, dataset.schema()).localCheckpoint()


@pytest.fixture(scope="module")
def xgboost(examples: DataFrame) -> CalibratedFitted:
    return fitted(["xgboost"], examples)[0]


def fitted(names: Sequence[str], examples: DataFrame) -> list[CalibratedFitted]:
    chosen = [contender for contender in contenders() if contender.name in names]
    return [
        contender.fit(examples, contender.space(cast("optuna.Trial", optuna.trial.FixedTrial(middle(contender))))) for contender in chosen
    ]


def test_boosted_trees_stand_on_the_stack_and_serve_as_spark_fitted_them(examples: DataFrame, xgboost: CalibratedFitted) -> None:
    portable = xgboost.portable()
    assert isinstance(portable.mean, OffsetMean) and isinstance(portable.mean.offset, StackedMean)
    newest = examples.where(examples.origin == examples.agg({"origin": "max"}).collect()[0][0]).localCheckpoint()
    assert FAMILY.parity(xgboost, portable, newest) < 1e-4
    frame = newest.toPandas()
    rows = rows_of(frame)
    # the margin is the stack's forecast: with the profile's the same trees would say something else
    other = portable.mean.boosted.predict(rows)
    assert np.abs(other / np.maximum(portable.units(rows), FLOOR) - 1).max() > 0.05
    assert portable.units(rows).sum() == pytest.approx(frame["units"].sum(), rel=0.1)


def test_a_forecast_over_the_stack_is_told_by_drivers_that_sum_to_it(examples: DataFrame, xgboost: CalibratedFitted) -> None:
    rows, model = rows_of(examples.limit(200).toPandas()), xgboost.portable()
    parts = explained(model, rows, drivers(EXAMPLE_FEATURES))
    np.testing.assert_allclose(sum(parts.values()), model.units(rows), atol=1e-6)
    assert len(parts) > 4


def test_what_is_held_back_is_not_learnt_from(examples: DataFrame) -> None:
    ground = Ground(examples)
    origins = sorted(row[0] for row in examples.select("origin").distinct().collect())
    older = {row[0] for row in ground.older.select("origin").distinct().collect()}
    held = len(origins) // 3
    assert 1 < held <= CALIBRATION_ORIGINS and older == set(origins[:-held])
    assert len(ground.held_back.units) == held * PAIRS * HORIZON
    assert ground.fitted_on.rows.ds.max().date() <= max(older) + timedelta(days=HORIZON)
    few = Ground(examples.where(examples.origin <= origins[1]))
    assert few.older.count() == few.train.count() and not len(few.held_back.units)


def test_only_the_learnt_learn_how_wild_a_forecast_is(examples: DataFrame) -> None:
    profile, linear = fitted(["level_profile", "linear_regression"], examples)
    assert profile.portable().error is None and linear.portable().error is not None


def test_trials_on_the_same_examples_share_what_the_driver_learns(examples: DataFrame) -> None:
    both = [contender for contender in contenders() if contender.name in {"level_profile", "seasonal_naive"}]
    for contender in both:
        contender.fit(examples, {})
    assert both[0].grounds is both[1].grounds and list(both[0].grounds) == [examples]
