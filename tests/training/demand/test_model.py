"""The serving model: every kind of mean says the same after saving, and answers rows for every item asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.panel import from_frame
from training.demand.calibration import Calibration
from training.demand.examples import EXAMPLE_FEATURES, Rows, example_rows
from training.demand.model import BoosterMean, DemandModel, LinearMean, MeanPredictor, MixedMean, OffsetMean, TreesMean, filled
from training.demand.profiles import ProfileMean, SeasonalNaiveMean, StackedMean
from training.portable import load_portable, save_portable
from training.tables import QUANTILES
from training.trees import TreeEnsemble

K = len(EXAMPLE_FEATURES)


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    ds, rng = pd.date_range("2024-01-01", periods=90), np.random.default_rng(0)
    parts = [pd.DataFrame({"store_id": "a", "product_id": str(p), "ds": ds, "units": rng.poisson(1 + p, 90)}) for p in range(8)]
    panel = from_frame(pd.concat(parts))
    found = origin_features(panel, [75])[:, 0].astype(float)
    return pd.concat([panel.keys.assign(ds=panel.days[75]), pd.DataFrame(found, columns=list(ORIGIN_FEATURES))], axis=1)


def rows_ahead(features: pd.DataFrame, horizons: list[int]) -> Rows:
    """The model's rows of each of `features` and each of `horizons`."""
    count = len(horizons)
    return example_rows(np.repeat(features[list(ORIGIN_FEATURES)].to_numpy(), count, axis=0), np.tile(horizons, len(features)))


def booster(offset: bool, features: pd.DataFrame) -> BoosterMean:
    rows = rows_ahead(features, [1, 2, 3])
    units = np.random.default_rng(1).poisson(rows.base).astype(float)
    label = units if offset else units / rows.base
    data = xgboost.DMatrix(rows.matrix, label=label, base_margin=np.log(rows.base) if offset else None)
    objective = "reg:tweedie" if offset else "reg:squarederror"
    return BoosterMean(xgboost.train({"objective": objective, "max_depth": 3, "nthread": 1}, data, 5), offset)


def trees() -> TreesMean:
    at = EXAMPLE_FEATURES.index("horizon")
    stump = TreeEnsemble(
        np.array([at, 0, 0]), np.array([2.5, np.inf, np.inf]), np.array([1, 1, 2]), np.array([2, 1, 2]),
        np.array([[0.0], [0.5], [2.0]]), np.array([0]), np.array([1.0]), "sum",
    )  # fmt: skip
    return TreesMean(stump, np.zeros(K))


def means(features: pd.DataFrame) -> list[MeanPredictor]:
    linear = LinearMean(np.where(np.array(EXAMPLE_FEATURES) == "horizon", 0.1, 0.0), 0.5, np.zeros(K))
    stack = StackedMean(("mean_91", "last_same_weekday"), np.array([0.2, 0.5, 0.3]))
    over = OffsetMean(stack, booster(True, features))
    mixed = MixedMean((ProfileMean(), stack, over), (0.1, 0.2, 0.7))
    return [ProfileMean(), SeasonalNaiveMean(), booster(True, features), booster(False, features), trees(), stack, over, mixed, linear]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    nothing = np.empty(0)
    return Calibration.fit(nothing, nothing, nothing, nothing)


def test_items_get_their_horizons_and_the_same_after_saving(tmp_path: Path, features: pd.DataFrame, calibration: Calibration) -> None:
    asked = features.assign(horizon=[1, 3, 7, 2, 1, 1, 4, 28])
    for number, mean in enumerate(means(features)):
        model = DemandModel(mean, calibration, profile_share=0.25, error=booster(True, features) if number == 2 else None)
        answer = model.predict(asked)
        assert answer.groupby("item").size().tolist() == asked["horizon"].tolist()
        assert (answer["ds"] - pd.Timestamp("2024-03-16")).dt.days.tolist() == answer["horizon"].tolist()
        assert (answer["units"] >= 0).all()
        assert (answer["judged"] == (answer["horizon"] <= 7)).all(), "the gates judge a week"
        assert (np.diff(answer[list(QUANTILES)].to_numpy(), axis=1) >= 0).all()
        again = load_portable(save_portable(model, tmp_path / str(number))).predict(asked)
        pd.testing.assert_frame_equal(again, answer)


def test_the_share_of_the_profile_is_a_share(features: pd.DataFrame, calibration: Calibration) -> None:
    asked = features.assign(horizon=7)
    models = [DemandModel(trees(), calibration), DemandModel(ProfileMean(), calibration), DemandModel(trees(), calibration, 0.4)]
    alone, profile, both = (model.predict(asked)["units"] for model in models)
    np.testing.assert_allclose(both, 0.6 * alone + 0.4 * profile)
    np.testing.assert_allclose(alone / profile, np.tile([0.5, 0.5, 2, 2, 2, 2, 2], 8))


def test_a_stack_finds_the_window_that_demand_follows(features: pd.DataFrame) -> None:
    rows = rows_ahead(features, list(range(1, 15)))
    truth = rows.base * (0.3 * rows.column("mean_7") + 0.6 * rows.column("mean_56"))
    stack = StackedMean.fit(rows, truth)
    np.testing.assert_allclose(stack.predict(rows), truth, rtol=0.01)
    assert (stack.weights >= 0).all() and stack.weights[1 + stack.names.index("mean_56")] > 0.5


def test_a_mix_is_its_parts_by_their_shares_and_an_offset_is_another_base(features: pd.DataFrame) -> None:
    rows = rows_ahead(features, [1, 2])
    mixed = MixedMean((ProfileMean(), trees()), (0.25, 0.75))
    np.testing.assert_allclose(mixed.predict(rows), 0.25 * rows.base + 0.75 * trees().predict(rows))
    boosted, twice = booster(True, features), StackedMean((), np.array([2.0]))
    np.testing.assert_allclose(OffsetMean(twice, boosted).predict(rows), 2 * boosted.predict(rows), rtol=1e-5)


def test_a_linear_factor_by_hand(features: pd.DataFrame) -> None:
    rows = rows_ahead(features, [1, 2])
    linear = means(features)[-1]
    np.testing.assert_allclose(linear.predict(rows), rows.base * (0.5 + 0.1 * np.tile([1, 2], 8)), rtol=1e-6)
    assert filled(np.array([[np.nan, 2.0]], dtype=np.float32), np.array([7.0, 7.0])).tolist() == [[7.0, 2.0]]


def test_an_item_no_one_knows_gets_no_row_and_the_others_keep_theirs(features: pd.DataFrame, calibration: Calibration) -> None:
    asked = features.assign(horizon=2)
    asked.loc[3, list(ORIGIN_FEATURES)] = np.nan
    answer = DemandModel(ProfileMean(), calibration).predict(asked)
    assert sorted(set(answer["item"])) == [0, 1, 2, 4, 5, 6, 7]
    new = features.assign(horizon=2)
    new.loc[0, [name for name in ORIGIN_FEATURES if name not in ("origin_day", "level")]] = np.nan
    assert DemandModel(ProfileMean(), calibration).predict(new)["units"].notna().all()
