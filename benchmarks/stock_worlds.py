"""The worlds that order rules are compared in: real demand, the money of each pair, lead times as they will turn out.

Every rule of a world meets the same demand, the same lead time of an order placed in the same period, the same start
stock, and knows the same: recorded demand of earlier periods, stock on hand, and what is on order with its promised day."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.stock.simulate import Costs, Outcome, simulate

PAIR = ["store_id", "product_id"]
#: a rule: (place, stock on hand, promised receipts (pairs, periods), column k due k periods from now) -> units of every pair;
#: `place` is the world's column of the period that is about to begin, whose deliveries are in. Only the due pairs' count.
Rule = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class World:
    """`units`, `exposure` (pairs, periods) demand and share in stock; `labels` their days, `days` a period; `keys` and
    `items` (a row a pair, the columns of `shelfcast order`'s items); arrays a pair: `holding`, `shortage` money a unit (and
    period), `waste` money a wasted unit, `life` periods (infinite: keeps), `review` and `promise` periods, `pack` units;
    `lead` (pairs, periods) periods until an order of that period arrives; `window` periods simulated, of which the first
    `warm_up` do not count; `history` the frame a rule may read up to its period."""

    name: str
    units: np.ndarray
    exposure: np.ndarray
    labels: pd.DatetimeIndex
    days: int
    keys: pd.DataFrame
    items: pd.DataFrame
    history: pd.DataFrame
    holding: np.ndarray
    shortage: np.ndarray
    waste: np.ndarray
    life: np.ndarray
    review: np.ndarray
    promise: np.ndarray
    pack: np.ndarray
    lead: np.ndarray
    window: int
    warm_up: int
    start_periods: float

    @property
    def scored(self) -> int:
        """Column at which the newest window begins; the tuning window is the one before."""
        return self.units.shape[1] - self.window

    @property
    def tuning(self) -> int:
        """Column at which the tuning window begins: the scored weeks of both do not overlap."""
        return self.scored - self.window + self.warm_up if self.days == 1 else self.scored - self.window


def replay(world: World, rule: Rule, first: int, draw: int = 0) -> Outcome:
    """The outcome of `rule` over the window from column `first`. Units are rounded to whole packs, upwards from half a pack;
    `draw` picks another set of lead times."""
    stop = first + world.window
    lead = np.roll(world.lead, draw, axis=0)[:, first:stop] if draw else world.lead[:, first:stop]

    def order(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        due = (first + period) % world.review == 0
        if not due.any():
            return np.zeros(len(stock))
        wanted = np.maximum(rule(first + period, stock, np.pad(pipeline, ((0, 0), (1, 0)))), 0.0)
        return np.where(due, np.floor(wanted / world.pack + 0.5 + 1e-9) * world.pack, 0.0)

    return simulate(
        order, world.units[:, first:stop], start(world, first), lead, Costs(world.holding, world.shortage, 0.0, world.waste),
        warm_up=world.warm_up, shelf_life=world.life, promise=world.promise,
    )  # fmt: skip


def start(world: World, first: int) -> np.ndarray:
    """Stock of each pair before column `first`: `start_periods` of the mean of its in-stock periods among 13 weeks, rounded up."""
    before = slice(max(first - 13 * 7 // world.days, 0), first)
    shown = world.exposure[:, before]
    return np.ceil(world.start_periods * (world.units[:, before] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1))


def vn2(folder: Path) -> World:
    """VN2's weekly sales of a folder that holds `vn2/sales_weekly.parquet`, by the replay of its README: 56 weeks, 52 scored."""
    rows = pd.read_parquet(folder / "vn2" / "sales_weekly.parquet")
    rows = rows.rename(columns={"Store": "store_id", "Product": "product_id", "week": "ds", "sales": "units"})
    rows = rows.astype({"store_id": str, "product_id": str, "in_stock": float}).sort_values([*PAIR, "ds"])
    wide = rows.pivot(index=PAIR, columns="ds", values=["units", "in_stock"])
    keys = wide.index.to_frame(index=False)
    units = wide["units"].to_numpy(float)
    items = keys.assign(holding_cost=0.2 / 7, shortage_cost=1.0, lead_time_days=14, review_period_days=7)
    ones = np.ones(len(keys))
    return World(
        "vn2", units, wide["in_stock"].to_numpy(float), pd.DatetimeIndex(wide["units"].columns), 7, keys, items, rows,
        holding=0.2 * ones, shortage=ones, waste=0 * ones, life=np.inf * ones, review=ones.astype(int), promise=2 * ones.astype(int),
        pack=ones, lead=np.full(units.shape, 2), window=56, warm_up=4, start_periods=4.0,
    )  # fmt: skip


