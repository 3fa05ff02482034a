"""The rules that Shelfcast's orders are compared with, over any world: each has one number, chosen by the replay of earlier
weeks. They know the lead time and review period that were promised, and count on what is on order."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import nbinom, norm

from benchmarks.stock_worlds import World
from training.stock import plan

#: (world, number a pair, place, stock, receipts) -> units
Numbered = Callable[[World, np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]


def level(world: World, place: int, weeks: int = 13) -> np.ndarray:
    """Mean units of the in-stock periods among the last `weeks` weeks before `place` (pairs,)."""
    before = slice(max(place - weeks * 7 // world.days, 0), place)
    shown = world.exposure[:, before]
    return (world.units[:, before] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)


def spread(world: World, place: int) -> np.ndarray:
    """Standard deviation of a period over the last 26 weeks (pairs,)."""
    return world.units[:, max(place - 26 * 7 // world.days, 0) : place].std(axis=1)


def protection(world: World) -> np.ndarray:
    """Periods from an order to the arrival of the next one, as promised (pairs,)."""
    return world.promise + world.review


def fixed_cover(world: World, cover: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """Up to `cover` times the lead time and review period of the 13-week mean."""
    return cover * protection(world) * level(world, place) - stock - receipts.sum(axis=1)


def normal_point(world: World, z: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """Up to the mean over lead time and review period plus z of its standard deviations."""
    periods = protection(world)
    return periods * level(world, place) + z * np.sqrt(periods) * spread(world, place) - stock - receipts.sum(axis=1)


def binomial_newsvendor(world: World, ratio: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """Up to the negative binomial's quantile of demand over lead time and review period."""
    periods = protection(world)
    mean, variance = np.maximum(periods * level(world, place), 0.02), periods * spread(world, place) ** 2
    over = np.maximum(variance / mean, 1.001)
    return nbinom.ppf(ratio, mean / (over - 1), 1 / over) - stock - receipts.sum(axis=1)


