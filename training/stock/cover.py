"""The rule that most shops use: order up to so many days of sales. The baseline that any learned policy must beat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.stock.model import shelf_of, terms_of


@dataclass(frozen=True)
class FixedCover:
    """Order up to `days` of the level, in whole packs."""

    days: float

    def orders(self, level: np.ndarray, position: np.ndarray, pack: np.ndarray) -> np.ndarray:
        """(m,) units: what `days` of `level` units a day ask for beyond the stock on hand and on order, in whole packs."""
        return np.ceil(np.maximum(self.days * level - position, 0.0) / pack - 1e-9) * pack

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The fields of the stock card; the rule knows no costs: they are what is held and what the level may lose."""
        costs, here = terms_of(frame), shelf_of(frame)
        level = np.maximum(np.nan_to_num(frame["level"].to_numpy(dtype=float)), 0.0)
        coming = here.receipts.sum(axis=1)
        order = self.orders(level, here.on_hand + coming, costs.pack)
        lead = (costs.leads * costs.lead_share).sum(axis=1)
        need = level * (lead + costs.review)
        short, idle = (np.maximum(need - here.on_hand - coming - more, 0.0) for more in (order, 0.0))
        held = np.maximum(here.on_hand + coming + order - need, 0.0)
        target = self.days * level
        why = [
            f"{self.days:g} days of {rate:.2f} a day = {up:.1f}; on hand {hand:.1f}, on order {due:.1f} -> {units:g}"
            for rate, up, hand, due, units in zip(level, target, here.on_hand, coming, order, strict=True)
        ]
        return pd.DataFrame({
            "item": np.arange(len(frame)), "order_units": order, "reorder_point": target, "order_up_to": target,
            "expected_cost": costs.holding * costs.review * held + costs.shortage * short, "money_at_risk": costs.shortage * (idle - short),
            "why": why, "on_hand": here.on_hand, "on_order": coming, "expected_demand": need, "safety_stock": target - need,
        })  # fmt: skip

    def save(self, folder: Path) -> None:
        """One number."""
        (folder / "cover.json").write_text(json.dumps({"days": self.days}))

    @classmethod
    def load(cls, folder: Path) -> FixedCover:
        """Read what `save` wrote."""
        return cls(**json.loads((Path(folder) / "cover.json").read_text()))