#: days that a delivery comes before or after its promise, and how often: the demo's own suppliers
LATE = {-1: 0.25, 0: 0.58, 1: 0.15, 3: 0.02}
HOLDING_YEAR = 0.25


def demo(seed: int = 2017) -> World:
    """The demo's store-product pairs: Complete Journey's sales as latent demand, the catalogue's costs, packs, shelf lives,
    promised lead times and review periods; money: 25 % of the unit cost a year for holding, the margin for a lost unit, the
    unit cost for a wasted one. 17 weeks, 13 scored."""
    from data_ingest.replay import live_through

    year = live_through(seed, None, lambda done, total, label: None)
    return priced("demo", year.pairs, year.shelf.demand, year.offers.price, pd.Timestamp("2017-01-01"), seed)


def priced(name: str, pairs: pd.DataFrame, demand: np.ndarray, price: np.ndarray, first: pd.Timestamp, seed: int) -> World:
    """A daily world of `pairs` (the shelf's columns) and their `demand` (pairs, days); `price` (pairs, weeks)."""
    usual, cost = np.nanmedian(price, axis=1), pairs["unit_cost"].to_numpy(float)
    promise = pairs["lead_time_days"].to_numpy(int)
    life = pairs["shelf_life_days"].fillna(np.inf).to_numpy(float)
    draw = np.random.default_rng(seed).choice(list(LATE), size=demand.shape, p=list(LATE.values()))
    keys = pairs[PAIR].reset_index(drop=True)
    shortage, holding = np.maximum(usual - cost, 0.05 * usual), HOLDING_YEAR / 365 * cost
    leads = {days: json.dumps({str(days + late): share for late, share in LATE.items()}) for days in np.unique(promise).tolist()}
    items = keys.assign(
        price=usual, unit_cost=cost, holding_cost=holding, shortage_cost=shortage,
        review_period_days=pairs["review_period_days"].to_numpy(),
        lead_time_distribution=[leads[days] for days in promise.tolist()], pack_size=pairs["pack_size"].to_numpy(),
        shelf_life_days=pairs["shelf_life_days"].to_numpy(),
    )  # fmt: skip
    labels = pd.date_range(first, periods=demand.shape[1])
    return World(
        name, demand, np.ones_like(demand), labels, 1, keys, items, long(keys, demand, labels), holding=holding, shortage=shortage,
        waste=cost, life=life, review=pairs["review_period_days"].to_numpy(int), promise=promise, pack=pairs["pack_size"].to_numpy(float),
        lead=np.maximum(promise[:, None] + draw, 1), window=17 * 7, warm_up=4 * 7, start_periods=10.0,
    )  # fmt: skip


def long(keys: pd.DataFrame, units: np.ndarray, labels: pd.DatetimeIndex) -> pd.DataFrame:
    """A row a pair and period, by period: `store_id, product_id, ds, units`."""
    count, periods = units.shape
    rows = keys.iloc[np.tile(np.arange(count), periods)].reset_index(drop=True)
    return rows.assign(ds=np.repeat(labels, count), units=units.T.ravel())
