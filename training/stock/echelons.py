"""Two echelons: a distribution centre that feeds stores, named by the stores' `supplied_by`.

The centre orders by its echelon: what its stores will sell until its next order could reach their shelves, against all that
is there, in its own halls, in the stores and on the way to either. It is the newsvendor on the lead time through both stages
(the bound of Shang and Song 2003 on Clark and Scarf 1960), with the stores' shortage costs. The stores order as they would
from any supplier; what they ask for beyond what the centre has on hand is shared out by what the next unit is worth where:
one price a unit and product, the smallest under which the orders fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.stock.demand_distribution import Demand
from training.stock.panel import PAIR
from training.stock.policies import Decision, Shelf
from training.stock.terms import Terms

SUPPLIED_BY = "supplied_by"
#: halvings of the price's bracket
_STEPS = 18
#: a price beyond which nothing is ordered that is not asked for at any price, and what rounding may add
_DEAREST, _SLACK = 1e9, 1e-9


@dataclass(frozen=True)
class Network:
    """`supplier` (pairs,): the row of the centre that feeds each pair, -1 where an outside supplier does."""

    supplier: np.ndarray

    @classmethod
    def of(cls, pairs: pd.DataFrame, facts: pd.DataFrame) -> Network:
        """From the column `supplied_by` of `facts`, a row a pair. Raises BadInput for a centre that has no stock row for the
        product, or is itself supplied by another."""
        if SUPPLIED_BY not in facts or facts[SUPPLIED_BY].isna().all():
            return cls(np.full(len(pairs), -1))
        # what holds for a product holds in the centre's own row too, which no centre feeds
        named = (facts[SUPPLIED_BY].notna() & (facts[SUPPLIED_BY] != pairs[PAIR[0]])).to_numpy()
        wanted = pd.DataFrame({PAIR[0]: facts[SUPPLIED_BY], PAIR[1]: pairs[PAIR[1]]})[named]
        supplier = np.full(len(pairs), -1)
        supplier[named] = pd.MultiIndex.from_frame(pairs[PAIR]).get_indexer(pd.MultiIndex.from_frame(wanted))
        if (lacking := named & (supplier < 0)).any():
            row = int(lacking.argmax())
            raise BadInput(
                f"column 'supplied_by': {facts[SUPPLIED_BY].iloc[row]} supplies {pairs[PAIR[1]].iloc[row]} to "
                f"{pairs[PAIR[0]].iloc[row]}, but has no stock row for it; expected one"
            )
        if (deep := named & (supplier[supplier] >= 0)).any():
            row = int(deep.argmax())
            raise BadInput(
                f"column 'supplied_by': {facts[SUPPLIED_BY].iloc[row]}, which supplies {pairs[PAIR[0]].iloc[row]}, is itself supplied "
                "by another; expected two echelons at most"
            )
        return cls(supplier)

    @property
    def fed(self) -> np.ndarray:
        """(pairs,) which are supplied by a centre."""
        return self.supplier >= 0

    @property
    def centres(self) -> np.ndarray:
        """(pairs,) which feed others."""
        return np.isin(np.arange(len(self.supplier)), self.supplier[self.fed])

    def demand(self, demand: Demand, sells: np.ndarray) -> Demand:
        """Each centre's demand is that of the pairs it feeds, and its own where it `sells` (pairs,) too. They are taken to err
        independently of each other."""
        if not self.fed.any():
            return demand
        own = (self.centres & sells).astype(float)
        square = demand.mean.sum(axis=1) ** 2
        mean = self._summed(demand.mean) + own[:, None] * demand.mean
        whole = np.maximum(mean.sum(axis=1) ** 2, 1e-12)
        common, single = ((self._summed(square * part) + own * square * part) / whole for part in (demand.common, demand.single))
        at = self.centres
        return Demand(np.where(at[:, None], mean, demand.mean), np.where(at, common, demand.common), np.where(at, single, demand.single))

    def shelf(self, shelf: Shelf) -> Shelf:
        """Each centre's stock is its echelon's: its own and all that its stores have, or will get when they get it."""
        if not self.fed.any():
            return shelf
        return Shelf(shelf.on_hand + self._summed(shelf.on_hand), shelf.receipts + self._summed(shelf.receipts))

    def terms(self, terms: Terms, demand: Demand) -> Terms:
        """Each centre's lead time goes through to its stores' shelves, and a unit short costs what it costs there, both by the
        stores' demand."""
        if not self.fed.any():
            return terms
        sold = demand.mean.sum(axis=1)
        weight = np.maximum(self._summed(sold), 1e-12)
        lead = self._summed(sold * (terms.leads * terms.lead_share).sum(axis=1)) / weight
        shortage = self._summed(sold * terms.shortage) / weight
        at = self.centres
        through = terms.leads + np.where(at, np.ceil(lead - 1e-9), 0).astype(int)[:, None]
        return replace(terms, leads=through, shortage=np.where(at, shortage, terms.shortage))

    def notes(self, pairs: pd.DataFrame, shelf: Shelf) -> np.ndarray:
        """(pairs,) what a planner should know of a centre's arithmetic and of who supplies a store, '' for others."""
        told = np.full(len(pairs), "", dtype=object)
        count, below = self._summed(np.ones(len(pairs))), self._summed(shelf.on_hand + shelf.receipts.sum(axis=1))
        stores = pairs[PAIR[0]].to_numpy(object)
        for row in np.flatnonzero(self.centres):
            told[row] = f"for {count[row]:g} stores: {shelf.on_hand[row]:g} on hand here, {below[row]:g} there and on the way"
        for row in np.flatnonzero(self.fed):
            told[row] = f"from {stores[self.supplier[row]]}, which has {shelf.on_hand[self.supplier[row]]:g}"
        return told

    def limits(self, pairs: pd.DataFrame) -> np.ndarray:
        """(pairs,) the name of what limits a pair that is fed, '' for others."""
        stores = pairs[PAIR[0]].to_numpy(object)
        return np.array([f"stock of {stores[row]}" if row >= 0 else "" for row in self.supplier], dtype=object)

    def shared(
        self, decide: Callable[[np.ndarray], Decision], on_hand: np.ndarray, pack: np.ndarray, least: np.ndarray
    ) -> Callable[[np.ndarray], Decision]:
        """`decide` under which no centre sends more than it has `on_hand` (pairs,), in whole packs of at least `least` units."""
        low, high = self._prices(decide, on_hand)

        def within_stock(charge: np.ndarray) -> Decision:
            best = self._filled(decide(charge + self._of(high)), decide(charge + self._of(low)), on_hand)
            return self._rationed(best, on_hand, pack, least)

        return within_stock

    def _rationed(self, best: Decision, on_hand: np.ndarray, pack: np.ndarray, least: np.ndarray) -> Decision:
        """A service level is asked for at any price: where that is too much, each gets its share, and what packs and minima
        leave goes to those that lack most."""
        sent = self._summed(best.order)
        short = self.fed & (self._of((sent > on_hand + _SLACK).astype(float)) > 0)
        if not short.any():
            return best
        part = np.divide(on_hand, sent, out=np.ones(len(sent)), where=sent > 0)
        order = np.where(short, np.floor(best.order * self._of(part) / pack + _SLACK) * pack, best.order)
        order = np.where(short & (order < least - _SLACK), 0.0, order)
        room = on_hand - self._summed(order)
        for row in np.flatnonzero(short)[np.argsort(-(best.order - order)[short], kind="stable")]:
            more = np.floor(min(best.order[row] - order[row], room[self.supplier[row]]) / pack[row] + _SLACK) * pack[row]
            if more > 0 and order[row] + more >= least[row] - _SLACK:
                order[row] += more
                room[self.supplier[row]] -= more
        # between no order and the whole one, what it saves is taken as even
        share = np.divide(order, best.order, out=np.ones(len(order)), where=best.order > 0)
        return replace(best, order=order, shortage=best.idle_shortage - share * (best.idle_shortage - best.shortage))

    def _prices(self, decide: Callable[[np.ndarray], Decision], on_hand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(pairs,) at each centre's row the largest price found under which the orders are more than it has, and the smallest
        under which they fit; 0 where they fit without one."""
        low, high = np.zeros(len(on_hand)), np.zeros(len(on_hand))

        def over(price: np.ndarray) -> np.ndarray:
            return self._summed(decide(self._of(price)).order) > on_hand + _SLACK

        short = over(low)
        if not short.any():
            return low, high
        high[short] = 1.0
        while (more := short & over(high) & (high < _DEAREST)).any():
            low, high = np.where(more, high, low), np.where(more, 4.0 * high, high)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            more = short & over(middle)
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        return low, high

    def _filled(self, tight: Decision, loose: Decision, on_hand: np.ndarray) -> Decision:
        """`tight` with those of the larger orders of `loose` that the centres still have the units for, best saving a unit
        first: packs leave gaps."""
        more = np.where(self.fed, loose.order - tight.order, 0.0)
        rows = np.flatnonzero(more > 0)
        saved = (tight.shortage - loose.shortage)[rows] / more[rows]
        room, take = on_hand - self._summed(tight.order), np.zeros(len(more), bool)
        for row in rows[np.argsort(-saved, kind="stable")]:
            if more[row] <= room[self.supplier[row]] + _SLACK:
                room[self.supplier[row]] -= more[row]
                take[row] = True
        return Decision(**{f.name: np.where(take, getattr(loose, f.name), getattr(tight, f.name)) for f in fields(Decision)})

    def _of(self, price: np.ndarray) -> np.ndarray:
        return np.where(self.fed, price[self.supplier], 0.0)

    def _summed(self, values: np.ndarray) -> np.ndarray:
        """Sums of the pairs that each centre feeds, at the centre's row; 0 elsewhere."""
        out = np.zeros_like(values, dtype=float)
        np.add.at(out, self.supplier[self.fed], values[self.fed])
        return out
