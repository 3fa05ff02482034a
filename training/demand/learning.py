"""Learning demand from a panel: examples sampled over origins and series, one booster over all of them, and a held-out end
of the history on which it is blended with the profile and calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_repo.demand_features import origin_features, periods
from feature_repo.panel import Panel
from training.demand.calibration import Calibration
from training.demand.covariates import Covariates
from training.demand.examples import AT, FLOOR, FULL, Rows, example_rows, spread
from training.demand.model import BoosterMean, DemandModel, MeanPredictor, relative_error
from training.demand.profiles import ProfileMean

Progress = Callable[[int, int, str], None]

#: examples a booster is fitted on, at most, and those on which the blend and the quantiles are judged
EXAMPLES, JUDGED = 800_000, 400_000
#: below this many examples nothing is learnt that the profile does not know
_FEWEST = 300
#: origins between which the examples are spread, and horizons taken of each
_ORIGINS, _HORIZONS = 120, 3
_ROUNDS = 110
#: series-periods held out, and examples the error is learnt on
_HELD_ROWS, _ERROR_ROWS = 15_000, 200_000
_ONE_THREAD = 50_000
_SHARES = np.arange(0, 1.01, 0.1)
_DOW = [AT[f"dow_{d}"] for d in range(7)]


@dataclass(frozen=True)
class Sample:
    """m examples with their label `units` (m,), the `horizon` and the number of the `series`, each (m,)."""

    rows: Rows
    units: np.ndarray
    horizon: np.ndarray
    series: np.ndarray


def learn(covariates: Covariates, horizon: int, seed: int = 0, progress: Progress | None = None) -> DemandModel:
    """The model of a panel for forecasts of up to `horizon` periods from its end; same seed, same model.

    Held out first: the last max(horizon, 28 days) periods, more of few series (at most a third). A booster that has not seen them
    gives the blend with the profile and the calibration; the booster that predicts is fitted on everything."""
    say = progress or (lambda done, total, label: None)
    end = covariates.panel.units.shape[1] - 1
    held = _held_out(covariates.panel, horizon)
    say(0, 4, "examples")
    earlier = training_sample(covariates, end - held, horizon, EXAMPLES // 2, seed)
    judged = judging_sample(covariates, end - held, horizon, seed)
    say(1, 4, "judging on the held-out end")
    trial = fit_mean(earlier, seed)
    profile_share = _profile_share(trial, judged)
    mean = (1 - profile_share) * trial.predict(judged.rows) + profile_share * judged.rows.base
    error = _fit_error(trial, profile_share, earlier, seed)
    wild = spread(judged.rows) if error is None else relative_error(error, judged.rows, mean)
    calibration = Calibration.fit(mean * _level_shift(mean, judged.units), judged.units, wild, judged.horizon)
    say(2, 4, "examples up to the end")
    final = trial
    if not isinstance(trial, ProfileMean):
        final = fit_mean(training_sample(covariates, end, horizon, EXAMPLES, seed + 1), seed)
    say(4, 4, "learnt")
    return DemandModel(final, calibration, profile_share, covariates.panel.step, error=error)


def _held_out(panel: Panel, horizon: int) -> int:
    """Periods at the end that judge: enough of them to tell the quantiles of few series apart."""
    length = panel.units.shape[1]
    wanted = max(horizon, periods(28, panel.step), _HELD_ROWS // max(len(panel.keys), 1))
    return min(wanted, max(length // 4, min(horizon, length // 3)))


def _level_shift(mean: np.ndarray, actual: np.ndarray) -> float:
    """By how much all actuals together lay beside all forecasts of the held-out end: what was peculiar to that month, which
    the quantiles of the next one must not repeat."""
    return float(np.clip(actual.sum() / mean.sum(), 0.7, 1.4)) if len(mean) and mean.sum() > 0 else 1.0


def rows_at(covariates: Covariates, panel: Panel, series: np.ndarray, position: int, horizon: np.ndarray) -> Rows:
    """Rows of `series` (k,) at one origin for `horizon` (k, j) periods ahead, series by series; `panel` is the covariates'
    panel up to the origin."""
    origin = origin_features(panel.rows(series), [position])[:, 0]
    rows = example_rows(np.repeat(origin, horizon.shape[1], axis=0), horizon.ravel(), panel.step)
    dow = np.nan_to_num(origin[:, _DOW], nan=1.0)
    return rows.with_columns(covariates.columns(series, position, horizon, dow))


def training_sample(covariates: Covariates, end: int, horizon: int, size: int, seed: int) -> Sample:
    """About `size` examples whose origin and label both lie at `end` or before, origins spread evenly."""
    panel, rng = covariates.panel, np.random.default_rng(seed)
    first = min(periods(91, panel.step), (end + 1) // 4)
    origins = np.unique(np.linspace(first, max(end - 1, first), _ORIGINS).round().astype(int))
    share = size / max(len(origins) * len(panel.keys) * min(_HORIZONS, horizon), 1)
    parts = [_part(covariates, position, min(horizon, end - position), min(_HORIZONS, horizon), share, rng) for position in origins]
    return _joined([part for part in parts if part is not None], covariates, first)


def judging_sample(covariates: Covariates, end: int, horizon: int, seed: int) -> Sample:
    """Examples of origins from `end` on, whose labels are known: of every horizon, a week apart."""
    panel, rng = covariates.panel, np.random.default_rng(seed)
    last = panel.units.shape[1] - 1
    ahead = min(horizon, last - end)
    origins = list(range(end, last - ahead + 1, periods(7, panel.step))) or [end]
    share = JUDGED / max(len(origins) * len(panel.keys) * ahead, 1)
    parts = [_part(covariates, position, ahead, ahead, share, rng) for position in origins]
    return _joined([part for part in parts if part is not None], covariates, end)


def fit_mean(sample: Sample, seed: int) -> MeanPredictor:
    """The booster of a sample (XGBoost, Tweedie deviance, the profile as offset), or the profile when there is too little
    to learn from."""
    import xgboost

    if len(sample.units) < _FEWEST or not (sample.units > 0).any():
        return ProfileMean()
    data = xgboost.QuantileDMatrix(sample.rows.matrix, label=sample.units, base_margin=np.log(sample.rows.base), max_bin=64)
    leaf = float(np.clip(len(sample.units) / 4000, 5, 60)) * float(sample.units.mean())
    parameters = {
        "objective": "reg:tweedie", "tweedie_variance_power": 1.1, "max_depth": 8, "eta": 0.06, "subsample": 0.5, "colsample_bynode": 0.5,
        "min_child_weight": leaf, "reg_lambda": leaf / 5, "tree_method": "hist", "max_bin": 64, "seed": seed,
        # threads wait for each other at every level: on little data that costs more than it gains
        "nthread": 1 if len(sample.units) < _ONE_THREAD else 0,
    }  # fmt: skip
    return BoosterMean(xgboost.train(parameters, data, _ROUNDS))


def _fit_error(trial: MeanPredictor, profile_share: float, sample: Sample, seed: int) -> BoosterMean | None:
    """The booster of |units - mean| with the mean as its offset; None where the mean is the plain profile."""
    import xgboost

    if not isinstance(trial, BoosterMean):
        return None
    part = np.arange(0, len(sample.units), max(len(sample.units) // _ERROR_ROWS, 1))
    rows, units = sample.rows.take(part), sample.units[part]
    mean = np.maximum((1 - profile_share) * trial.predict(rows) + profile_share * rows.base, FLOOR)
    wrong = np.abs(units - mean)
    data = xgboost.QuantileDMatrix(rows.matrix, label=wrong, base_margin=np.log(mean), max_bin=64)
    leaf = max(len(part) / 2000, 10) * float(wrong.mean())
    parameters = {
        "objective": "reg:tweedie", "tweedie_variance_power": 1.5, "max_depth": 6, "eta": 0.1, "subsample": 0.5, "colsample_bynode": 0.5,
        "min_child_weight": leaf, "reg_lambda": leaf / 5, "tree_method": "hist", "max_bin": 64, "seed": seed,
        "nthread": 1 if len(part) < _ONE_THREAD else 0,
    }  # fmt: skip
    return BoosterMean(xgboost.train(parameters, data, 40))


def _part(covariates: Covariates, position: int, ahead: int, count: int, share: float, rng: np.random.Generator) -> Sample | None:
    """Examples of one origin: a `share` of the series that are on sale, `count` horizons of 1..ahead each."""
    panel, count = covariates.panel, min(count, ahead)
    if count < 1:
        return None
    started = ~np.isnan(panel.units[:, max(position - 6, 0) : position + 1]).all(axis=1)
    series = np.flatnonzero(started & (rng.random(len(started)) < share))
    if not len(series):
        return None
    drawn = np.argsort(rng.random((len(series), ahead)), axis=1)[:, :count] + 1
    horizon = np.sort(drawn, axis=1)
    rows = rows_at(covariates, panel.upto(position), series, position, horizon)
    target, each = (position + horizon).ravel(), np.repeat(series, count)
    units, seen = panel.units[each, target], panel.in_stock[each, target]
    # sold out before the profile's forecast was reached: not evidence of low demand
    usable = ~np.isnan(units) & ((seen >= FULL) | ((seen > 0) & (units >= rows.base)))
    return Sample(rows.take(usable), units[usable].astype(np.float64), horizon.ravel()[usable], each[usable])


def _joined(parts: list[Sample], covariates: Covariates, position: int) -> Sample:
    if not parts:
        nothing = np.empty((0, 1), dtype=np.int64)
        empty = rows_at(covariates, covariates.panel.upto(position), np.empty(0, dtype=np.int64), position, nothing)
        return Sample(empty, np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    rows = [part.rows for part in parts]
    matrix, base = np.concatenate([r.matrix for r in rows]), np.concatenate([r.base for r in rows])
    joined = Rows(rows[0].names, matrix, base, pd.DatetimeIndex(np.concatenate([r.ds.to_numpy() for r in rows])))
    units, horizon, series = (np.concatenate([getattr(part, name) for part in parts]) for name in ("units", "horizon", "series"))
    return Sample(joined, units, horizon, series)


def _profile_share(trial: MeanPredictor, judged: Sample) -> float:
    """The share of the profile whose blend has the least sum of (y - f)^2 / base on the judged examples."""
    if isinstance(trial, ProfileMean) or not len(judged.units):
        return 0.0
    predicted, base = trial.predict(judged.rows), judged.rows.base
    losses = [np.mean((judged.units - (1 - share) * predicted - share * base) ** 2 / np.maximum(base, 0.05)) for share in _SHARES]
    return float(_SHARES[int(np.argmin(losses))])
