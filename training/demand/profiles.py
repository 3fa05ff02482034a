"""The cheap baselines of demand: what any model must beat to serve. Each predicts the mean of the rows of
`training.demand.examples`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

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


#: features that are levels over the level: each times the profile's forecast is a simple forecast of its own
_LEVELS = ("mean_7", "mean_14", "mean_56", "mean_91", "mean_182", "mean_364", "prior_level")
#: features that are forecasts over the level, or over the profile's forecast
_OF_LEVEL, _OF_BASE = ("last_same_weekday", "recent_same_weekday"), ("alike",)
#: a simple forecast beyond this many times the profile's is taken as that
_WIDEST = 5.0
#: units: the stack is not below this
_FLOOR = 1e-3


@dataclass(frozen=True)
class StackedMean:
    """The simple forecasts of a row, each the mean of its own window or of days like the target's, mixed by `weights`
    (the profile's, then one for each of `names`), none below 0: how far back a level reaches is learnt from the data."""

    names: tuple[str, ...]
    weights: np.ndarray

    @classmethod
    def fit(cls, rows: Rows, units: np.ndarray) -> StackedMean:
        """Weights with the least sum of (y - f)^2 / base over m rows with their (m,) units."""
        names = tuple(name for name in (*_LEVELS, *_OF_LEVEL, *_OF_BASE) if name in rows.names)
        scale = np.sqrt(np.maximum(rows.base, 0.05))
        forecasts = _simple(rows, names) / scale[:, None]
        # the normal equations, so that a million rows cost what a dozen columns do
        gram = forecasts.T @ forecasts
        root = np.linalg.cholesky(gram + 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram)))
        weights, _ = nnls(root.T, np.linalg.solve(root, forecasts.T @ (units / scale)))
        return cls(names, weights)

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return np.maximum(_simple(rows, self.names) @ self.weights, _FLOOR)

    def parts(self, rows: Rows) -> np.ndarray:
        """(m, 1 + len(names)) units of the profile and of each simple forecast, by its weight."""
        return _simple(rows, self.names) * self.weights

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>.npz`."""
        np.savez(Path(folder) / f"{name}.npz", names=np.array(self.names), weights=self.weights)

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> StackedMean:
        """Read what `save` wrote."""
        with np.load(Path(folder) / f"{name}.npz") as arrays:
            return cls(tuple(str(n) for n in arrays["names"]), arrays["weights"])


def _simple(rows: Rows, names: tuple[str, ...]) -> np.ndarray:
    """(m, 1 + len(names)) simple forecasts in units, the profile's first; one that is not known is the profile's."""
    profile = np.maximum(rows.column("profile").astype(np.float64), 1e-6)
    found = [np.ones(len(rows.base))]
    for name in names:
        over = rows.column(name).astype(np.float64)
        over = over / profile if name in _OF_LEVEL else over
        found.append(np.clip(np.where(np.isnan(over), 1.0, over), 0, _WIDEST))
    return np.stack(found, axis=1) * rows.base[:, None]
