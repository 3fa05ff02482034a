"""The stock model that serves: a demand estimate from features and the order arithmetic of `plan`, without Spark.

Columns it reads, all optional but the first, blanks take the stated defaults: `level` (units a day) and `dow_0`..`dow_6`
with `origin_day` (the week's profile), `dispersion` (daily variance / mean over in-stock days), `on_hand`, `on_order`,
`next_arrival_days`, `last_arrival_days`, `learned_lead_time_days` (else `lead_time_days`), `learned_lead_time_days_sd`,
`shelf_price`, `unit_cost`, `holding_cost`, `shortage_cost`, `fixed_order_cost`, `pack_size`, `minimum_order`,
`review_period_days`, `shelf_life_days`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from infra.tables import require_columns
from training.portable import Portable, load_portable, save_portable
from training.stock import why
from training.stock.demand_distribution import FLOOR_WEEK, Demand
from training.stock.policies import PATIENCE, Shelf, decision_of
from training.stock.terms import NUMBERS, Terms, terms

#: features that say what an item's terms call otherwise
_RENAMED = {"learned_lead_time_days": "lead_time_days", "learned_lead_time_days_sd": "lead_time_days_sd", "shelf_price": "price"}
#: days of lead time and review over which demand is learned; what must last longer is taken to go on at the same pace
LONGEST_COVER_DAYS = 21
_FILE, _DEMAND = "stock.json", "demand"


@dataclass(frozen=True)
class StockModel:
    """`patience` of the marginal rule; `common`, the squared coefficient of variation of the level's error; `demand`, a model
    whose `predict` answers `lead_time_demand` (units over `cover_days`, one row an item), or None: the level's."""

    patience: float = PATIENCE
    common: float = 0.1
    demand: Portable | None = None

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row an item: `item` and the card's response fields, with on_hand, on_order, expected_demand, safety_stock.
        Raises BadInput when `level` is missing."""
        require_columns(frame, ["level"], "the features of the stock model")
        costs, here = terms_of(frame), shelf_of(frame)
        expected = self.expected(frame, costs)
        decision = decision_of(expected, here, costs, self.patience)
        parts = why.sums(decision, here)
        return pd.DataFrame(
            {
                "item": np.arange(len(frame)),
                "order_units": decision.order,
                "reorder_point": parts.target,
                "order_up_to": parts.target + parts.cycle,
                "expected_cost": decision.holding + decision.shortage + np.where(decision.order > 0, costs.fixed, 0.0),
                "money_at_risk": np.maximum(decision.idle_shortage - decision.shortage, 0.0),
                "why": why.sentences(decision, here, costs, 1),
                "on_hand": here.on_hand,
                "on_order": decision.on_order,
                "expected_demand": decision.demand,
                "safety_stock": parts.spread + parts.lead,
            }
        )

    def expected(self, frame: pd.DataFrame, costs: Terms) -> Demand:
        """Daily demand of the coming days (items, days): the level by weekday, scaled to the demand model's total."""
        days = int((costs.leads.max(axis=1) + costs.review).max(initial=1))
        life = costs.shelf_life[np.isfinite(costs.shelf_life)]
        days = max(days, int(costs.leads.max(initial=0) + life.max()) if len(life) else 0)
        level = np.maximum(_numbers(frame, "level", 0.0), FLOOR_WEEK / 7)
        mean = level[:, None] * _profile(frame, days)
        over = np.maximum(_numbers(frame, "dispersion", 1.5) - 1.0, 0.0) / level
        plain = Demand(mean, np.full(len(frame), self.common), np.clip(over, 0.02, 20.0))
        if self.demand is None:
            return plain
        total, _ = plain.total(np.zeros(len(frame), int), cover_days(costs))
        learned = self.demand.predict(frame).sort_values("item")["lead_time_demand"].to_numpy(float)
        scale = np.clip(np.nan_to_num(learned, nan=0.0), 0.0, None) / np.maximum(total, 1e-9)
        return Demand(np.maximum(mean * scale[:, None], FLOOR_WEEK / 7), plain.common, plain.single)

    def save(self, folder: Path) -> None:
        """Two numbers, and the demand model in a folder of its own."""
        (folder / _FILE).write_text(json.dumps({"patience": self.patience, "common": self.common}))
        if self.demand is not None:
            save_portable(self.demand, folder / _DEMAND)

    @classmethod
    def load(cls, folder: Path) -> StockModel:
        """Read what `save` wrote."""
        numbers = json.loads((folder / _FILE).read_text())
        inner = folder / _DEMAND
        return cls(**numbers, demand=load_portable(inner) if inner.is_dir() else None)


def cover_days(costs: Terms) -> np.ndarray:
    """(m,) whole days of each row's mean lead time and review period, LONGEST_COVER_DAYS at most."""
    return np.minimum(np.round((costs.leads * costs.lead_share).sum(axis=1)).astype(int) + costs.review, LONGEST_COVER_DAYS)


def terms_of(frame: pd.DataFrame) -> Terms:
    """The terms of each row of features, periods of a day."""
    named = {name: _numbers(frame, name, np.nan) for name in NUMBERS if name in frame}
    for feature, name in _RENAMED.items():
        if feature in frame:
            learned = _numbers(frame, feature, np.nan)
            named[name] = np.where(np.isfinite(learned), learned, named.get(name, np.nan))
    return terms(pd.DataFrame(named, index=range(len(frame))), np.full(len(frame), np.nan), 1)


def shelf_of(frame: pd.DataFrame) -> Shelf:
    """The shelf of each row: half of what is on order comes with the first promised arrival, half with the last; overdue or
    undated deliveries come tomorrow."""
    hand = np.maximum(_numbers(frame, "on_hand", 0.0), 0.0)
    order = np.maximum(_numbers(frame, "on_order", 0.0), 0.0)
    first = np.maximum(_numbers(frame, "next_arrival_days", 1.0), 1.0).astype(int) - 1
    last = np.maximum(_numbers(frame, "last_arrival_days", 1.0).astype(int) - 1, first)
    receipts = np.zeros((len(frame), int(last.max(initial=0)) + 1))
    rows = np.arange(len(frame))
    np.add.at(receipts, (rows, first), order / 2)
    np.add.at(receipts, (rows, last), order / 2)
    return Shelf(hand, receipts)


def _profile(frame: pd.DataFrame, days: int) -> np.ndarray:
    """Demand of the coming days relative to the level (items, days), 0 on weekdays on which the store is closed; ones where the
    week's profile is not known."""
    names = [f"dow_{day}" for day in range(7)]
    if "origin_day" not in frame or not set(names) <= set(frame.columns):
        return np.ones((len(frame), days))
    week = np.column_stack([_numbers(frame, name, 1.0) for name in names])
    week = week * ((week > 0).sum(axis=1) / np.maximum(week.sum(axis=1), 1e-9))[:, None]
    # origin_day counts days from 1970-01-01, a Thursday; column 0 is Monday
    weekday = (_numbers(frame, "origin_day", 0.0).astype(int)[:, None] + 1 + np.arange(days)[None, :] + 3) % 7
    return np.take_along_axis(week, weekday, axis=1)


def _numbers(frame: pd.DataFrame, name: str, default: float) -> np.ndarray:
    if name not in frame:
        return np.full(len(frame), default)
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    return np.where(np.isfinite(values), values, default)
