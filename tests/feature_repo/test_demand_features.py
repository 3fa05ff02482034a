"""Features of an origin: against plain sums, without a look ahead, free of what a stockout hides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from feature_repo.demand_features import ORIGIN_FEATURES, origin_features
from feature_repo.panel import Panel, from_frame, group_totals, with_groups

AT = {name: index for index, name in enumerate(ORIGIN_FEATURES)}
STATIC = pd.DataFrame({"product_id": ["0", "1", "2"], "category": ["x", "x", "y"]})


def history(days: int = 420, freq: str = "D", seed: int = 0) -> pd.DataFrame:
    rng, ds = np.random.default_rng(seed), pd.date_range("2023-01-02", periods=days, freq=freq)
    parts = []
    for store in "ab":
        for product in range(3):
            weekend = 1 + (ds.dayofweek >= 5) if freq == "D" else 1
            parts.append(pd.DataFrame({
                "store_id": store, "product_id": str(product), "ds": ds, "units": rng.poisson(2.0 * (product + 1) * weekend),
                "in_stock": rng.choice([1.0, 1, 1, 0.5, 0], days), "price": rng.choice([1.0, 2], days),
                "promotion": rng.integers(0, 2, days),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def panel(frame: pd.DataFrame) -> Panel:
    return from_frame(frame, known=["price", "promotion"], static=STATIC)


def feature(found: np.ndarray, name: str) -> np.ndarray:
    return found[:, :, AT[name]]


def test_means_are_units_over_time_in_stock() -> None:
    frame = history()
    found = origin_features(panel(frame), [200])
    for k in (7, 28, 182):
        age = (frame["ds"] - frame["ds"].min()).dt.days
        inside = frame[(age <= 200) & (age > 200 - k) & (frame["in_stock"] > 0)]
        sums = inside.groupby(["store_id", "product_id"])[["units", "in_stock"]].sum()
        np.testing.assert_allclose(feature(found, f"mean_{k}")[:, 0], sums["units"] / sums["in_stock"], rtol=1e-5)


def test_a_weekday_on_which_a_store_is_closed_has_no_share_and_the_others_have_all() -> None:
    frame = history()
    closed = frame["ds"].dt.dayofweek.eq(6) & frame["store_id"].eq("a")
    frame.loc[closed, ["units", "in_stock"]] = [0.0, 0.0]  # nothing of the store is on offer
    found = origin_features(panel(frame), [20, 200])
    shares = np.stack([feature(found, f"dow_{day}") for day in range(7)], axis=-1)
    shut, open_ = shares[:3, 1], shares[3:, 1]
    assert (shut[:, 6] == 0).all() and (shut[:, :6] > 0).all() and (open_ > 0).all()
    np.testing.assert_allclose(shut.sum(axis=1), 6, rtol=1e-5)
    np.testing.assert_allclose(open_.sum(axis=1), 7, rtol=1e-5)
    assert (shares[:, 0] > 0).all()  # three weeks do not tell yet


def test_what_follows_the_origin_changes_nothing() -> None:
    frame = history()
    origin = frame["ds"].min() + pd.Timedelta(days=250)
    noise = frame.copy()
    later = noise["ds"] > origin
    rng = np.random.default_rng(9)
    for column in ("units", "in_stock", "price"):
        noise.loc[later, column] = rng.random(int(later.sum())) * (100 if column == "units" else 1)
    np.testing.assert_array_equal(origin_features(panel(frame), [100, 250]), origin_features(panel(noise), [100, 250]))
    cut = panel(frame[frame["ds"] <= origin])
    np.testing.assert_allclose(origin_features(panel(frame), [250]), origin_features(cut, [250]), rtol=1e-5)


def test_units_of_a_day_without_stock_are_not_read() -> None:
    base = panel(history())
    changed = base.units.copy()
    changed[base.in_stock == 0] = 777
    other = with_groups(replace(base, units=changed))
    for name in ("level", "mean_28", "median_28", "zero_share_28", "last_1", "dow_3", "store_mean_28", "dispersion"):
        np.testing.assert_array_equal(feature(origin_features(base, [300]), name), feature(origin_features(other, [300]), name))


def test_a_part_of_the_series_has_the_features_it_has_among_all() -> None:
    whole = panel(history())
    part = with_groups(whole.rows(np.array([1, 4])), group_totals(whole))
    np.testing.assert_allclose(origin_features(part, [150, 400]), origin_features(whole, [150, 400])[[1, 4]], rtol=1e-6)


def test_the_weeks_profile_finds_the_weekend() -> None:
    found = origin_features(panel(history(700)), [690])
    dow = np.stack([feature(found, f"dow_{d}")[:, 0] for d in range(7)], axis=1)
    np.testing.assert_allclose(dow.mean(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(dow[:, 5:].mean(axis=1) / dow[:, :5].mean(axis=1), 2, atol=0.35)


def test_intermittency_by_hand() -> None:
    units = [0, 0, 3, 0, 1, 0, 0, 0]
    rows = pd.DataFrame({"store_id": "a", "product_id": "p", "ds": pd.date_range("2024-01-01", periods=8), "units": units})
    found = origin_features(from_frame(rows), [7])[0, 0]
    assert found[AT["adi"]] == pytest.approx(8 / 2)
    assert found[AT["cv2"]] == pytest.approx(1 / 4)
    assert found[AT["days_in_stock_since_sale"]] == 3
    assert found[AT["age_days"]] == 8
    assert found[AT["zero_share_28"]] == pytest.approx(6 / 8)
    assert [found[AT[f"last_{k}"]] for k in (1, 4, 6)] == [0, 1, 3]
    # an empty shelf is no silence: of the three days since the sale one was half in stock, one not at all
    found = origin_features(from_frame(rows.assign(in_stock=[1, 1, 1, 1, 1, 0.5, 0, 1])), [7])[0, 0]
    assert found[AT["days_in_stock_since_sale"]] == 1.5


def test_the_same_year_ago_is_a_ratio_of_months() -> None:
    units = np.ones(500)
    units[500 - 364 : 500 - 364 + 28] = 3
    rows = pd.DataFrame({"store_id": "a", "product_id": "p", "ds": pd.date_range("2023-01-01", periods=500), "units": units})
    assert feature(origin_features(from_frame(rows, writes_zeros=False), [499]), "year_ago_trend")[0, 0] == pytest.approx(3)


def test_weekly_windows_hold_days_over_seven_weeks() -> None:
    frame = history(80, "W-MON")
    found = origin_features(panel(frame), [79])
    last = frame[(frame["ds"] > frame["ds"].max() - pd.Timedelta(weeks=4)) & (frame["in_stock"] > 0)]
    sums = last.groupby(["store_id", "product_id"])[["units", "in_stock"]].sum()
    np.testing.assert_allclose(feature(found, "mean_28")[:, 0], sums["units"] / sums["in_stock"], rtol=1e-5)
    assert (feature(found, "dow_0") == 1).all()


def test_a_new_pair_gets_the_level_of_its_product_elsewhere() -> None:
    frame = history().assign(in_stock=1.0)
    new = pd.DataFrame({"store_id": ["b"], "product_id": ["9"]}, index=[0])
    static = pd.concat([STATIC, pd.DataFrame({"product_id": ["9"], "category": ["y"]})])
    some = frame[(frame["store_id"] == "a") | (frame["product_id"] != "2")]
    built = from_frame(some, static=static, pairs=pd.concat([new, pd.DataFrame({"store_id": ["b"], "product_id": ["2"]})]))
    level = feature(origin_features(built, [419]), "level")[:, 0]
    keys = built.keys.agg("".join, axis=1).tolist()
    elsewhere = level[keys.index("a2")]
    assert 0.4 * elsewhere < level[keys.index("b2")] < 1.3 * elsewhere
    assert level[keys.index("b9")] > 0


def test_every_feature_is_finite_or_unknown() -> None:
    found = origin_features(panel(history(60)), [0, 1, 30, 59])
    assert not np.isinf(found).any()
    assert not np.isnan(feature(found, "level")).any()
