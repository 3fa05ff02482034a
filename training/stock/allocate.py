"""One purse for many pairs: the orders that earn most within a budget of money, or of space, over all items.

Every unit ordered is charged `multiplier x what it takes of the limit` (Lagrange's multiplier, Everett 1963), so that the
units with the best return on the limit stay, and the multiplier is the smallest under which the orders fit. What is left
by whole packs, and by one limit where another binds, is filled with what smaller multipliers would have added, best return
first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from training.stock.policies import Decision

#: halvings of the multiplier's bracket
STEPS = 16
#: parts of the multipliers under which the room that is left is filled
SHARES = (0.75, 0.5, 0.25, 0.0)
#: what rounding may add to what is taken
SLACK = 1e-9
#: the decision of every pair under a charge (pairs,) or one number, money a unit
Decide = Callable[[np.ndarray], Decision]


@dataclass(frozen=True)
class Limit:
    """`each` (pairs,): what a unit takes; `total`: what there is of it; `name` in the why."""

    name: str
    each: np.ndarray
    total: float

    def taken(self, order: np.ndarray) -> float:
        """What orders take of it."""
        return float((self.each * order).sum())


def within(decide: Decide, limits: Sequence[Limit]) -> tuple[Decision, np.ndarray, np.ndarray]:
    """The decision of each pair such that no limit is passed (its target is the one without limits); (pairs,) the units ordered
    without limits, and the name of the limit that cut them, '' where none."""
    charge: np.ndarray = np.zeros(len(limits[0].each)) if limits else np.asarray(0.0)
    best = free = decide(charge)
    for number, limit in enumerate(limits):
        if limit.taken(best.order) > limit.total:
            charge, best = _fitting(decide, charge, limit, limits[: number + 1])
    if best is not free:
        # a later limit lowers the orders below what an earlier one's multiplier would ask for, and packs leave gaps
        for share in SHARES:
            best = _filled(decide(share * charge), best, limits)
    told = replace(free, order=best.order, holding=best.holding, shortage=best.shortage)
    return told, free.order, _cut(free.order - best.order, best.order, limits)


def _cut(lacking: np.ndarray, order: np.ndarray, limits: Sequence[Limit]) -> np.ndarray:
    """The first limit that has no room for the units that an order lacks, '' where it lacks none."""
    name = np.full(len(order), "", dtype=object)
    for limit in reversed(limits):
        name[(lacking > 0) & (limit.each * lacking > limit.total - limit.taken(order) + SLACK)] = limit.name
    return name


def _fitting(decide: Decide, charge: np.ndarray, limit: Limit, limits: Sequence[Limit]) -> tuple[np.ndarray, Decision]:
    takes = limit.each[limit.each > 0]
    low, high = 0.0, 1.0 / max(float(np.median(takes)), 1e-9) if len(takes) else 1.0
    loose, tight = decide(charge), decide(charge + high * limit.each)
    while limit.taken(tight.order) > limit.total and high < 1e12:
        low, loose, high = high, tight, 4.0 * high
        tight = decide(charge + high * limit.each)
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = decide(charge + middle * limit.each)
        if limit.taken(found.order) > limit.total:
            low, loose = middle, found
        else:
            high, tight = middle, found
    tight = _affordable(tight, limit)
    return charge + high * limit.each, _filled(loose, tight, limits)


def _affordable(best: Decision, limit: Limit) -> Decision:
    """A service level is asked for at any price: where that is too much, the orders that save least for what they take of the limit
    are left out until the others fit."""
    over = limit.taken(best.order) - limit.total
    if over <= SLACK:
        return best
    takes = limit.each * best.order
    rows = np.flatnonzero(takes > 0)
    rows = rows[np.argsort(((best.idle_shortage - best.shortage) / np.maximum(takes, SLACK))[rows], kind="stable")]
    out = rows[: int(np.searchsorted(np.cumsum(takes[rows]), over - SLACK)) + 1]
    left = np.isin(np.arange(len(takes)), out)
    idle = {"order": np.zeros(len(takes)), "holding": best.idle_holding, "shortage": best.idle_shortage}
    return replace(best, **{name: np.where(left, value, getattr(best, name)) for name, value in idle.items()})


def _filled(loose: Decision, tight: Decision, limits: Sequence[Limit]) -> Decision:
    """`tight` with those of the larger orders of `loose` that fit, best saving for the shares of the limits that they take
    first."""
    more = loose.order - tight.order
    rows = np.flatnonzero(more > 0)
    price = np.sum([limit.each / max(limit.total, SLACK) for limit in limits], axis=0)
    saved = (tight.shortage - loose.shortage)[rows] / np.maximum(price[rows] * more[rows], 1e-12)
    take, room = np.zeros(len(more), bool), [each.total - each.taken(tight.order) for each in limits]
    for row in rows[np.argsort(-saved, kind="stable")]:
        asked = [each.each[row] * more[row] for each in limits]
        if all(ask <= left + SLACK for ask, left in zip(asked, room, strict=True)):
            room = [left - ask for ask, left in zip(asked, room, strict=True)]
            take[row] = True
    return Decision(**{f.name: np.where(take, getattr(loose, f.name), getattr(tight, f.name)) for f in fields(Decision)})
