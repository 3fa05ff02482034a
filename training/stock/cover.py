"""The rule that most shops use: order up to so many days of sales, fewer of what spoils. The baseline that any learned
policy must beat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.stock.model import shelf_of, terms_of


@dataclass(frozen=True)
class FixedCover:
    """Order up to `days` of the level, `fresh_days` where there is a shelf life, in whole packs."""

    days: float
    fresh_days: float

    def cover(self, shelf_life: np.ndarray) -> np.ndarray:
        """(m,) days of pairs with these shelf lives (infinite: keeps)."""
        return np.where(np.isfinite(shelf_life), self.fresh_days, self.days)

    @staticmethod
    def up_to(days: np.ndarray, level: np.ndarray, position: np.ndarray, pack: np.ndarray) -> np.ndarray:
        """(m,) units: what `days` of `level` units a day ask for beyond the stock on hand and on order, in whole packs."""
        return np.ceil(np.maximum(days * np.maximum(np.nan_to_num(level), 0.0) - position, 0.0) / pack - 1e-9) * pack

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The fields of the stock card; the rule knows no costs: they are what is held and what the level may lose."""
        costs, here = terms_of(frame), shelf_of(frame)
        level = np.maximum(np.nan_to_num(frame["level"].to_numpy(dtype=float)), 0.0)
        days = self.cover(costs.shelf_life)
        coming = here.receipts.sum(axis=1)
        order = self.up_to(days, level, here.on_hand + coming, costs.pack)
        lead = (costs.leads * costs.lead_share).sum(axis=1)
        need = level * (lead + costs.review)
        short, idle = (np.maximum(need - here.on_hand - coming - more, 0.0) for more in (order, 0.0))
        held = np.maximum(here.on_hand + coming + order - need, 0.0)
        target = days * level
        why = [
            f"{cover:g} days of {rate:.2f} a day = {up:.1f}; on hand {hand:.1f}, on order {due:.1f} -> {units:g}"
            for cover, rate, up, hand, due, units in zip(days, level, target, here.on_hand, coming, order, strict=True)
        ]
        return pd.DataFrame({
            "item": np.arange(len(frame)), "order_units": order, "reorder_point": target, "order_up_to": target,
            "expected_cost": costs.holding * costs.review * held + costs.shortage * short, "money_at_risk": costs.shortage * (idle - short),
            "why": why, "on_hand": here.on_hand, "on_order": coming, "expected_demand": need, "safety_stock": target - need,
        })  # fmt: skip

    def save(self, folder: Path) -> None:
        """Two numbers."""
        (folder / "cover.json").write_text(json.dumps({"days": self.days, "fresh_days": self.fresh_days}))

    @classmethod
    def load(cls, folder: Path) -> FixedCover:
        """Read what `save` wrote."""
        return cls(**json.loads((Path(folder) / "cover.json").read_text()))
