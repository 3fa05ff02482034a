"""Learning demand from a panel: examples sampled over origins and series, boosters over all of them, and a held-out end of
the history on which they are blended with simple forecasts and calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_repo.demand_features import origin_features, periods
from feature_repo.panel import Panel
from training.demand.balance import BalancedMean, StockedMean
from training.demand.covariates import Covariates
from training.demand.error import FEWEST, calibrated, fit_error
from training.demand.examples import AT, EXAMPLE_FEATURES, FULL, Rows, Sample, example_rows
from training.demand.latent import LatentDemand
from training.demand.model import BoosterMean, DemandModel, MeanPredictor, MixedMean, OffsetMean
from training.demand.profiles import ProfileMean, StackedMean

if TYPE_CHECKING:
    import xgboost

Progress = Callable[[int, int, str], None]

#: examples a booster is fitted on, at most, and those on which the blend and the quantiles are judged
EXAMPLES, JUDGED = 800_000, 400_000
#: examples from which latent demand is learnt, and the least share of a day in stock that says anything of it
LATENT, _LEAST_SEEN = 400_000, 1e-3
#: origins between which the examples are spread, and horizons taken of each
_ORIGINS, _HORIZONS = 120, 3
#: boosting: the learning rate, the rounds at most and at least, those without gain after which it stops, and how many more
#: rounds the fit on everything takes
_RATE, _DEPTH, _ROUNDS, _LEAST_ROUNDS, _PATIENCE, _MORE = 0.1, 6, 240, 80, 20, 1.1
#: a leaf holds at least so many rows, and tells the factor of its demand to within 1 / sqrt(this)
_LEAF_ROWS, _LEAF_INFORMATION = 3.0, 15.0
#: the most that the profile and the stack of simple forecasts have of a blend
_SIMPLE = 0.4
#: held-out examples that the boosters are watched on
_WATCHED = 60_000
#: the Tweedie variance powers that compete: near Poisson for counts, nearer to gamma for sales that vary by their size
_POWERS = (1.1, 1.6)
#: series-periods held out
_HELD_ROWS = 15_000
#: a season seen once cannot be told from a trend: below this history, what says which month it is says nothing
_SEASONS_DAYS = 728
_SEASONAL = {"age_days", "week_sin", "week_cos", "month", "days_to_christmas"}
_OF_SEASON = [at for at, name in enumerate(EXAMPLE_FEATURES) if name in _SEASONAL or name.endswith("year_ago_trend")]
_DOW = [AT[f"dow_{d}"] for d in range(7)]


@dataclass(frozen=True)
class Learnt:
    """`model`, fitted on everything, `trial`, the mean that had not seen the last `held` periods when it was judged, and how
    far `latent` demand is above the model's mean of a day in stock."""

    model: DemandModel
    trial: MeanPredictor
    held: int
    latent: LatentDemand


