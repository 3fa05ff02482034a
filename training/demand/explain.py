"""Why a forecast is what it is: contributions by driver, in units, that add up to it.

Told from the level up, in the order in which the model works: the level of the last four weeks, the weekday's share, what
each simple forecast of the stack adds, and then the trees. These act on the logarithm, so their TreeSHAP values (Lundberg
et al. 2020) are turned to units by the logarithmic mean of before and after, which leaves no remainder (additive LMDI-I:
Ang 2005). A blend's contributions are its members', by share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import singledispatch

import numpy as np

from feature_repo.calendar import CALENDAR_FEATURES
from training.demand.balance import BalancedMean, StockedMean, stocked
from training.demand.examples import FLOOR, Rows
from training.demand.model import BoosterMean, DemandModel, MixedMean, OffsetMean
from training.demand.profiles import ProfileMean, StackedMean

#: the drivers that every forecast has; each planned column is one more, under its own name
LEVEL, WEEKDAY, RECENT, SEASON, CALENDAR, PRICE, RELATED, DAYS_ALIKE, OVERALL, CLOSED = (
    "level", "weekday", "recent_sales", "season", "calendar", "price", "related", "days_alike", "overall", "closed",
)  # fmt: skip
_BUILT_IN = {LEVEL, WEEKDAY, RECENT, SEASON, CALENDAR, PRICE, RELATED, DAYS_ALIKE, OVERALL, CLOSED}
#: what a planned column's features add to its name
_PLANNED = ("_target", "_change", "_lift", "_before", "_after", "_since", "_until")
_WEEKDAY = {"profile", "recent_same_weekday", "last_same_weekday", "log_base", "dow"}
_SEASON = {"week_sin", "week_cos", "month", "days_to_christmas", "year_ago_trend", "age_days"}
_GROUPS = ("store_", "category_", "product_", "all_")
#: the least part of a forecast that a sentence names, and the most parts
_NAMED_SHARE, _NAMED = 0.05, 4


def drivers(names: Collection[str], planned: Collection[str] = (), alike: Collection[str] = ()) -> dict[str, str]:
    """The driver of each feature. `planned` are the columns whose future a user may plan; what days like the target's
    sold speaks for the column of `alike`, those that tell such days apart, where there is one."""
    return {name: _driver(name, planned, alike) for name in names}


def _driver(name: str, planned: Collection[str], alike: Collection[str]) -> str:
    for column in planned:
        if name in {column + ending for ending in _PLANNED}:
            return _own(column)
    if name in {"price_to_usual", "price_to_now", "price_ratio"}:
        return PRICE
    if name in {"promotion", "promotion_28"}:
        return "promotion"
    if name in _WEEKDAY:
        return WEEKDAY
    if name in _SEASON or name.endswith(("_last_year", "_year_ago_trend")):
        return SEASON
    if name in CALENDAR_FEATURES:
        return CALENDAR
    if name == "alike":
        return _own(next(iter(alike))) if len(alike) == 1 else DAYS_ALIKE
    return RELATED if name.startswith(_GROUPS) or name == "prior_level" or name.endswith("_code") else RECENT


def _own(column: str) -> str:
    """A planned column's driver: its name, told apart from the drivers that every forecast has."""
    return f"{column}_planned" if column in _BUILT_IN - {PRICE} else column


