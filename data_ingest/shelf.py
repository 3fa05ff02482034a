"""The simulated shelf: demand meets stock in the order of time. What the shelf cannot fill is lost, and only the truth
knows of it.

Each pair is replenished by an (R, s, S) rule: every `review_period_days` the position (on hand and on order) is looked
at, and when it is at most s, ordered up to S in whole packs. With m the keeper's own running estimate of daily sales,
P = review period + promised lead time and c = the dispersion (variance over mean) of the pair's daily demand:

    s = m P + SAFETY sqrt(c m P)        S = s + m R

(Silver, Pyke and Thomas, Inventory and Production Management in Supply Chains, 4th ed., ch. 7.) A day runs, in local
time: expired units leave at 4:00; deliveries arrive at 5:00; shrinkage is booked at 5:15; a pair is counted once a week
at 5:30; orders go out at 6:00. An order with a lead time of L days is on the shelf before the sales of day L after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_ingest.chance import keys_of, uniform
from infra.errors import BadInput
from infra.tables import require_columns

#: standard deviations of safety stock: leaves about 5-8 % of pair-days with a stockout
SAFETY = 1.1
#: days from order to shelf less the promised ones, and how often
LEAD_SHIFT = ((-1, 0.25), (0, 0.58), (1, 0.15), (3, 0.02))
SHORT_SHARE = 0.03
SHRINK_SHARE = 0.003
#: weight of the newest day in the keeper's running estimate of sales
_NEWEST = 0.03

OPEN_HOUR, CLOSE_HOUR = 7, 22
EXPIRE_AT, RECEIVE_AT, ADJUST_AT, COUNT_AT, ORDER_AT = 4 * 3600, 5 * 3600, 5 * 3600 + 900, 5 * 3600 + 1800, 6 * 3600

PAIR_COLUMNS = ("store_id", "product_id", "supplier_id", "mean_units", "dispersion", "unit_cost", "pack_size",
                "shelf_life_days", "lead_time_days", "review_period_days")  # fmt: skip


@dataclass
class Moves:
    """Stock moves of one kind, gathered day by day: pair, day and units."""

    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, pair: np.ndarray, day: int, units: np.ndarray) -> None:
        """The moves of one day."""
        self.parts.append((pair, np.full(len(pair), day), units))

    def frame(self) -> pd.DataFrame:
        """Columns `pair`, `day` (both int) and `units`, by day and pair."""
        columns = zip(*self.parts, strict=True) if self.parts else [[np.empty(0, int)], [np.empty(0, int)], [np.empty(0)]]
        return pd.DataFrame(dict(zip(("pair", "day", "units"), (np.concatenate(list(c)) for c in columns), strict=True)))


@dataclass(frozen=True)
class ShelfRun:
    """What happened on the shelf. `sold` is aligned with the demand lines; the matrices are pairs x days; `orders` has
    `pair, ordered_day, promised_day, received_day, ordered_units, received_units` (days count from 0)."""

    sold: np.ndarray
    demand: np.ndarray
    units: np.ndarray
    on_hand_open: np.ndarray
    in_stock: np.ndarray
    counts: pd.DataFrame
    waste: pd.DataFrame
    adjustments: pd.DataFrame
    orders: pd.DataFrame


def run_shelf(pairs: pd.DataFrame, lines: pd.DataFrame, days: int, seed: int) -> ShelfRun:
    """Let the demand `lines` (`pair` and `day` from 0, `second` of the local day, `units`) meet the shelves of `pairs`
    (PAIR_COLUMNS; `shelf_life_days` NaN when it keeps) over `days` days. Pairs never influence each other, and each
    meets the same fate whatever others are run with it; raises BadInput for a line outside the run."""
    require_columns(pairs, PAIR_COLUMNS, "pairs of the shelf")
    require_columns(lines, ("pair", "day", "second", "units"), "demand lines of the shelf")
    outside = (
        (lines["pair"].to_numpy() >= len(pairs))
        | (lines["day"].to_numpy() >= days)
        | (lines[["pair", "day", "units"]].to_numpy() < 0).any(axis=1)
    )
    if outside.any():
        raise BadInput(f"demand lines of the shelf: row {int(outside.argmax()) + 1} is not within {len(pairs)} pairs and {days} days")
    return _Keeper(pairs, days, seed).run(lines)


class _Keeper:
    """The state of all shelves, a row a pair, moved day by day."""

    def __init__(self, pairs: pd.DataFrame, days: int, seed: int) -> None:
        self.days, self.seed, self.n = days, seed, len(pairs)
        self.key = keys_of(pairs["store_id"], pairs["product_id"])
        self.pack, self.dispersion = (pairs[c].to_numpy(float) for c in ("pack_size", "dispersion"))
        self.lead, self.review = (pairs[c].to_numpy(int) for c in ("lead_time_days", "review_period_days"))
        self.life = np.nan_to_num(pairs["shelf_life_days"].to_numpy(float), nan=1e6).astype(int)
        # the keeper starts from a rate that is off by a factor of its own
        self.rate = pairs["mean_units"].to_numpy(float) * np.exp(0.6 * (self._draw("rate") - 0.5))
        self.phase = (self._draw("phase") * 7 * self.review).astype(int)
        self.inflow, self.outflow = np.zeros((self.n, days)), np.zeros(self.n)
        self.due = np.zeros((self.n, days))
        self.on_order, self.due_ordered = np.zeros(self.n), np.zeros((self.n, days))
        level, top = self._levels()
        self.on_hand = np.maximum(np.ceil(level + self._draw("start") * (top - level)), np.minimum(self.pack, 2))
        self.inflow_so_far = self.on_hand.copy()
        self.waste, self.adjustments, self.counts = Moves(), Moves(), Moves()
        self.orders: list[pd.DataFrame] = []

    def run(self, lines: pd.DataFrame) -> ShelfRun:
        """Every day in turn; the demand lines are walked in (day, before or after the morning, pair, second) order."""
        second = lines["second"].to_numpy()
        pair, day, units = lines["pair"].to_numpy(), lines["day"].to_numpy(), lines["units"].to_numpy(float)
        slot = day * 2 + (second >= EXPIRE_AT)
        order = np.lexsort((second, pair, slot))
        edges = np.searchsorted(slot[order], np.arange(2 * self.days + 1))
        sold, opened, in_stock = np.zeros(len(lines)), np.zeros((self.n, self.days)), np.zeros((self.n, self.days))
        for today in range(self.days):
            for half in (0, 1):
                if half:
                    self._morning(today)
                    opened[:, today] = self.on_hand
                rows = order[edges[2 * today + half] : edges[2 * today + half + 1]]
                sold[rows], gone_at = self._sell(pair[rows], units[rows], second[rows])
            in_stock[:, today] = np.where(opened[:, today] > 0, np.clip((gone_at / 3600 - OPEN_HOUR) / (CLOSE_HOUR - OPEN_HOUR), 0, 1), 0)
            rows = order[edges[2 * today] : edges[2 * today + 2]]
            self._learn(np.bincount(pair[rows], sold[rows], self.n), in_stock[:, today] > 0)
        return ShelfRun(sold, self._by_day(pair, day, units), self._by_day(pair, day, sold), opened, in_stock,
                        self.counts.frame(), self.waste.frame(), self.adjustments.frame(), self._orders())  # fmt: skip

    def _by_day(self, pair: np.ndarray, day: np.ndarray, units: np.ndarray) -> np.ndarray:
        return np.bincount(pair * self.days + day, units, self.n * self.days).reshape(self.n, self.days)

    def _draw(self, purpose: str, *keys: int) -> np.ndarray:
        return uniform(self.seed, purpose, self.key, *keys)

    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        expected = self.rate * (self.review + self.lead)
        level = np.ceil(expected + SAFETY * np.sqrt(self.dispersion * expected))
        return level, level + np.ceil(self.rate * self.review)

    def _sell(self, pair: np.ndarray, units: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units sold on each line, and the second of the day at which each pair's stock ran out (end of day if not)."""
        gone_at = np.full(self.n, 86400.0)
        if not len(pair):
            return np.empty(0), gone_at
        total = np.cumsum(units)
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        before = total - units - np.repeat((total - units)[starts], np.diff(np.append(starts, len(pair))))
        stock = self.on_hand[pair]
        sold = np.clip(stock - before, 0, units)
        emptied = (before < stock) & (before + units >= stock)
        gone_at[pair[emptied]] = second[emptied]
        self._leave(np.bincount(pair, sold, self.n))
        return sold, gone_at

    def _leave(self, units: np.ndarray) -> None:
        self.on_hand -= units
        self.outflow += units

    def _arrive(self, units: np.ndarray) -> None:
        self.on_hand += units
        self.inflow_so_far += units

    def _morning(self, today: int) -> None:
        if today == 0:
            self.counts.add(np.arange(self.n), 0, self.on_hand.copy())
        self._expire(today)
        self._arrive(self.due[:, today])
        self.on_order -= self.due_ordered[:, today]
        self._shrink(today)
        if today:
            counted = np.flatnonzero((self.phase + today) % 7 == 0)
            self.counts.add(counted, today, self.on_hand[counted])
        self.inflow[:, today] = self.inflow_so_far
        self._order(today)

    def _expire(self, today: int) -> None:
        """First in, first out: what had come in by day t - life and has not left by the morning of day t is wasted."""
        old = np.flatnonzero(self.life <= today)
        wasted = np.zeros(self.n)
        wasted[old] = np.maximum(self.inflow[old, today - self.life[old]] - self.outflow[old], 0)
        found = np.flatnonzero(wasted)
        self.waste.add(found, today, wasted[found])
        self._leave(wasted)

    def _shrink(self, today: int) -> None:
        draw = self._draw("shrink", today)
        lost = np.where(draw < SHRINK_SHARE, np.minimum(self.on_hand, 1 + np.floor(draw / SHRINK_SHARE * 2)), 0)
        found = np.flatnonzero(lost)
        self.adjustments.add(found, today, -lost[found])
        self._leave(lost)

    def _order(self, today: int) -> None:
        level, top = self._levels()
        position = self.on_hand + self.on_order
        pair = np.flatnonzero(((self.phase + today) % self.review == 0) & (position <= level))
        units = np.ceil((top - position)[pair] / self.pack[pair]) * self.pack[pair]
        pair, units = pair[units > 0], units[units > 0]
        draw = uniform(self.seed, "lead", self.key[pair], today)
        shift = np.array([s for s, _ in LEAD_SHIFT])[np.searchsorted(np.cumsum([w for _, w in LEAD_SHIFT])[:-1], draw, side="right")]
        arrives = today + np.maximum(self.lead[pair] + shift, 1)
        luck = uniform(self.seed, "short", self.key[pair], today)
        received = np.where(luck < SHORT_SHARE, np.floor(units * (0.5 + 0.4 * luck / SHORT_SHARE)), units)
        self.on_order[pair] += units
        soon = arrives < self.days
        np.add.at(self.due, (pair[soon], arrives[soon]), received[soon])
        np.add.at(self.due_ordered, (pair[soon], arrives[soon]), units[soon])
        self.orders.append(pd.DataFrame({"pair": pair, "ordered_day": today, "promised_day": today + self.lead[pair],
                                         "received_day": arrives, "ordered_units": units, "received_units": received}))  # fmt: skip

    def _learn(self, sold: np.ndarray, could_sell: np.ndarray) -> None:
        self.rate += np.where(could_sell, _NEWEST * (sold - self.rate), 0)

    def _orders(self) -> pd.DataFrame:
        return pd.concat(self.orders, ignore_index=True)
