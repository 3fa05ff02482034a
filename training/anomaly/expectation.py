"""What a day was expected to sell, from the days before it: level x day-of-week profile x what related series did that
same day. A gamma-Poisson filter with forgetting, one pass over the days, all series at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: share of the memory kept a period: the level follows two horizons (about 10 and 50 days), equally weighted
_FAST, _SLOW = 0.90, 0.98
_DOW_KEEP, _SPREAD_KEEP = 0.95, 0.985
#: days that what all series sell a day counts for in a level, and units of it that go on counting
_PRIOR_DAYS, _PRIOR_UNITS = 0.5, 1.0
#: units (or days) by which a series' own profile, and a day's common factor, are drawn to what is known without them
_PROFILE_UNITS, _FACTOR_UNITS = 15.0, 25.0
#: a store or product may move this far by itself before the move is itself strange
_FACTOR_RANGE = (0.5, 2.0)
#: an observation enters the state at most this many standard deviations from its mean: anomalies do not teach
_TRUSTED_SD = 4.0


@dataclass(frozen=True)
class Expectation:
    """(n, T) float32 arrays, each column from earlier columns and the same day's related series only: `mean` units,
    `spread` (1 / size of the negative binomial: variance = mean + spread x mean^2), `level` (units of a plain day) and
    `weight` (mean = level x weight). `factor` is the part of `weight` that related series caused; `grain` <= 1 is the size
    in units of what is counted: weighed goods vary less than counted ones (variance of a Poisson = grain x mean)."""

    mean: np.ndarray
    spread: np.ndarray
    level: np.ndarray
    weight: np.ndarray
    factor: np.ndarray
    grain: np.ndarray


def expect(units: np.ndarray, exposure: np.ndarray, weekday: np.ndarray, store: np.ndarray, product: np.ndarray) -> Expectation:
    """The expectation of every cell of `units` (n, T; NaN unknown). `exposure` (n, T) is the share of the day in which a
    sale could happen and would be seen; `weekday` (T,) 0..6 (all 0 for weekly data); `store`, `product` (n,) group codes."""
    n, periods = units.shape
    out = Expectation(*(np.zeros((n, periods), dtype=np.float32) for _ in range(6)))
    filter_ = _Filter(n, store, product)
    for t in range(periods):
        x, share = np.nan_to_num(units[:, t].astype(float)), exposure[:, t].astype(float)
        step = filter_.step(x, share, int(weekday[t]))
        for column, values in zip((out.mean, out.spread, out.level, out.weight, out.factor, out.grain), step, strict=True):
            column[:, t] = values
    return out


class _Filter:
    """The state of all series between two days."""

    def __init__(self, n: int, store: np.ndarray, product: np.ndarray) -> None:
        self.store, self.product = store, product
        self.stores, self.products = int(store.max(initial=0)) + 1, int(product.max(initial=0)) + 1
        self.sold = np.zeros((2, n))
        self.days = np.zeros((2, n))
        self.prior_days = np.full((2, n), _PRIOR_DAYS)
        self.own_sold, self.own_due = np.zeros((7, n)), np.zeros((7, n))
        self.store_sold, self.store_due = np.zeros((7, self.stores)), np.zeros((7, self.stores))
        self.excess, self.square = np.zeros(n), np.zeros(n)
        self.residual, self.due = np.zeros(n), np.zeros(n)
        self.usual = np.ones(n)
        self.begun = np.zeros(n, dtype=bool)

    def step(self, x: np.ndarray, share: np.ndarray, weekday: int) -> tuple[np.ndarray, ...]:
        """mean, spread, level, weight, factor, grain of a day; then learn from it."""
        level = self._level(x, share)
        of_store = self._store_profile(weekday)
        own = (self.own_sold[weekday] + _PROFILE_UNITS) / (self.own_due[weekday] + _PROFILE_UNITS)
        plain = level * of_store * own * share
        certain = np.minimum(x, plain + _TRUSTED_SD * np.sqrt(plain + 0.5 * plain**2) + 1)
        factor = self._factor(certain, plain)
        mean = plain * factor
        spread = self._spread(mean) + 1.0 / (1.0 + self.sold.mean(axis=0))
        grain = self._grain(mean)
        deviation = np.sqrt(grain * mean + spread * mean**2)
        trusted = np.clip(x, mean - _TRUSTED_SD * deviation, mean + _TRUSTED_SD * deviation + 1)
        self._learn(trusted, mean, level, of_store, own, factor, grain, share, weekday)
        return mean, spread, level, of_store * own * factor * share, factor, grain

    def _level(self, x: np.ndarray, share: np.ndarray) -> np.ndarray:
        seen = self.days[1] > 0
        total = self.days[1][seen].sum()
        prior = self.sold[1][seen].sum() / total if total else 1.0
        # forgotten as the series' own days are, down to a small one: slow series would stay held against fast ones
        lasting = (_PRIOR_DAYS - self.prior_days) * min(prior, _PRIOR_UNITS)
        return ((self.sold + self.prior_days * prior + lasting) / (self.days + _PRIOR_DAYS)).mean(axis=0)

    def _store_profile(self, weekday: int) -> np.ndarray:
        chain = (self.store_sold[weekday].sum() + 30.0) / (self.store_due[weekday].sum() + 30.0)
        return ((self.store_sold[weekday] + 100.0 * chain) / (self.store_due[weekday] + 100.0))[self.store]

    def _factor(self, x: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """How the rest of the chain, then of the store, then of the product's stores, moved today (1 = as expected)."""
        everyone = np.zeros(len(x), dtype=int)
        chain = _others(x, plain, everyone, 1, (0.02, 50.0))
        if np.bincount(self.store[self.begun], minlength=self.stores).astype(bool).sum() < 2:
            return chain  # what a store or a product does by itself shows only beside another store
        own_store = _others(x, plain * chain, self.store, self.stores, _FACTOR_RANGE)
        own_product = _others(x, plain * chain * own_store, self.product, self.products, (0.3, 5.0))
        return chain * own_store * own_product

    def _spread(self, mean: np.ndarray) -> np.ndarray:
        known = self.square.sum()
        pooled = np.clip(self.excess.sum() / known, 0.02, 5.0) if known > 0 else 0.5
        weight = 15.0 * np.maximum(mean, 0.3) ** 2
        return np.clip((self.excess + weight * pooled) / (self.square + weight), 0.01, 8.0)

    def _grain(self, mean: np.ndarray) -> np.ndarray:
        index = (self.residual + 10.0 * mean) / np.maximum(self.due + 10.0 * mean, 1e-9)
        # noise alone makes counted goods look a little finer than they are
        return np.where((index < 0.6) & (self.due > 0), np.maximum(index, 0.02), 1.0)

    def _learn(self, x, mean, level, of_store, own, factor, grain, share, weekday) -> None:
        open_ = share > 0
        # a lasting move of everyone is level, a passing one is not
        passing = factor / self.usual
        self.usual = np.where(open_, 0.93 * self.usual + 0.07 * factor, self.usual)
        for row, keep in enumerate((_FAST, _SLOW)):
            self.sold[row] = np.where(open_, keep * self.sold[row] + x, self.sold[row])
            self.days[row] = np.where(open_, keep * self.days[row] + of_store * own * passing * share, self.days[row])
            self.prior_days[row] *= np.where(open_, keep, 1.0)
        self.own_sold[weekday] = np.where(open_, _DOW_KEEP * self.own_sold[weekday] + x, self.own_sold[weekday])
        due = level * of_store * factor * share
        self.own_due[weekday] = np.where(open_, _DOW_KEEP * self.own_due[weekday] + due, self.own_due[weekday])
        seen = self.begun & open_
        bare = np.bincount(self.store, weights=np.where(seen, level * share, 0), minlength=self.stores)
        sold = np.bincount(self.store, weights=np.where(seen, x, 0), minlength=self.stores)
        self.store_sold[weekday] = 0.9 * self.store_sold[weekday] + np.clip(sold, 0.3 * bare, 3.0 * bare)
        self.store_due[weekday] = 0.9 * self.store_due[weekday] + bare
        self.excess = np.where(seen, _SPREAD_KEEP * self.excess + (x - mean) ** 2 - grain * mean, self.excess)
        self.square = np.where(seen, _SPREAD_KEEP * self.square + mean**2, self.square)
        self.residual = np.where(seen, _SPREAD_KEEP * self.residual + (x - mean) ** 2, self.residual)
        self.due = np.where(seen, _SPREAD_KEEP * self.due + mean, self.due)
        self.begun |= open_


def _others(x: np.ndarray, due: np.ndarray, code: np.ndarray, groups: int, bounds: tuple[float, float]) -> np.ndarray:
    """Sold / due over the other members of each series' group, drawn to 1 by `_FACTOR_UNITS` units, within `bounds`."""
    sold = np.bincount(code, weights=x, minlength=groups)[code] - x
    expected = np.bincount(code, weights=due, minlength=groups)[code] - due
    return np.clip((sold + _FACTOR_UNITS) / (expected + _FACTOR_UNITS), *bounds)
