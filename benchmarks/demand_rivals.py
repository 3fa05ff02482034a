"""What we are compared with: the seasonal naive, the level x weekday profile, and LightGBM as it is plainly used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_repo.panel import Panel
from training.demand.calibration import Calibration
from training.demand.covariates import Covariates
from training.demand.examples import Rows, spread
from training.demand.learning import judging_sample, rows_at
from training.demand.profiles import ProfileMean, SeasonalNaiveMean

Answer = tuple[np.ndarray, np.ndarray]


def profile(panel: Panel, horizon: int, levels: Sequence[float]) -> Answer:
    """Level x weekday profile with empirical quantiles: (n, H) means and (n, H, levels) quantiles."""
    return _baseline(ProfileMean(), panel, horizon, levels)


def seasonal_naive(panel: Panel, horizon: int, levels: Sequence[float]) -> Answer:
    """The same weekday again, with empirical quantiles."""
    return _baseline(SeasonalNaiveMean(), panel, horizon, levels)


def window_mean(panel: Panel, horizon: int, levels: Sequence[float]) -> Answer:
    """The in-stock mean of the last 14 days, or of the last 13 weeks of weekly data, with empirical quantiles."""
    return _baseline(WindowMean("mean_14" if panel.step == 1 else "mean_91"), panel, horizon, levels)


@dataclass(frozen=True)
class WindowMean:
    """The mean of one window, whatever the day; the profile where it is not known."""

    window: str

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        mean = rows.column(self.window) * np.exp(rows.column("log_level").astype(np.float64))
        return np.where(np.isnan(mean), rows.base, mean)


def _baseline(mean: ProfileMean | SeasonalNaiveMean | WindowMean, panel: Panel, horizon: int, levels: Sequence[float]) -> Answer:
    covariates = Covariates.of(panel)
    last = covariates.panel.units.shape[1] - 1
    judged = judging_sample(covariates, last - max(horizon, 28 // panel.step), horizon, 0)
    calibration = Calibration.fit(mean.predict(judged.rows), judged.units, spread(judged.rows), judged.horizon)
    series = np.arange(len(panel.keys))
    means, quantiles = [], []
    for some in np.array_split(series, max(len(series) * horizon // 300_000, 1)):
        ahead = np.tile(np.arange(1, horizon + 1), (len(some), 1))
        rows = rows_at(covariates, covariates.panel, some, last, ahead)
        units = mean.predict(rows)
        if covariates.closed is not None:
            units[covariates.closed[some][:, last + 1 :].ravel()] = 0
        means.append(units.reshape(len(some), horizon))
        quantiles.append(calibration.quantiles(units, spread(rows), ahead.ravel(), levels).reshape(len(some), horizon, -1))
    return np.concatenate(means), np.concatenate(quantiles)


def lightgbm_plain(panel: Panel, horizon: int, levels: Sequence[float], rows: int = 1_500_000) -> Answer:
    """One LightGBM for all series on lags no younger than the horizon, rolling means of them, the calendar, planned columns
    and codes of store, product and attributes; Tweedie mean and a quantile model a level. Knows nothing of stock."""
    import lightgbm

    units = np.nan_to_num(panel.units)
    n, length = units.shape
    padded = np.concatenate([units, np.zeros((n, horizon), np.float32)], axis=1)
    season = 7 if panel.step == 1 else 1
    lag = -(-horizon // season) * season
    labels = pd.concat([panel.keys, panel.static], axis=1)
    codes = [pd.factorize(labels[name], sort=True)[0] for name in labels]
    days = [panel.day(position) for position in range(length + horizon)]

    def features(at: int) -> np.ndarray:
        lags = [padded[:, at - lag - k * season] for k in range(4)]
        means = [padded[:, max(at - lag - k + 1, 0) : at - lag + 1].mean(1) for k in (7, 14, 28, 56)]
        planned = [values[:, at] for values in panel.known.values()]
        day = days[at]
        calendar = [np.full(n, value) for value in (day.dayofweek, day.day, day.month, int(day.strftime("%W")))]
        return np.stack([*lags, *means, *planned, *calendar, *codes], axis=1).astype(np.float32)

    first = lag + 4 * season
    rng = np.random.default_rng(0)
    share = rows / max(n * (length - first), 1)
    xs, ys = [], []
    for at in range(first, length):
        kept = ~np.isnan(panel.units[:, at]) & (rng.random(n) < share)
        xs.append(features(at)[kept])
        ys.append(panel.units[kept, at])
    matrix, label = np.concatenate(xs), np.concatenate(ys)
    width = matrix.shape[1]
    data = lightgbm.Dataset(matrix, label, categorical_feature=list(range(width - len(codes), width)), free_raw_data=False)
    common = {
        "learning_rate": 0.05, "num_leaves": 64, "feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1,
        "verbose": -1, "seed": 0,
    }  # fmt: skip
    future = np.concatenate([features(at) for at in range(length, length + horizon)])

    def fitted(objective: dict) -> np.ndarray:
        booster = lightgbm.train({**common, **objective}, data, 300 if "alpha" not in objective else 150)
        return np.maximum(booster.predict(future).reshape(horizon, n).T, 0)

    mean = fitted({"objective": "tweedie", "tweedie_variance_power": 1.1})
    return mean, np.stack([fitted({"objective": "quantile", "alpha": level}) for level in levels], axis=2)
