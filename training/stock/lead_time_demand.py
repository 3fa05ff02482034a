"""Demand over a lead time and a review period, learned: rows free of scale for any regressor, and the portable model of it."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES, UNIT_FEATURES
from training.demand.examples import FLOOR, Rows
from training.demand.model import MeanPredictor
from training.stock.card import SUPPLY_FEATURES
from training.stock.model import StockModel, cover_days, terms_of

_SCALED = tuple(name for name in UNIT_FEATURES if name != "level")
_PLAIN = tuple(name for name in ORIGIN_FEATURES if name not in UNIT_FEATURES and name not in ("origin_day", "price"))
#: the regressors' features: scaled by the level, as they are, of the supply, and of the stretch to be covered
LEAD_TIME_FEATURES: tuple[str, ...] = (*_SCALED, *_PLAIN, *SUPPLY_FEATURES, "cover_days", "log_level", "log_base")


def lead_time_rows(frame: pd.DataFrame) -> Rows:
    """The rows of m pairs' features; `base` is what level and weekday profile expect over the stretch, in units."""
    costs = terms_of(frame)
    days = cover_days(costs)
    plain = StockModel().expected(frame, costs)
    base = np.maximum(plain.total(np.zeros(len(frame), int), days)[0], FLOOR)
    level = np.maximum(np.nan_to_num(frame["level"].to_numpy(dtype=float)), FLOOR)
    scaled = frame[list(_SCALED)].to_numpy(dtype=float) / level[:, None]
    as_is = frame[[*_PLAIN, *SUPPLY_FEATURES]].to_numpy(dtype=float)
    matrix = np.column_stack([scaled, as_is, days, np.log(level), np.log(base)]).astype(np.float32)
    unused = pd.DatetimeIndex([pd.NaT] * len(frame))
    return Rows(LEAD_TIME_FEATURES, matrix, base, unused)


@dataclass(frozen=True)
class LeadTimeDemand:
    """A mean predictor over `lead_time_rows`, as the `demand` of a StockModel."""

    mean: MeanPredictor

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`item, lead_time_demand`: units over `cover_days`, a row an item."""
        units = self.mean.predict(lead_time_rows(frame))
        return pd.DataFrame({"item": np.arange(len(frame)), "lead_time_demand": units})

    def save(self, folder: Path) -> None:
        """The predictor's files and the class that reads them."""
        self.mean.save(folder, "mean")
        kind = type(self.mean)
        (folder / "lead_time.json").write_text(json.dumps({"mean": f"{kind.__module__}:{kind.__qualname__}"}))

    @classmethod
    def load(cls, folder: Path) -> LeadTimeDemand:
        """Read what `save` wrote."""
        module, name = json.loads((Path(folder) / "lead_time.json").read_text())["mean"].split(":")
        return cls(getattr(importlib.import_module(module), name).load(Path(folder), "mean"))
