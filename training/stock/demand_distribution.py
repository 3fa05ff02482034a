"""The predictive distribution of each pair's demand over any stretch of coming periods: a level learned from what was on
offer, a weekday profile, and a spread measured on the errors that the same level made before.

Demand of a stretch of w periods with mean M has variance M + M^2 (common + single / w): Poisson chance, plus what the
level gets wrong for good, plus what differs from period to period. It is read as a negative binomial (`grid.pmf`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from training.stock.panel import Panel

#: half-life of the level's memory, in weeks
HALF_LIFE_WEEKS = 13.0
#: units of the pooled level that stand before a pair's own first ones, for a week at most: gone after a few of them
PRIOR_UNITS = 0.1
#: weeks of errors that a pair's own spread needs to outweigh the spread of all pairs
SPREAD_PRIOR_WEEKS = 20.0
#: spread beyond Poisson of a pair of which nothing is known
UNKNOWN_SPREAD = 0.5
#: a level that is never quite zero, in units a week: an item on the shelf may sell
FLOOR_WEEK = 0.02


@dataclass(frozen=True)
class Demand:
    """`mean` (pairs, periods ahead), units a period from the first after the origin on; `common` and `single` (pairs,): the
    squared coefficient of variation that stays and the one that averages out over periods."""

    mean: np.ndarray
    common: np.ndarray
    single: np.ndarray

    def total(self, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of demand over the periods start <= h < stop (pairs,), h = 0 the first after the origin."""
        rows, last = np.arange(len(self.mean)), self.mean.shape[1]
        start, stop = np.minimum(start, last), np.minimum(stop, last)
        mean = np.maximum(self._sums[rows, stop] - self._sums[rows, start], 0.0)
        return mean, mean + mean**2 * (self.common + self.single / np.maximum(stop - start, 1))

    @cached_property
    def _sums(self) -> np.ndarray:
        return np.concatenate([np.zeros((len(self.mean), 1)), np.cumsum(self.mean, axis=1)], axis=1)

    def take(self, rows: np.ndarray | slice) -> Demand:
        """The demand of some pairs."""
        return Demand(self.mean[rows], self.common[rows], self.single[rows])


def predict(panel: Panel, periods: int) -> Demand:
    """The demand of the next `periods` periods after the panel's last, by level x weekday profile; shape (pairs, periods)."""
    profile = weekday_profile(panel)
    levels = level_path(panel, profile)
    ahead = (panel.units.shape[1] + np.arange(periods)) % panel.season
    mean = np.maximum(levels[:, -1:], FLOOR_WEEK / panel.season) * profile[:, ahead]
    common, single = spread(panel, profile, levels)
    return Demand(mean, common, single)


def with_mean(demand: Demand, mean: np.ndarray) -> Demand:
    """The same spread around another mean (pairs, periods)."""
    return replace(demand, mean=mean)


def weekday_profile(panel: Panel, prior_units: float = 30.0) -> np.ndarray:
    """Each pair's demand by position in the week relative to its mean, shrunk towards that of all pairs: (pairs, season);
    column j belongs to the panel's columns t with t % season = j. Ones for weekly data."""
    season = panel.season
    if season == 1 or panel.units.shape[1] < 2 * season:
        return np.ones((len(panel.units), season))
    recent = slice(max(panel.units.shape[1] - 26 * season, 0), None)
    place = np.arange(panel.units.shape[1])[recent] % season
    sums = np.stack([panel.units[:, recent][:, place == j].sum(axis=1) for j in range(season)], axis=1)
    shown = np.stack([panel.exposure[:, recent][:, place == j].sum(axis=1) for j in range(season)], axis=1)
    rate = sums.sum(axis=1) / np.maximum(shown.sum(axis=1), 1e-9)
    pooled = sums.sum(axis=0) / np.maximum((shown * rate[:, None]).sum(axis=0), 1e-9)
    own = (sums + prior_units / season * pooled) / np.maximum(shown * rate[:, None] + prior_units / season, 1e-9)
    return own * season / np.maximum(own.sum(axis=1, keepdims=True), 1e-9)


