"""The cheap baselines of demand: what any model must beat to serve. Each predicts the mean of the rows of
`training.demand.examples`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.demand.examples import Rows


@dataclass(frozen=True)
class ProfileMean:
    """The level x weekday profile: the shrunk in-stock mean of four weeks times the weekday's share."""

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return rows.base.copy()

    def save(self, folder: Path, name: str = "mean") -> None:
        """Nothing is learnt, so nothing is written."""

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> ProfileMean:
        """The baseline again."""
        return cls()


@dataclass(frozen=True)
class SeasonalNaiveMean:
    """The last day with the target's weekday (the last week, for weekly data), again; the profile where it is not known."""

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        level = np.exp(rows.column("log_level").astype(np.float64))
        return np.where(np.isnan(same := rows.column("last_same_weekday")), rows.base, same * level)

    def save(self, folder: Path, name: str = "mean") -> None:
        """Nothing is learnt, so nothing is written."""

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> SeasonalNaiveMean:
        """The baseline again."""
        return cls()