def learn(covariates: Covariates, horizon: int, seed: int = 0, progress: Progress | None = None) -> Learnt:
    """The model of a panel for forecasts of up to `horizon` periods from its end; same seed, same model.

    Held out first: the last periods, seen from several origins. Members that have not seen them tell how many rounds each
    takes, how they are blended, and the calibration; the members that predict are fitted on everything."""
    say = progress or (lambda done, total, label: None)
    end = covariates.panel.units.shape[1] - 1
    held = _held_out(covariates.panel, horizon)
    say(0, 4, "examples")
    earlier = training_sample(covariates, end - held, horizon, EXAMPLES // 2, seed)
    judged = judging_sample(covariates, end - held, horizon, seed)
    say(1, 4, "judging on the held-out end")
    blend = _blended(fit_members(earlier, seed, judged=judged), judged)
    sold_out = bool(((covariates.panel.exposure > 0) & (covariates.panel.exposure < FULL)).any())
    trial: MeanPredictor = StockedMean.fit(blend, earlier.rows, earlier.units) if sold_out else blend
    error = fit_error(trial, earlier, seed)
    calibration = calibrated(trial, error, judged, refitted=True)
    say(2, 4, "examples up to the end")
    final = trial
    if len(blend.parts) > 1:
        everything = training_sample(covariates, end, horizon, EXAMPLES, seed + 1)
        members = fit_members(everything, seed, like=blend)
        if len(members) == len(blend.parts):  # another draw of just enough examples may be too few: the trial then stays
            final = MixedMean(tuple(members), blend.shares)
            final = StockedMean.fit(final, everything.rows, everything.units) if sold_out else final
    model = DemandModel(final, calibration, step=covariates.panel.step, error=error)
    latent = _latent(model, covariates, end, horizon, seed + 2) if sold_out else LatentDemand.nothing_lost()
    say(4, 4, "learnt")
    return Learnt(model, trial, held, latent)


def _latent(model: DemandModel, covariates: Covariates, end: int, horizon: int, seed: int) -> LatentDemand:
    some = training_sample(covariates, end, horizon, LATENT, seed, _LEAST_SEEN)
    return LatentDemand.fit(some.rows, model.units(some.rows), some.units, some.in_stock)


def _held_out(panel: Panel, horizon: int) -> int:
    """Periods at the end that judge: enough of them to tell the quantiles of few series apart."""
    length = panel.units.shape[1]
    wanted = max(horizon + periods(21, panel.step), _HELD_ROWS // max(len(panel.keys), 1))
    return min(wanted, max(length // 4, min(horizon, length // 3)))


def rows_at(covariates: Covariates, panel: Panel, series: np.ndarray, position: int, horizon: np.ndarray) -> Rows:
    """Rows of `series` (k,) at one origin for `horizon` (k, j) periods ahead, series by series; `panel` is the covariates'
    panel up to the origin."""
    origin = origin_features(panel.rows(series), [position])[:, 0]
    rows = example_rows(np.repeat(origin, horizon.shape[1], axis=0), horizon.ravel(), panel.step)
    dow = np.nan_to_num(origin[:, _DOW], nan=1.0)
    if covariates.panel.units.shape[1] < periods(_SEASONS_DAYS, panel.step):
        rows.matrix[:, _OF_SEASON] = np.nan
    return rows.with_columns(covariates.columns(series, position, horizon, dow))


def training_sample(covariates: Covariates, end: int, horizon: int, size: int, seed: int, least: float = FULL) -> Sample:
    """About `size` examples whose origin and label both lie at `end` or before, origins spread evenly; of days in stock for
    at least the share `least`."""
    panel, rng = covariates.panel, np.random.default_rng(seed)
    first = min(periods(91, panel.step), (end + 1) // 4)
    origins = np.unique(np.linspace(first, max(end - 1, first), _ORIGINS).round().astype(int))
    share = size / max(len(origins) * len(panel.keys) * min(_HORIZONS, horizon), 1)
    parts = [_part(covariates, position, min(horizon, end - position), min(_HORIZONS, horizon), share, rng, least) for position in origins]
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


def fit_members(sample: Sample, seed: int, *, judged: Sample | None = None, like: MixedMean | None = None) -> list[MeanPredictor]:
    """The plain profile, the stack of simple forecasts, and a booster over the stack for each of _POWERS (XGBoost, Tweedie
    deviance), its sums balanced; the profile alone when there is too little to learn from. The boosters stop where `judged`
    gets no better, or take the rounds of `like`."""
    if len(sample.units) < FEWEST or not (sample.units > 0).any():
        return [ProfileMean()]
    stack = StackedMean.fit(sample.rows, sample.units)
    data = _matrix(sample, stack)
    watched = None if judged is None or not len(judged.units) else _matrix(judged.thinned(_WATCHED), stack, data)
    earlier = like.parts[2:] if like else [None] * len(_POWERS)

    def fitted(power: float, before: MeanPredictor | None) -> MeanPredictor:
        booster = _boosted(data, power, _ROUNDS if before is None else int(_rounds(before) * _MORE), seed, watched)
        found = booster.predict(data).astype(np.float64)
        return BalancedMean.fit(OffsetMean(stack, BoosterMean(booster)), sample.rows, sample.units, found)

    # a thread each: threads that share one booster wait for each other at every level of every tree
    with ThreadPoolExecutor(len(_POWERS)) as threads:
        return [ProfileMean(), stack, *threads.map(fitted, _POWERS, earlier)]


def _rounds(member: MeanPredictor) -> int:
    assert isinstance(member, BalancedMean) and isinstance(member.mean, OffsetMean)
    return member.mean.boosted.booster.num_boosted_rounds()


def _matrix(sample: Sample, stack: StackedMean, ref: xgboost.QuantileDMatrix | None = None) -> xgboost.QuantileDMatrix:
    import xgboost

    margin = np.log(stack.predict(sample.rows))
    return xgboost.QuantileDMatrix(sample.rows.matrix, label=sample.units, base_margin=margin, max_bin=64, ref=ref, nthread=1)


def _boosted(
    data: xgboost.QuantileDMatrix, power: float, rounds: int, seed: int, watched: xgboost.QuantileDMatrix | None
) -> xgboost.Booster:
    import xgboost

    units, before = data.get_label().astype(np.float64), np.exp(data.get_base_margin().astype(np.float64))
    # the Hessian of a row is mean^(2 - power), its information on log demand that over the dispersion
    hessian, dispersion = float((before ** (2 - power)).mean()), float(((units - before) ** 2).sum() / (before**power).sum())
    leaf = max(_LEAF_INFORMATION * dispersion, _LEAF_ROWS * hessian)
    parameters = {
        "objective": "reg:tweedie", "tweedie_variance_power": power, "max_depth": _DEPTH, "eta": _RATE,
        "subsample": 0.5, "colsample_bynode": 0.5,
        "min_child_weight": leaf, "reg_lambda": leaf / 5, "tree_method": "hist", "max_bin": 64, "seed": seed, "nthread": 1,
    }  # fmt: skip
    if watched is None:
        return xgboost.train(parameters, data, rounds)
    found = xgboost.train(parameters, data, _LEAST_ROUNDS)
    more: dict = {"evals": [(watched, "held")], "early_stopping_rounds": _PATIENCE, "verbose_eval": False}
    found = xgboost.train(parameters, data, rounds - _LEAST_ROUNDS, xgb_model=found, **more)
    return found[: found.best_iteration + 1]


def _blended(parts: Sequence[MeanPredictor], judged: Sample) -> MixedMean:
    """The boosters in equal parts, with the share of each simple member, in tenths, that gives the least sum of
    (y - f)^2 / base on the judged examples. One month says little about the next: simple members get at most _SIMPLE."""
    boosters = len(parts) - 2
    if boosters < 1:
        return MixedMean(tuple(parts), (1.0,))
    tenths = [c for c in product(range(11), repeat=2) if sum(c) <= round(10 * _SIMPLE)]
    choices = np.array([[a / 10, b / 10, *[(10 - a - b) / 10 / boosters] * boosters] for a, b in tenths])
    scale = np.sqrt(np.maximum(judged.rows.base, 0.05))
    wrong = np.stack([(judged.units - part.predict(judged.rows)) / scale for part in parts])
    losses = np.einsum("ci,ij,cj->c", choices, wrong @ wrong.T, choices)
    return MixedMean(tuple(parts), tuple(choices[int(np.argmin(losses))].tolist()))


def _part(
    covariates: Covariates, position: int, ahead: int, count: int, share: float, rng: np.random.Generator, least: float = FULL
) -> Sample | None:
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
    # what sold out is no evidence of low demand, nor is what sold out late one of the usual demand
    usable = ~np.isnan(units) & (seen >= least)
    return Sample(rows.take(usable), units[usable].astype(np.float64), horizon.ravel()[usable], seen[usable])


def _joined(parts: list[Sample], covariates: Covariates, position: int) -> Sample:
    if not parts:
        nothing = np.empty((0, 1), dtype=np.int64)
        empty = rows_at(covariates, covariates.panel.upto(position), np.empty(0, dtype=np.int64), position, nothing)
        return Sample(empty, np.empty(0), np.empty(0, dtype=np.int64), np.empty(0))
    rows = [part.rows for part in parts]
    matrix, base = np.concatenate([r.matrix for r in rows]), np.concatenate([r.base for r in rows])
    joined = Rows(rows[0].names, matrix, base, pd.DatetimeIndex(np.concatenate([r.ds.to_numpy() for r in rows])))
    columns = ("units", "horizon", "in_stock")
    units, horizon, in_stock = (np.concatenate([getattr(part, name) for part in parts]) for name in columns)
    return Sample(joined, units, horizon, in_stock)
