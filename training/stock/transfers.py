"""Units moved between stores before anything is ordered: what one store has beyond its need against what another will run
short of before an order can reach it.

A unit moved is worth the chance that it is missed at the receiver after it comes and before an order placed today could,
times the shortage cost there, less the chance that the sender misses it before its own order can come, times the shortage
cost there, less what the move costs. The first falls and the second rises with each further unit, so that the best pair of
stores is taken unit by unit until none is left that gains (optimal for such sums: Fox 1966). Of the lines so found those that
do not earn their `line_cost` are dropped. What spoils is not moved: how old the units on hand are is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
import pandas as pd

from training.stock import grid
from training.stock.demand_distribution import Demand
from training.stock.policies import SLICE, Coming, Shelf, until, with_window
from training.stock.terms import Terms

#: a unit is moved for no less than this share of the receiver's shortage cost
_LEAST = 0.005
COLUMNS = ["product_id", "from_store", "to_store", "units", "saving", "why"]


@dataclass(frozen=True)
class Transfer:
    """What it takes to move units between stores: `days` until they are on the receiver's shelf, money a `unit_cost` and a
    `line_cost` (one product from one store to another)."""

    days: float = 1.0
    unit_cost: float = 0.0
    line_cost: float = 0.0


@dataclass(frozen=True)
class Moves:
    """`frame`: rows of COLUMNS, most saving first; `shelf`: as it is once the units are gone and on their way; `notes`
    (pairs,) what a pair sends and gets, '' where nothing."""

    frame: pd.DataFrame
    shelf: Shelf
    notes: np.ndarray

    @classmethod
    def none(cls, shelf: Shelf) -> Moves:
        """Nothing is moved."""
        return cls(pd.DataFrame(columns=COLUMNS), shelf, np.full(len(shelf.on_hand), "", dtype=object))


def moves(
    pairs: pd.DataFrame, demand: Demand, shelf: Shelf, terms: Terms, rule: Transfer, days: int, among: np.ndarray | None = None
) -> Moves:  # fmt: skip
    """The moves that pay, of pairs (their keys, in the order of the arrays); `days` a period; `among` (pairs,) which may send
    and get (default: all)."""
    periods = int(np.ceil(rule.days / days - 1e-9))
    # an order placed today is there before the sales of this period: the mean lead time, a part of a period as a whole one
    lead = np.ceil((terms.leads * terms.lead_share).sum(axis=1) - 1e-9).astype(int)
    missed = _Missed.of(demand, shelf, terms, np.full(len(pairs), periods), lead)
    needed = _Missed.of(demand, shelf, terms, np.zeros(len(pairs), int), np.maximum(lead, 1))
    lines: Counter[tuple[int, int]] = Counter()
    saved: dict[tuple[int, int], float] = {}
    keeps = np.isinf(terms.shelf_life) if among is None else np.isinf(terms.shelf_life) & among
    for every in pairs.groupby("product_id").indices.values():
        rows = np.asarray(every)[keeps[every]]
        if len(rows) > 1:
            for sender, receiver, worth in _of_product(rows, missed, needed, shelf.on_hand, rule.unit_cost):
                lines[sender, receiver] += 1
                saved[sender, receiver] = saved.get((sender, receiver), 0.0) + worth
    kept = {line: units for line, units in lines.items() if saved[line] > rule.line_cost}
    return _told(pairs, shelf, demand, lead, kept, {line: saved[line] - rule.line_cost for line in kept}, periods)


@dataclass(frozen=True)
class _Missed:
    """`tail` (pairs, 2 B - 1): the chance that at least so many units more than are there are asked for between two periods, at
    the middle none more; `width` units a bucket, `excess` units on hand beyond what the grid holds, `money` a unit missed."""

    tail: np.ndarray
    width: np.ndarray
    excess: np.ndarray
    money: np.ndarray

    @classmethod
    def of(cls, demand: Demand, shelf: Shelf, terms: Terms, start: np.ndarray, stop: np.ndarray) -> _Missed:
        """Of each pair, from before the sales of period `start` to before those of `stop`; nothing where that is no time."""
        count = len(shelf.on_hand)
        mean, variance = demand.total(np.zeros(count, int), np.maximum(stop, 1))
        width = grid.width(grid.reach(mean, variance))
        tail = np.empty((count, 2 * grid.BUCKETS - 1), dtype=np.float32)
        for low in range(0, count, SLICE):
            part = slice(low, low + SLICE)
            tail[part] = _tail(demand.take(part), shelf.take(part), start[part], stop[part], width[part])
        return cls(tail, width, np.maximum(shelf.on_hand - (grid.BUCKETS - 1) * width, 0.0), terms.shortage)

    def chance(self, row: int, units: int) -> float:
        """That at least `units` more than are there are asked for (negative: that so many are not left over)."""
        middle = (self.tail.shape[1] - 1) // 2
        at = middle + int(np.ceil((units + self.excess[row]) / self.width[row] - 1e-9))
        return float(self.tail[row, min(max(at, 0), self.tail.shape[1] - 1)]) * float(self.money[row])


def _tail(demand: Demand, shelf: Shelf, start: np.ndarray, stop: np.ndarray, width: np.ndarray) -> np.ndarray:
    counted = Coming(grid.point(shelf.on_hand, width), np.full(len(width), -1), np.zeros(len(width)))
    there = until(demand, shelf, counted, start, width).stock
    stock, _ = with_window(shelf, there, start, np.maximum(stop - start, 0), width)
    mean, variance = demand.total(start, stop)
    need = grid.requirement(stock, grid.pmf(mean, variance, width))
    need[stop <= start] = 0.0
    return np.cumsum(need[:, ::-1], axis=1)[:, ::-1]


def _of_product(rows: np.ndarray, missed: _Missed, needed: _Missed, on_hand: np.ndarray, cost: float) -> Iterator[tuple[int, int, float]]:
    """Sender, receiver and worth of each unit of one product that is moved."""
    gains = [(-missed.chance(row, 1), row, 1) for row in rows]
    losses = [(needed.chance(row, 0), row, 1) for row in rows if on_hand[row] >= 1]
    heapify(gains)
    heapify(losses)
    while gains and losses:
        gain, receiver, got = heappop(gains)
        loss, sender, sent = heappop(losses)
        worth = -gain - loss - cost
        # what a store misses later it misses sooner too: no store is its own best sender
        if worth <= _LEAST * missed.money[receiver] or sender == receiver:
            return
        yield sender, receiver, worth
        heappush(gains, (-missed.chance(receiver, got + 1), receiver, got + 1))
        if on_hand[sender] >= sent + 1:
            heappush(losses, (needed.chance(sender, -sent), sender, sent + 1))


def _told(
    pairs: pd.DataFrame, shelf: Shelf, demand: Demand, lead: np.ndarray, lines: dict[tuple[int, int], int],
    saved: dict[tuple[int, int], float], periods: int,
) -> Moves:  # fmt: skip
    stores, products = pairs["store_id"].to_numpy(object), pairs["product_id"].to_numpy(object)
    expected, _ = demand.total(np.zeros(len(pairs), int), lead)
    on_hand, receipts = shelf.on_hand.copy(), shelf.receipts
    if lines and receipts.shape[1] <= periods:
        receipts = np.pad(receipts, ((0, 0), (0, periods + 1 - receipts.shape[1])))
    receipts, notes, told = receipts.copy(), np.full(len(pairs), "", dtype=object), []
    for (sender, receiver), units in sorted(lines.items(), key=lambda line: -saved[line[0]]):
        why = f"{_state(receiver, stores, expected, shelf, lead)}; {_state(sender, stores, expected, shelf, lead)}"
        told.append((products[sender], stores[sender], stores[receiver], float(units), saved[sender, receiver], why))
        on_hand[sender] -= units
        receipts[receiver, periods] += units
        for pair, said in ((sender, f"{units} sent to {stores[receiver]}"), (receiver, f"{units} come from {stores[sender]}")):
            notes[pair] += ("; " if notes[pair] else "") + said
    return Moves(pd.DataFrame(told, columns=COLUMNS), Shelf(on_hand, receipts), notes)


def _state(pair: int, stores: np.ndarray, expected: np.ndarray, shelf: Shelf, lead: np.ndarray) -> str:
    """What a store expects to sell before an order can come, and what it has for that, before anything is moved."""
    coming = shelf.receipts[pair, : lead[pair]].sum()
    way = f" and {coming:g} on the way" if coming else ""
    return f"{stores[pair]} expects to sell {expected[pair]:.1f} before an order can come, and has {shelf.on_hand[pair]:g}{way}"