def explained(model: DemandModel, rows: Rows, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    """For m rows the (m,) units of each driver, `level` first; they sum to `model.units(rows)`. `by`: the driver of each
    feature, as `drivers` tells."""
    level = np.exp(rows.column("log_level").astype(np.float64))
    found = _scaled(contributions(model.mean, rows, level, by), 1 - model.profile_share)
    if model.profile_share:
        found = _summed([found, _scaled(contributions(ProfileMean(), rows, level, by), model.profile_share)])
    return {LEVEL: level, **found}


@singledispatch
def contributions(mean: object, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    """(m,) units by driver that lead from `level` to `mean.predict(rows)`. A mean that cannot be taken apart says how far it
    is from the profile, as a whole."""
    return {WEEKDAY: rows.base - level, OVERALL: mean.predict(rows) - rows.base}  # type: ignore[attr-defined]


@contributions.register
def _of_profile(mean: ProfileMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    return {WEEKDAY: rows.base - level}


@contributions.register
def _of_stack(mean: StackedMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    parts = mean.parts(rows)
    own = [{by[name]: parts[:, at] - mean.weights[at] * rows.base} for at, name in enumerate(mean.names, 1)]
    # simple forecasts that agree with the profile would make its forecast times the sum of the weights
    rest = mean.predict(rows) - parts.sum(axis=1) + (mean.weights.sum() - 1) * rows.base
    return _summed([{WEEKDAY: rows.base - level}, *own, {RECENT: rest}])


@contributions.register
def _of_offset(mean: OffsetMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    below = mean.offset.predict(rows)
    before = np.maximum(below, FLOOR)
    boosted = _boosted(mean.boosted, replace(rows, base=before), by)
    return _summed([contributions(mean.offset, rows, level, by), {RECENT: before - below}, boosted])


@contributions.register
def _of_booster(mean: BoosterMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    return _summed([{WEEKDAY: rows.base - level}, _boosted(mean, rows, by)])


@contributions.register
def _of_balanced(mean: BalancedMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    found = mean.mean.predict(rows)
    sized = found * mean.by_size(found)
    balance = {OVERALL: sized - found, WEEKDAY: sized * (mean.by_weekday(rows) - 1)}
    return _summed([contributions(mean.mean, rows, level, by), balance])


@contributions.register
def _of_stocked(mean: StockedMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    found = mean.mean.predict(rows)
    return _summed([contributions(mean.mean, rows, level, by), {OVERALL: found * (mean.factors[stocked(rows)] - 1)}])


@contributions.register
def _of_mixed(mean: MixedMean, rows: Rows, level: np.ndarray, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    parts = [(part, share) for part, share in zip(mean.parts, mean.shares, strict=True) if share]
    return _summed([_scaled(contributions(part, rows, level, by), share) for part, share in parts])


def _boosted(mean: BoosterMean, rows: Rows, by: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Units by driver from `rows.base` to what the trees make of it."""
    import xgboost

    after = mean.predict(rows)
    if not mean.offset:
        return {OVERALL: after - rows.base}
    data = xgboost.DMatrix(rows.matrix, base_margin=np.log(rows.base))
    shap = mean.booster.predict(data, pred_contribs=True)[:, :-1].astype(np.float64)
    scale = _log_mean(after, rows.base)
    found: dict[str, np.ndarray] = {}
    for at, name in enumerate(rows.names):
        found[by[name]] = found.get(by[name], 0) + scale * shap[:, at]
    # what the trees say of all rows alike, and what float32 has rounded
    return _summed([found, {OVERALL: after - rows.base - sum(found.values(), np.zeros(len(after)))}])


def _log_mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The logarithmic mean (a - b) / (ln a - ln b) of positive numbers; a where they are alike."""
    apart = np.log(np.maximum(one, 1e-12)) - np.log(np.maximum(other, 1e-12))
    near = np.abs(apart) < 1e-9
    return np.where(near, one, (one - other) / np.where(near, 1.0, apart))


def _scaled(parts: Mapping[str, np.ndarray], by: float) -> dict[str, np.ndarray]:
    return {name: by * values for name, values in parts.items()}


def _summed(dicts: Collection[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for part in dicts:
        for name, values in part.items():
            found[name] = found[name] + values if name in found else values
    return found


def sentences(parts: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence a row: the level, the largest drivers, and the rest, whose printed numbers add up to the forecast."""
    names = [name for name in parts if name != LEVEL]
    values = np.round(np.column_stack([parts[name] for name in names]), 2)
    total, level = np.round(sum(parts.values()), 2), np.round(parts[LEVEL], 2)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :_NAMED]
    told = []
    for row, chosen in enumerate(order):
        named = [at for at in chosen if abs(values[row, at]) >= max(_NAMED_SHARE * abs(total[row]), 0.005)]
        words = [f"level {level[row]:.2f}", *(f"{names[at]} {values[row, at]:+.2f}" for at in named)]
        rest = total[row] - level[row] - values[row, named].sum()
        told.append(", ".join([*words, *([f"the rest {rest:+.2f}"] if abs(rest) >= 0.005 else [])]) + f" = {total[row]:.2f}")
    return told