def empirical_quantile(world: World, ratio: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """Up to the quantile of the sums over as many consecutive periods seen in the last year."""
    recent = world.units[:, max(place - 364 // world.days, 0) : place]
    sums = np.concatenate([np.zeros((len(recent), 1)), np.cumsum(recent, axis=1)], axis=1)
    out = np.zeros(len(recent))
    periods = protection(world)
    for length, share in {*zip(periods.tolist(), ratio.tolist(), strict=True)}:
        rows = (periods == length) & (ratio == share)
        out[rows] = np.quantile(sums[rows, length:] - sums[rows, :-length], share, axis=1)
    return out - stock - receipts.sum(axis=1)


def seasonal_cover(world: World, cover: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """As VN2's organiser: a seasonal 13-week moving average (the pooled week of the year) over lead time, review and one more."""
    of_year = ((world.labels.dayofyear - 1) // 7).to_numpy()
    total = pd.Series(world.units[:, :place].sum(axis=0)).groupby(of_year[:place]).mean()
    index = np.ones(54)
    index[total.index] = total / total.mean()
    recent = slice(place - 13, place)
    shown = world.exposure[:, recent]
    plain = (world.units[:, recent] / index[of_year[recent]] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    ahead = world.labels[place - 1] + pd.to_timedelta(7 * np.arange(1, 5), unit="D")
    return cover / 4 * plain * index[(ahead.dayofyear - 1) // 7].sum() - stock - receipts.sum(axis=1)


def projected_mean(world: World, factor: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """LightGBM's mean over the review period after the lead time, times `factor`, beyond the stock that its means of the
    periods before would leave."""
    means = _Boosted.of(world).means(place)
    left, wanted = stock.copy(), np.zeros(len(stock))
    for ahead in range(means.shape[1]):
        left += receipts[:, ahead] if ahead < receipts.shape[1] else 0.0
        before = ahead < world.promise
        left = np.where(before, np.maximum(left - means[:, ahead], 0.0), left)
        wanted += np.where(~before & (ahead < world.promise + world.review), means[:, ahead], 0.0)
    return factor * wanted - left


class _Boosted:
    """A plain LightGBM regressor (Tweedie) on lags, means, the calendar and the step, over all pairs, fitted every 4 weeks."""

    def __init__(self, world: World) -> None:
        self.world, self.steps, self.week = world, int(protection(world).max()), 7 // world.days
        self.means = lru_cache(maxsize=512)(self._means)
        self.fitted = lru_cache(maxsize=64)(self._fitted)

    @staticmethod
    @lru_cache(maxsize=4)
    def of(world: World) -> _Boosted:
        """The one of a world."""
        return _Boosted(world)

    def _means(self, place: int) -> np.ndarray:
        model = self.fitted(place - place % (4 * self.week))
        return np.stack([np.maximum(model.predict(self.rows(place, step)), 0) for step in range(1, self.steps + 1)], axis=1)

    def _fitted(self, place: int):
        import lightgbm

        draw, cells = np.random.default_rng(place), []
        for origin in range(max(26, place - 104 * self.week), place, max(self.week // 2, 1)):
            steps = range(1, self.steps + 1) if self.steps <= 4 else draw.integers(1, self.steps + 1, 2)
            cells += [(origin, int(step)) for step in steps if origin + step <= place]
        rows = np.concatenate([self.rows(*cell) for cell in cells])
        target = np.concatenate([self.world.units[:, origin + step - 1] for origin, step in cells])
        model = lightgbm.LGBMRegressor(
            objective="tweedie", n_estimators=150, learning_rate=0.06, num_leaves=31, min_child_samples=40,
            subsample=0.7, subsample_freq=1, colsample_bytree=0.8, n_jobs=1, verbose=-1, random_state=3,
        )  # fmt: skip
        return model.fit(rows, target)

    def rows(self, place: int, step: int) -> np.ndarray:
        """Features of every pair for the period `step` after those before `place`."""
        units, week = self.world.units[:, :place], self.week
        unknown = np.full(len(units), np.nan)
        target = self.world.labels[0] + pd.Timedelta(days=self.world.days * (place + step - 1))
        year = units[:, place + step - 1 - 52 * week] if place + step > 52 * week else unknown
        means = [units[:, -k * week :].mean(axis=1) for k in (4, 13, 26)]
        same = [] if week == 1 else [units[:, (place + step - 1) % week :: week][:, -8:].mean(axis=1), units[:, -7:].mean(axis=1)]
        calendar = [np.full(len(units), value) for value in ((target.dayofyear - 1) // 7, target.dayofweek, step)]
        return np.column_stack([*(units[:, -k] for k in (1, 2, 3, 4)), *means, *same, year, *calendar])


def stockcast_point(world: World, z: np.ndarray, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """The package stockcast's order-up-to policy on the 13-week mean and 26-week deviation of each period, its service level
    that of z; its number is the normal reorder point's, whose target it computes."""
    from stockcast.policies import OrderUpToPolicy

    due = place % world.review == 0
    mean, deviation, position = level(world, place), spread(world, place), stock + receipts.sum(axis=1)
    out = np.zeros(len(stock))
    for lead, review, number in {*zip(world.promise[due].tolist(), world.review[due].tolist(), z[due].tolist(), strict=True)}:
        rows = np.flatnonzero(due & (world.promise == lead) & (world.review == review) & (z == number))
        each = np.repeat(rows, lead + review)
        table = pd.DataFrame({"unique_id": each, "fh": np.tile(np.arange(1, lead + review + 1), len(rows)),
                              "mean": mean[each], "std": deviation[each]})  # fmt: skip
        policy = OrderUpToPolicy(lead, review, freq=f"{world.days}D", service_level=float(norm.cdf(number)), allow_backorders=False)
        policy.fit(table, forecast_origin=world.labels[place - 1], mean_column="mean", std_column="std")
        decision = policy.predict(pd.DataFrame({"unique_id": rows, "inventory_position": position[rows]}), current_period=0)
        out[rows] = decision.get_dataframe().set_index("unique_id")["order_quantity"].loc[rows].to_numpy()
    return out


def shelfcast(world: World, place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
    """`training.stock.plan` on frames, of the pairs that are due, as an outside simulator calls it."""
    due = np.flatnonzero(place % world.review == 0)
    known = world.history[world.history["ds"] < world.labels[place]]
    keys = world.keys.iloc[due]
    on_hand = keys.assign(on_hand=stock[due], on_order=np.nan, arrives_on=pd.NaT)
    row, ahead = np.nonzero(receipts[due] > 0)
    arrives = world.labels[place] + pd.to_timedelta(world.days * ahead, unit="D")
    transit = keys.iloc[row].assign(on_hand=np.nan, on_order=receipts[due][row, ahead], arrives_on=arrives)
    frame = pd.concat([on_hand, transit]).astype({"arrives_on": "datetime64[ns]"})
    orders = plan(known, frame, world.items, world.labels[place - 1])
    out = np.zeros(len(stock))
    out[due] = keys.merge(orders, on=["store_id", "product_id"])["order_units"].to_numpy(float)
    return out
