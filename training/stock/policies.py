"""Order rules over the distribution of demand until the order after this one arrives.

`marginal`, the platform's own: the stock that will be left when the order arrives is projected through the deliveries
in transit, with what cannot be served lost, and the next unit is bought while it is worth more than it costs. For a unit
that the following `review` periods need with probability s the saving is s x shortage and the cost is
(1 - s) x review x holding x PATIENCE (an unsold unit is held on) plus s x holding x (review - 1) / 2 (a sold one waits
half the way) plus the chance that it outlives its shelf life x unit cost. Without the last two and with PATIENCE 1 this
is the newsvendor's critical ratio shortage / (shortage + review x holding) on lost-sales stock. Pairs whose terms name
another policy are ordered for by that (training.stock.named)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from training.stock import grid, named
from training.stock.demand_distribution import Demand
from training.stock.terms import Terms

#: how much longer than one review an unsold unit is held, as tuned on earlier history where there is none
PATIENCE = 1.8
#: standard deviations below its mean that demand is taken to stay above where the shelf fills up on the way
_LOW = 2.0
#: periods that stand for a shelf life without end where it is multiplied
_FOREVER = 1e9
#: pairs computed at a time: the grids of a slice stay in the processor's cache
SLICE = 2048


@dataclass(frozen=True)
class Shelf:
    """`on_hand` (pairs,) units after the last known period, `receipts` (pairs, periods): units that arrive before the
    sales of period h, h = 0 the first after it."""

    on_hand: np.ndarray
    receipts: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Shelf:
        """The shelf of some pairs."""
        return Shelf(self.on_hand[rows], self.receipts[rows])


@dataclass(frozen=True)
class Decision:
    """Arrays over pairs, units or money: `order`; `target` (order-up-to of stock on hand and on order, for one review),
    `cycle` (units beyond it that spread the fixed cost); `demand` expected until the next order's arrival, `lost` of it
    before this order can arrive, `demand_spread` and `lead_spread` variances of it; `on_order` counted; `holding`,
    `shortage` expected money between this and the next order's arrival, `idle_holding`, `idle_shortage` without this order;
    `lot` units that the order is counted in, `ratio` the chance of meeting demand that a named policy aims at (0: what pays)."""

    order: np.ndarray
    target: np.ndarray
    cycle: np.ndarray
    demand: np.ndarray
    lost: np.ndarray
    demand_spread: np.ndarray
    lead_spread: np.ndarray
    on_order: np.ndarray
    holding: np.ndarray
    shortage: np.ndarray
    idle_holding: np.ndarray
    idle_shortage: np.ndarray
    lot: np.ndarray
    ratio: np.ndarray


def decision_of(
    demand: Demand, shelf: Shelf, terms: Terms, patience: np.ndarray | float = PATIENCE, charge: np.ndarray | float = 0.0
) -> Decision:
    """The decision of each pair, by slices of pairs that need equally long grids. `patience` (pairs,) or one number; `charge`
    likewise: money that a unit must earn beyond its costs, since others want the same budget (training.stock.allocate)."""
    count = len(shelf.on_hand)
    patience, charge = (np.broadcast_to(np.asarray(value, float), (count,)) for value in (patience, charge))
    reach = _reach(demand, shelf, terms)
    size = grid.size(reach)
    slices = [
        rows[start : start + SLICE] for rows in (np.flatnonzero(size == k) for k in grid.SIZES) for start in range(0, len(rows), SLICE)
    ]

    def decided(rows: np.ndarray) -> Decision:
        width = grid.width(reach[rows], int(size[rows[0]]))
        return _slice(demand.take(rows), shelf.take(rows), terms.take(rows), patience[rows], charge[rows], width, int(size[rows[0]]))

    # numpy lets go of the interpreter while it computes
    with ThreadPoolExecutor(max_workers=max(1, min(len(slices), os.cpu_count() or 1))) as pool:
        parts = list(pool.map(decided, slices))
    back = np.argsort(np.concatenate([np.empty(0, int), *slices]))
    none = np.empty(0)
    return Decision(**{f.name: np.concatenate([none, *(getattr(part, f.name) for part in parts)])[back] for f in fields(Decision)})


@dataclass(frozen=True)
class _Need:
    """Distribution of what the window needs beyond the stock (pairs, 2 B - 1), mixed over lead times, and its facts."""

    pmf: np.ndarray
    life: np.ndarray
    width: np.ndarray
    demand: np.ndarray
    window: np.ndarray
    lost: np.ndarray
    variance: np.ndarray
    lead_variance: np.ndarray
    on_order: np.ndarray
    excess: np.ndarray

    @cached_property
    def below(self) -> np.ndarray:
        """P(need <= j)."""
        return np.cumsum(self.pmf, axis=1)


@dataclass(frozen=True)
class _Asked:
    """What a policy asks for, arrays over pairs in units: `wanted` beyond the stock that is counted (negative: too many are there),
    `target`, `cycle`, `lost`, `on_order`, `lot` and `ratio` as in Decision."""

    wanted: np.ndarray
    target: np.ndarray
    cycle: np.ndarray
    lost: np.ndarray
    on_order: np.ndarray
    lot: np.ndarray
    ratio: np.ndarray


def _reach(demand: Demand, shelf: Shelf, terms: Terms) -> np.ndarray:
    """Units (pairs,) that a grid has to hold: what the window may need, and what the shelf may come to hold on the way there. Demand
    that goes beyond it empties the shelf all the same. With the whole demand until the next order instead, buckets grow with the
    lead time, and what a day sells between two deliveries is lost in one of them."""
    begin, ends = np.zeros(len(shelf.on_hand), int), terms.leads.max(axis=1) + terms.review
    window = np.max([grid.reach(*demand.total(lead, lead + terms.review)) for lead in terms.leads.T], axis=0)
    stock, peak, sold = shelf.on_hand, shelf.on_hand, np.zeros(len(begin))
    for period in np.flatnonzero(shelf.receipts.any(axis=0)):
        mean, variance = demand.total(begin, np.minimum(begin + period, ends))
        least = np.maximum(mean - _LOW * np.sqrt(variance), 0.0)
        stock = np.maximum(stock - (least - sold), 0.0) + np.where(period < ends, shelf.receipts[:, period], 0.0)
        peak, sold = np.maximum(peak, stock), np.maximum(least, sold)
    return np.maximum(window, np.minimum(peak, grid.reach(*demand.total(begin, ends))))


def _slice(
    demand: Demand, shelf: Shelf, terms: Terms, patience: np.ndarray, charge: np.ndarray, width: np.ndarray, buckets: int
) -> Decision:
    need = _need(demand, shelf, terms, width, buckets)
    # nothing is held beyond its shelf life
    patience = np.minimum(patience, np.maximum(terms.shelf_life / terms.review, 1.0))
    asked = _asked(need, shelf, terms, patience, charge)
    if terms.policy.any():
        other = _named(need, shelf, terms, patience, charge)
        by_name = terms.policy != named.MARGINAL
        asked = _Asked(**{f.name: np.where(by_name, getattr(other, f.name), getattr(asked, f.name)) for f in fields(_Asked)})
    order = _rounded(asked, need, terms, patience, charge)
    left, short = _outcome(need, order)
    idle_left, idle_short = _outcome(need, np.zeros_like(order))

    def held(left: np.ndarray, short: np.ndarray) -> np.ndarray:
        return terms.holding * (terms.review * left + (terms.review - 1) / 2 * np.maximum(need.window - short, 0.0))

    return Decision(
        order=order, target=asked.target, cycle=asked.cycle, demand=need.demand, lost=asked.lost, demand_spread=need.variance,
        lead_spread=need.lead_variance, on_order=asked.on_order, holding=held(left, short), shortage=terms.shortage * short,
        idle_holding=held(idle_left, idle_short), idle_shortage=terms.shortage * idle_short, lot=asked.lot, ratio=asked.ratio,
    )  # fmt: skip


def _asked(need: _Need, shelf: Shelf, terms: Terms, patience: np.ndarray, charge: np.ndarray) -> _Asked:
    """What pays: the next unit while it is worth more than it costs."""
    below, review = need.below, terms.review[:, None]
    keep = review * (terms.holding * patience)[:, None] * below
    # the need for the k-th unit beyond is P(need >= k) = 1 - P(need <= k - 1): column j prices the unit after j
    gain = (1.0 - below) * (terms.shortage[:, None] - terms.holding[:, None] * (review - 1) / 2) - keep - _waste(need, terms)
    wanted = _wanted(gain - charge[:, None], need.width)
    if terms.service.any():
        wanted = np.where(terms.service > 0, np.maximum(wanted, _served(below, terms.service, need.width)), wanted)
    target = np.maximum(shelf.on_hand + need.on_order - need.excess + wanted, 0.0)
    cycle = np.where(wanted > 0, _cycle(terms, need.window / terms.review), 0.0)
    return _Asked(wanted, target, cycle, need.lost, need.on_order, terms.pack, np.zeros(len(wanted)))


def _named(need: _Need, shelf: Shelf, terms: Terms, patience: np.ndarray, charge: np.ndarray) -> _Asked:
    """What the policies of training.stock.named ask for."""
    from training.stock.classics import negative_binomial_level

    pace = need.window / terms.review
    # in tenths, as the why tells them
    cycle = np.where(named.spreads_fixed_cost(terms.policy), np.round(_cycle(terms, pace), 1), 0.0)
    ratio = named.critical_ratio(terms, patience, charge, terms.review + cycle / np.maximum(pace, 1e-9))
    wanted = _served(need.below, ratio, need.width)
    target = np.maximum(shelf.on_hand + need.on_order - need.excess + wanted, 0.0)
    lost, on_order, rows = need.lost.copy(), need.on_order.copy(), np.flatnonzero(named.counts_position(terms.policy))
    lost[rows], on_order[rows] = 0.0, shelf.receipts[rows].sum(axis=1)
    target[rows] = np.maximum(negative_binomial_level(ratio[rows], need.demand[rows], (need.variance + need.lead_variance)[rows]), 0.0)
    wanted[rows] = target[rows] - np.round(shelf.on_hand[rows], 1) - np.round(on_order[rows], 1)
    lot = named.lot(terms, cycle, pace)
    cycle = np.where((wanted > 0) & (terms.policy == named.REORDER_UP_TO), cycle, 0.0)
    return _Asked(wanted, target, cycle, lost, on_order, lot, ratio)


def _need(demand: Demand, shelf: Shelf, terms: Terms, width: np.ndarray, buckets: int) -> _Need:
    """Mix the requirement over the lead times of this order; the next order's lead time spreads the window."""
    count, options = terms.leads.shape
    expected_lead = (terms.leads * terms.lead_share).sum(axis=1)
    # what outlives its shelf life serves no later day
    window = np.minimum(terms.review, terms.shelf_life).astype(int)
    facts = {name: np.zeros(count) for name in ("demand", "window", "lost", "on_order", "own", "square", "over")}
    pmf, life = np.zeros((count, 2 * buckets - 1)), np.zeros((count, 2 * buckets - 1))
    coming = Coming(grid.point(shelf.on_hand, width, buckets), np.full(count, -1), np.zeros(count))
    for option in range(options):
        share = terms.lead_share[:, option]
        if not share.any():
            continue
        # lead times come in ascending order, so that each goes on from where the one before it stood
        lead = terms.leads[:, option]
        coming = until(demand, shelf, coming, lead, width)
        stock, arrived = with_window(shelf, coming.stock, lead, window, width)
        mean, variance = demand.total(lead, lead + window)
        pmf += share[:, None] * grid.requirement(stock, grid.pmf(mean, variance, width, buckets))
        if np.isfinite(terms.shelf_life).any():
            life += share[:, None] * _outliving(demand, terms, lead, stock, width)
        total, own = demand.total(np.zeros(count, int), lead + window)
        # stock no demand can reach needs no grid: it only adds to what is held
        over = np.maximum(shelf.on_hand + arrived - (total - mean - coming.lost) - grid.mean(stock, width), 0.0)
        told = {"demand": total, "window": mean, "lost": coming.lost, "on_order": arrived, "own": own, "square": total**2, "over": over}
        for name, value in told.items():
            facts[name] += share * value
    lead_variance = np.maximum(facts["square"] - facts["demand"] ** 2, 0.0) * (expected_lead > 0)
    return _Need(
        pmf, life, width, facts["demand"], facts["window"], facts["lost"], facts["own"], lead_variance, facts["on_order"], facts["over"]
    )


