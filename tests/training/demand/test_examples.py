"""Examples: the base is the profile, labels are what was sold on days with stock, scale does not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.panel import from_frame
from training.demand.dataset import schema, shaped
from training.demand.examples import AT, EXAMPLE_FEATURES, example_rows, rows_of, segments


def history(scale: float = 1.0) -> pd.DataFrame:
    ds, rng = pd.date_range("2024-01-01", periods=120), np.random.default_rng(3)
    parts = [pd.DataFrame({"store_id": "a", "product_id": str(p), "ds": ds, "units": scale * rng.poisson(3 + p, 120)}) for p in range(3)]
    return pd.concat(parts, ignore_index=True)


def features_at(frame: pd.DataFrame, position: int) -> pd.DataFrame:
    panel = from_frame(frame)
    found = pd.DataFrame(origin_features(panel, [position])[:, 0], columns=list(ORIGIN_FEATURES))
    return pd.concat([panel.keys.assign(ds=panel.days[position]), found], axis=1)


def test_the_base_is_level_times_the_targets_weekday() -> None:
    features = features_at(history(), 100)
    rows = example_rows(features[list(ORIGIN_FEATURES)].to_numpy(), np.array([1, 5, 9]))
    target = features["ds"].iloc[0] + pd.to_timedelta([1, 5, 9], unit="D")
    assert list(rows.ds) == list(target)
    expected = [features["level"].iloc[i] * features[f"dow_{day.dayofweek}"].iloc[i] for i, day in enumerate(target)]
    np.testing.assert_allclose(rows.base, expected, rtol=1e-6)


def test_the_last_same_weekday_is_a_week_before_the_target() -> None:
    frame = history()
    features = features_at(frame, 100)
    sold = frame.set_index(["product_id", "ds"])["units"]
    for horizon in (1, 3, 7, 8, 14):
        rows = example_rows(features[list(ORIGIN_FEATURES)].to_numpy(), np.full(3, horizon))
        day = rows.ds[0] - pd.Timedelta(days=7 * (-(-horizon // 7)))
        expected = [sold[str(p), day] / features["level"].iloc[p] for p in range(3)]
        np.testing.assert_allclose(rows.column("last_same_weekday"), expected, rtol=1e-5)


def test_scale_is_in_the_base_and_nowhere_else() -> None:
    rows, tenfold = (
        example_rows(features_at(history(scale), 100)[list(ORIGIN_FEATURES)].to_numpy(), np.array([1, 2, 3])) for scale in (1.0, 10.0)
    )
    # the profile is pulled to related series by a number of units, and dispersion has a unit: those depend on scale by intent
    profiles = tenfold.column("profile"), rows.column("profile")
    np.testing.assert_allclose(tenfold.base / profiles[0], 10 * rows.base / profiles[1], rtol=1e-5)
    free = [i for i, name in enumerate(EXAMPLE_FEATURES) if name not in ("log_level", "log_base", "profile", "dispersion")]
    np.testing.assert_allclose(tenfold.matrix[:, free], rows.matrix[:, free], rtol=1e-4)


def asked(features: pd.DataFrame, horizons: list[int]) -> pd.DataFrame:
    """What `shaped` takes, for each row of features and each horizon, half of the day in stock."""
    known = features[["store_id", "product_id"]].assign(
        origin=features["ds"], known=list(features[list(ORIGIN_FEATURES)].to_numpy(dtype=np.float32))
    )
    every = known.merge(pd.DataFrame({"horizon": horizons}), how="cross")
    return every.assign(ds=every["origin"] + pd.to_timedelta(every["horizon"], unit="D"), units=3.0, in_stock=0.5, scale=2.0)


def test_half_a_day_in_stock_is_half_the_weight_and_twice_the_demand() -> None:
    examples = shaped(asked(features_at(history(), 100), [1, 2, 7]))
    assert (examples["demand"] == 6.0).all() and len(examples) == 9
    np.testing.assert_allclose(examples["factor"] * examples["base"], 6.0)
    np.testing.assert_allclose(examples["weight"], 0.5 * examples["base"])
    assert set(examples["segment"]) == {"smooth"} and list(examples.columns) == [c.split()[0] for c in schema().split(", ")]


def test_rows_survive_the_way_through_a_frame() -> None:
    features = features_at(history(), 100)
    again = rows_of(shaped(asked(features, [1, 2])))
    direct = example_rows(np.repeat(features[list(ORIGIN_FEATURES)].to_numpy(dtype=np.float32), 2, axis=0), np.tile([1, 2], 3))
    np.testing.assert_array_equal(again.matrix, direct.matrix)
    np.testing.assert_array_equal(again.base, direct.base)
    assert list(again.ds) == list(direct.ds)
    assert rows_of(shaped(asked(features.iloc[:0], [1]))).matrix.shape == (0, len(EXAMPLE_FEATURES))


def test_the_four_classes_and_the_new() -> None:
    adi, cv2 = np.array([1.0, 1.0, 2.0, 2.0, np.nan]), np.array([0.1, 0.9, 0.1, 0.9, np.nan])
    assert segments(adi, cv2).tolist() == ["smooth", "erratic", "intermittent", "lumpy", "new"]
    assert AT["level"] == ORIGIN_FEATURES.index("level")