def level_path(panel: Panel, profile: np.ndarray, half_life_weeks: float = HALF_LIFE_WEEKS) -> np.ndarray:
    """Units a period at an average weekday as known before each period, and after the last: (pairs, periods + 1). Recent
    periods weigh more, periods that were not on offer nothing; a pair without any leans on the pairs' mean."""
    pairs, periods = panel.units.shape
    keep = 0.5 ** (1.0 / (half_life_weeks * panel.season))
    usual = profile[:, np.arange(periods) % panel.season]
    shown = panel.exposure * usual
    start = panel.units.sum() / max(float(shown.sum()), 1e-9)
    out = np.empty((pairs, periods + 1))
    # counted in units, not in periods: a few fast pairs must not lend the slow ones their pace
    prior = min(PRIOR_UNITS / max(start, 1e-9), panel.season)
    units, weight = np.full(pairs, prior * start), np.full(pairs, prior)
    for t in range(periods):
        out[:, t] = units / weight
        live = shown[:, t] > 0
        units = np.where(live, units * keep + panel.units[:, t], units)
        weight = np.where(live, weight * keep + shown[:, t], weight)
    out[:, periods] = units / weight
    return out


def spread(panel: Panel, profile: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`common` and `single` (pairs,) from the errors of the level one period and four weeks ahead, over the last two years."""
    long = 4 * panel.season
    one = _excess(panel, profile, levels, 1)
    many = _excess(panel, profile, levels, long) if panel.units.shape[1] > 2 * long else 0.5 * one
    # two equations: common + single = one, common + single / long = many
    single = np.clip((one - many) / (1.0 - 1.0 / long), 0.0, None)
    common = np.clip(one - single, 0.01, 4.0)
    return common, np.clip(single, 0.02, 4.0 * panel.season)


def _excess(panel: Panel, profile: np.ndarray, levels: np.ndarray, length: int) -> np.ndarray:
    """Squared coefficient of variation beyond Poisson of sums over `length` periods around the level before them (pairs,)."""
    periods = panel.units.shape[1]
    starts = np.arange(max(periods - 104 * panel.season, min(4 * panel.season, periods - 1)), periods - length + 1)
    if len(starts) == 0:
        return np.full(len(panel.units), UNKNOWN_SPREAD)
    usual = profile[:, np.arange(periods) % panel.season]
    shown = _moving(panel.exposure * usual, length)[:, starts]
    error = _moving(panel.units, length)[:, starts] - levels[:, starts] * shown
    expected = levels[:, starts] * shown
    whole = (_moving(panel.exposure, length)[:, starts] >= 0.8 * length) * 0.5 ** ((starts[-1] - starts) / (26.0 * panel.season))
    # sums that overlap are fewer observations than they look
    weight = whole.sum(axis=1) / (length * panel.season) * np.sqrt(length)
    beyond, square = (whole * (error**2 - expected)).sum(axis=1), (whole * expected**2).sum(axis=1)
    pooled = np.clip(_pooled(beyond, square), 0.02, 4.0)
    own = beyond / np.maximum(square, 1e-9)
    share = weight / (weight + SPREAD_PRIOR_WEEKS)
    return np.where(square > 1e-6, np.maximum(share * np.clip(own, 0.0, 6.0) + (1 - share) * pooled, 0.0), pooled)


def _pooled(beyond: np.ndarray, square: np.ndarray) -> float:
    """The middle pair's spread, weighed by pairs and not by volume: a few fast pairs must not speak for the slow."""
    seen = square > 1e-6
    return float(np.median(np.clip(beyond[seen] / square[seen], 0.0, 6.0))) if seen.any() else UNKNOWN_SPREAD


def _moving(values: np.ndarray, length: int) -> np.ndarray:
    """Sums over `length` columns, one for each start: (rows, columns - length + 1)."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return sums[:, length:] - sums[:, :-length]
