"""A shelf over many periods, all series at once, that any policy plugs into.

Order of events in period t: (1) units whose shelf life has passed are wasted: what came at the start of period t serves
the periods t to t + life - 1; (2) deliveries due at t arrive; (3) the policy sees the stock, the pipeline and the sales
before t, and orders; an order of lead time 0 arrives at once, one of lead time k at the start of period t + k; (4) the
period's demand is served from stock, the oldest units first, the rest is lost, or owed when `backorders`; (5) the period
costs holding x stock at its end + shortage x units lost (owed units cost it every period they are owed) + fixed x orders
placed + waste x units wasted.

Fair comparisons: the same `demand` and `lead` for every policy (common random numbers); a `warm_up` of at least a lead
time and a review, so that the start stock speaks for none; a horizon that is long against the time in which one order is
sold, since stock left at its end has cost its holding but has earned nothing yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: (period, stock on hand net of owed units, pipeline (series, leads) with column k arriving k + 1 periods from now) -> units
Policy = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Costs:
    """Money: `holding` a unit and period, `shortage` a unit lost (or owed, a period), `fixed` an order, `waste` a unit that
    outlives its shelf life; numbers or (series,)."""

    holding: np.ndarray | float
    shortage: np.ndarray | float
    fixed: np.ndarray | float = 0.0
    waste: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Per series, summed over the periods that count: money by kind, units demanded and served, mean stock, orders placed."""

    holding: np.ndarray
    shortage: np.ndarray
    fixed: np.ndarray
    waste: np.ndarray
    demanded: np.ndarray
    served: np.ndarray
    stock: np.ndarray
    orders: np.ndarray

    @property
    def money(self) -> np.ndarray:
        """All money of each series."""
        return self.holding + self.shortage + self.fixed + self.waste

    @property
    def cost(self) -> float:
        """All money of all series."""
        return float(self.money.sum())

    @property
    def fill_rate(self) -> float:
        """Units served from stock at once over units demanded."""
        return float(self.served.sum() / max(float(self.demanded.sum()), 1e-12))


def simulate(
    policy: Policy,
    demand: np.ndarray,
    start: np.ndarray,
    lead: int | np.ndarray,
    costs: Costs,
    *,
    backorders: bool = False,
    warm_up: int = 0,
    shelf_life: np.ndarray | None = None,
    promise: np.ndarray | None = None,
) -> Outcome:
    """The outcome of `policy` on `demand` (series, periods) from stock `start` (series,) with an empty pipeline. `lead`: periods,
    one number, or (series, periods) drawn for the order of each period. The first `warm_up` periods do not count.
    `shelf_life` (series,) in periods, infinite for what keeps; the start stock is fresh. With `promise` (series,), the lead
    time that suppliers promise, the policy is shown the pipeline by promised periods, what is overdue in the next one;
    without, as it will arrive. Raises ValueError for perishables with `backorders`."""
    series, periods = demand.shape
    longest = int(np.max(lead))
    pipeline = np.zeros((longest + 1, series))
    stock = np.asarray(start, float).copy()
    ages = _Ages(shelf_life, stock, periods) if shelf_life is not None and np.isfinite(shelf_life).any() else None
    if ages is not None and backorders:
        raise ValueError("a shelf life goes with lost sales, not with backorders")
    told = None if promise is None else _Promises(promise, lead, series, longest)
    left, short, orders, demanded, served, wasted = (np.zeros(series) for _ in range(6))
    for period in range(periods):
        counts = period >= warm_up
        if ages is not None:
            old = ages.expire(period)
            stock = stock - old
            wasted += old if counts else 0.0
        slot = period % (longest + 1)
        before = stock
        stock = stock + pipeline[slot]
        pipeline[slot] = 0.0
        ahead = pipeline[(slot + 1 + np.arange(longest)) % (longest + 1)].T if told is None else told.ahead(period)
        order = np.maximum(policy(period, stock, ahead), 0.0)
        if told is not None:
            told.placed(period, order)
        stock = _dispatch(order, stock, pipeline, slot, lead[:, period] if isinstance(lead, np.ndarray) else lead)
        wanted = demand[:, period]
        sold = np.minimum(np.maximum(stock, 0.0), wanted)
        if ages is not None:
            ages.move(period, stock - before, sold)
        stock = stock - (wanted if backorders else sold)
        if counts:
            left += np.maximum(stock, 0.0)
            short += np.maximum(-stock, 0.0) if backorders else wanted - sold
            orders += order > 0
            demanded += wanted
            served += sold
    return Outcome(
        costs.holding * left, costs.shortage * short, costs.fixed * orders, costs.waste * wasted, demanded, served,
        left / max(periods - warm_up, 1), orders,
    )  # fmt: skip


class _Promises:
    """What is on order by the period that it was promised for."""

    def __init__(self, promise: np.ndarray, lead: int | np.ndarray, series: int, longest: int) -> None:
        self.promise, self.lead, self.rows, self.longest = promise.astype(int), lead, np.arange(series), longest
        self.width = max(longest, int(self.promise.max(initial=0)), 1)
        self.orders: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def placed(self, period: int, order: np.ndarray) -> None:
        """Remember an order until the longest lead time has passed."""
        self.orders[period] = (order, self.lead[:, period] if isinstance(self.lead, np.ndarray) else np.full(len(order), self.lead))
        self.orders.pop(period - self.longest, None)

    def ahead(self, period: int) -> np.ndarray:
        """(series, periods): column k is promised for k + 1 periods from `period`, or is overdue and k = 0."""
        out = np.zeros((len(self.rows), self.width))
        for then, (order, lead) in self.orders.items():
            place = np.clip(then + self.promise - period - 1, 0, self.width - 1)
            out[self.rows, place] += np.where(then + lead > period, order, 0.0)
        return out


class _Ages:
    """First in, first out by two running totals: what had come by period t - life and has not left by t is too old."""

    def __init__(self, life: np.ndarray, start: np.ndarray, periods: int) -> None:
        self.rows = np.flatnonzero(np.isfinite(life))
        self.life = life[self.rows].astype(int)
        self.came = np.zeros((periods + 1, len(self.rows)))
        self.came[0] = start[self.rows]
        self.gone = np.zeros(len(self.rows))
        self.size = len(life)

    def expire(self, period: int) -> np.ndarray:
        """Units (series,) that are too old at the start of `period`."""
        out = np.zeros(self.size)
        due = period >= self.life
        there = self.came[np.maximum(period - self.life + 1, 0), np.arange(len(self.rows))]
        old = np.where(due, np.maximum(there - self.gone, 0.0), 0.0)
        self.gone += old
        out[self.rows] = old
        return out

    def move(self, period: int, received: np.ndarray, sold: np.ndarray) -> None:
        """What came in and was sold in `period`; row t + 1 of `came` holds all that came by period t."""
        self.came[period + 1] = self.came[period] + received[self.rows]
        self.gone += sold[self.rows]


def _dispatch(order: np.ndarray, stock: np.ndarray, pipeline: np.ndarray, slot: int, lead: int | np.ndarray) -> np.ndarray:
    """Put an order into the pipeline; what has no lead time is returned with the stock."""
    if not isinstance(lead, np.ndarray):
        if lead == 0:
            return stock + order
        pipeline[(slot + lead) % len(pipeline)] += order
        return stock
    later = lead > 0
    pipeline[(slot + lead) % len(pipeline), np.arange(len(order))] += np.where(later, order, 0.0)
    return stock + np.where(later, 0.0, order)