@dataclass(frozen=True)
class Coming:
    """The distribution of the stock on hand (pairs, buckets) before the sales of period `clock` (pairs,) and before this
    order is added, receipts of that period included (clock -1: as counted, nothing received); units expected `lost` (pairs,)
    until then."""

    stock: np.ndarray
    clock: np.ndarray
    lost: np.ndarray


def until(demand: Demand, shelf: Shelf, now: Coming, lead: np.ndarray, width: np.ndarray) -> Coming:
    """The stock as it will be before the sales of period `lead` (pairs,), not before `now`: receipts come in at their
    periods, the sales between are served or lost."""
    count, horizon = shelf.receipts.shape
    ahead = np.arange(horizon)[None, :]
    counts = (shelf.receipts > 0) & (ahead <= lead[:, None]) & (ahead > now.clock[:, None])
    times = np.sort(np.where(counts, ahead, horizon), axis=1)[:, : int(counts.sum(axis=1).max(initial=0))]
    stock, clock, lost = now.stock, now.clock, now.lost
    for time in times.T:
        due = np.minimum(time, lead)
        stock, short = _serve(demand, clock, due, stock, width)
        units = np.where(time < horizon, shelf.receipts[np.arange(count), np.minimum(time, horizon - 1)], 0.0)
        stock, clock, lost = grid.receive(stock, units, width), due, lost + short
    stock, short = _serve(demand, clock, lead, stock, width)
    return Coming(stock, lead, lost + short)


