"""A shelf over many periods, all series at once, that any policy plugs into.

Order of events in period t: (1) deliveries due at t arrive; (2) the policy sees the stock, the pipeline and the sales
before t, and orders; an order of lead time 0 arrives at once, one of lead time k at the start of period t + k; (3) the
period's demand is served from stock, the rest is lost, or owed when `backorders`; (4) the period costs holding x stock
at its end + shortage x units lost (owed units cost it every period they are owed) + fixed x orders placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: (period, stock on hand net of owed units, pipeline (series, leads) with column k arriving k + 1 periods from now) -> units
Policy = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Costs:
    """Money: `holding` a unit and period, `shortage` a unit lost (or owed, a period), `fixed` an order; numbers or (series,)."""

    holding: np.ndarray | float
    shortage: np.ndarray | float
    fixed: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Per series, summed over the periods that count: money by kind, units demanded and served, mean stock, orders placed."""

    holding: np.ndarray
    shortage: np.ndarray
    fixed: np.ndarray
    demanded: np.ndarray
    served: np.ndarray
    stock: np.ndarray
    orders: np.ndarray

    @property
    def cost(self) -> float:
        """All money of all series."""
        return float((self.holding + self.shortage + self.fixed).sum())

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
) -> Outcome:
    """The outcome of `policy` on `demand` (series, periods) from stock `start` (series,) with an empty pipeline. `lead`: periods,
    one number, or (series, periods) drawn for the order of each period. The first `warm_up` periods do not count."""
    series, periods = demand.shape
    longest = int(np.max(lead))
    pipeline = np.zeros((longest + 1, series))
    stock = np.asarray(start, float).copy()
    sums = np.zeros((6, series))
    for period in range(periods):
        slot = period % (longest + 1)
        stock = stock + pipeline[slot]
        pipeline[slot] = 0.0
        ahead = pipeline[(slot + 1 + np.arange(longest)) % (longest + 1)].T
        order = np.maximum(policy(period, stock, ahead), 0.0)
        stock = _dispatch(order, stock, pipeline, slot, lead[:, period] if isinstance(lead, np.ndarray) else lead)
        stock, row = _serve(stock, demand[:, period], order, backorders)
        if period >= warm_up:
            sums += row
    left, short, orders, demanded, served, level = sums
    return Outcome(
        costs.holding * left, costs.shortage * short, costs.fixed * orders, demanded, served, level / max(periods - warm_up, 1), orders
    )


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


def _serve(stock: np.ndarray, wanted: np.ndarray, order: np.ndarray, backorders: bool) -> tuple[np.ndarray, np.ndarray]:
    served = np.minimum(np.maximum(stock, 0.0), wanted)
    stock = stock - (wanted if backorders else served)
    left = np.maximum(stock, 0.0)
    short = np.maximum(-stock, 0.0) if backorders else wanted - served
    return stock, np.stack([left, short, (order > 0).astype(float), wanted, served, left])