def with_window(shelf: Shelf, stock: np.ndarray, lead: np.ndarray, window: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, ...]:
    """The stock with the receipts that come after `lead` but within the window, as if there at its start; and all units on
    order that come before its end (pairs,)."""
    ahead = np.arange(shelf.receipts.shape[1])[None, :]
    counted = np.where(ahead < (lead + window)[:, None], shelf.receipts, 0.0)
    later = np.where(ahead > lead[:, None], counted, 0.0).sum(axis=1)
    return (grid.receive(stock, later, width) if later.any() else stock), counted.sum(axis=1)


def _serve(demand: Demand, start: np.ndarray, stop: np.ndarray, stock: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stock after the sales of start <= h < stop, and the units expected lost."""
    start = np.maximum(start, 0)
    busy = np.flatnonzero(stop > start)
    if len(busy) == 0:
        return stock, np.zeros(len(stock))
    mean, variance = demand.total(start, stop)
    after, lost = stock.copy(), np.zeros(len(stock))
    after[busy] = grid.sell(stock[busy], grid.pmf(mean[busy], variance[busy], width[busy], stock.shape[1]))
    lost[busy] = np.maximum(mean[busy] - grid.mean(stock[busy], width[busy]) + grid.mean(after[busy], width[busy]), 0.0)
    return after, lost


def _outliving(demand: Demand, terms: Terms, lead: np.ndarray, stock: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Distribution of what a shelf life needs beyond the stock; zeros (nothing outlives) for what keeps."""
    buckets = stock.shape[1]
    out = np.zeros((len(stock), 2 * buckets - 1))
    rows = np.flatnonzero(np.isfinite(terms.shelf_life))
    if len(rows):
        mean, variance = demand.take(rows).total(lead[rows], lead[rows] + terms.shelf_life[rows].astype(int))
        out[rows] = grid.requirement(stock[rows], grid.pmf(mean, variance, width[rows], buckets))
    return out


def _waste(need: _Need, terms: Terms) -> np.ndarray | float:
    """Money of the window's share of each further unit's waste (pairs, 2 B - 1), zero where nothing spoils. A unit that is
    not sold in its first window is there for the next ones: what its waste may cost is spread over the windows it stands
    for, the mean of min(time until sold, shelf life) by the trapezoid through both ends (renewal: for the first unit this is
    the newsvendor's condition over the shelf life)."""
    if not np.isfinite(terms.shelf_life).any():
        return 0.0
    outlived = np.cumsum(need.life, axis=1)
    life = np.where(np.isfinite(terms.shelf_life), terms.shelf_life, 0.0)[:, None]
    window = np.minimum(terms.review, terms.shelf_life)[:, None]
    stands = window * (1.0 + need.below) / 2 + np.maximum(life - window, 0.0) * (need.below + outlived) / 2
    return terms.unit_cost[:, None] * outlived * np.minimum(window / np.maximum(stands, 1e-9), 1.0)


def _wanted(gain: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Units (negative: too many are there) up to which each further unit gains; whole units where a bucket is one, else
    the crossing between two bucket edges."""
    middle = (gain.shape[1] - 1) // 2
    stop = np.where((gain <= 0).any(axis=1), (gain <= 0).argmax(axis=1), gain.shape[1] - 1)
    rows = np.arange(len(gain))
    before, at = gain[rows, np.maximum(stop - 1, 0)], gain[rows, stop]
    part = np.clip(before / np.maximum(before - at, 1e-12), 0.0, 1.0)
    return np.where(width <= 1.0, stop - middle, (stop - middle - 0.5 + part) * width)


def _served(below: np.ndarray, service: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Units (pairs,) with which the window's need is met with chance `service`."""
    middle = (below.shape[1] - 1) // 2
    return ((below < service[:, None] - 1e-12).sum(axis=1) - middle) * width


def _cycle(terms: Terms, pace: np.ndarray) -> np.ndarray:
    """Units beyond one review's target that spread a fixed cost: the economic order quantity less one review's demand,
    at most what sells within the shelf life. `pace` units a period."""
    holding = np.maximum(terms.holding, 1e-9)
    quantity = np.minimum(np.sqrt(2.0 * terms.fixed * pace / holding), 26.0 * np.maximum(terms.review, 4) * pace)
    return np.clip(np.minimum(quantity, np.minimum(terms.shelf_life, _FOREVER) * pace) - terms.review * pace, 0.0, None)


def _outcome(need: _Need, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected units left and short at the end of the window after an order (pairs,)."""
    value = (np.arange(need.pmf.shape[1]) - (need.pmf.shape[1] - 1) // 2)[None, :] * need.width[:, None] - order[:, None]
    short = (need.pmf * np.maximum(value, 0.0)).sum(axis=1)
    return short - (need.pmf * value).sum(axis=1) + need.excess, short


def _rounded(asked: _Asked, need: _Need, terms: Terms, patience: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """Whole packs and the minimum: the better of the packs below and above; a lump is bought once a window without it would
    lose more than the lump's cost of a window (renewal: fixed cost and half the lump held, spread over its life). What a service
    level or a named policy asks for is bought whatever that costs."""
    units, lot = np.maximum(asked.wanted, 0.0) + asked.cycle, asked.lot
    packs = np.floor(units / lot + 1e-9) * lot
    above = np.ceil(units / lot - 1e-9) * lot
    least = np.ceil(terms.minimum / lot - 1e-9) * lot
    weight = terms.holding * terms.review * patience
    (left_low, short_low), (left_high, short_high) = _outcome(need, packs), _outcome(need, above)
    spoiled = _spoiled(need, above, terms) - _spoiled(need, packs, terms)
    better = terms.shortage * (short_low - short_high) > weight * (left_high - left_low) + spoiled + charge * (above - packs)
    anyhow = (terms.service > 0) | (asked.ratio > 0)
    order = np.where(better | (packs <= 0) | anyhow, above, packs)
    order = np.where(units > 1e-9, np.maximum(order, least), 0.0)
    most = np.floor(np.minimum(terms.maximum, _FOREVER) / lot + 1e-9) * lot
    order = np.where(most < least, 0.0, np.minimum(order, most))
    lumpy = ((order > asked.wanted + 1e-9) & (order > 0) | (terms.fixed > 0)) & ~anyhow
    return np.where(lumpy & ~_worth(order, need, terms, patience, charge), 0.0, order)


def _worth(order: np.ndarray, need: _Need, terms: Terms, patience: np.ndarray, charge: np.ndarray) -> np.ndarray:
    left, short = _outcome(need, order)
    idle_left, idle_short = _outcome(need, np.zeros_like(order))
    pace = need.window / np.minimum(terms.review, terms.shelf_life)
    held = np.minimum(patience * (left - idle_left), np.maximum(patience, order / 2))
    window = terms.review * (terms.holding * held + terms.fixed * pace / np.maximum(order, 1e-9)) + _spoiled(need, order, terms)
    window = window + charge * order
    return terms.shortage * (idle_short - short) > window


def _spoiled(need: _Need, order: np.ndarray, terms: Terms) -> np.ndarray:
    """Money of the window's share of what an order wastes beyond what is there (pairs,): spread over the time that it lasts."""
    rows = np.flatnonzero(np.isfinite(terms.shelf_life) & (order > 0))
    out = np.zeros(len(order))
    if len(rows):
        life, window = terms.shelf_life[rows], np.minimum(terms.review, terms.shelf_life)[rows]
        value = (np.arange(need.life.shape[1]) - (need.life.shape[1] - 1) // 2)[None, :] * need.width[rows, None]
        wasted = (need.life[rows] * (np.maximum(order[rows, None] - value, 0.0) - np.maximum(-value, 0.0))).sum(axis=1)
        lasts = np.clip(order[rows] * window / np.maximum(need.window[rows], 1e-9), window, np.maximum(life, window))
        out[rows] = terms.unit_cost[rows] * wasted * window / lasts
    return out
