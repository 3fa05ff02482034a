"""The chance of no sale in closed form: a unit sells at its own gamma-distributed rate until, after some sale, it dies
(BG/NBD, Fader, Hardie and Lee 2005). Four numbers, fitted on what happened after earlier origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

#: rows used to fit four numbers
_ROWS = 20_000


@dataclass(frozen=True)
class BetaGeometric:
    """`r`, `alpha` (days): shape and rate of the gamma of the units' sale rates; `a`, `b`: the beta of the chance to die
    after a sale."""

    r: float = 0.5
    alpha: float = 20.0
    a: float = 0.1
    b: float = 2.0

    def no_sale(self, frame: pd.DataFrame, horizon_days: float) -> np.ndarray:
        """Probability of no sale within `horizon_days`, from columns `recency, age, sales` (days since the last and the
        first sale, sale days so far)."""
        x = np.maximum(frame["sales"].to_numpy(dtype=float) - 1, 0)
        total, last = frame["age"].to_numpy(dtype=float), (frame["age"] - frame["recency"]).to_numpy(dtype=float)
        waited = (self.r + x) * (np.log(self.alpha + total) - np.log(self.alpha + last))
        odds_dead = np.where(x > 0, self.a / (self.b + np.maximum(x, 1) - 1), self.a / self.b) * np.exp(np.minimum(waited, 50.0))
        alive = 1 / (1 + odds_dead)
        quiet = np.exp(-(self.r + x) * np.log1p(horizon_days / (self.alpha + total)))
        return np.clip(1 - alive + alive * quiet, 1e-6, 1 - 1e-6)


def fit_beta_geometric(frame: pd.DataFrame, label: np.ndarray, horizon_days: float) -> BetaGeometric:
    """The four numbers of least log loss on `label` (1: no sale followed)."""
    from scipy.optimize import minimize

    chosen = np.random.default_rng(0).permutation(len(frame))[:_ROWS]
    rows, y = frame.iloc[chosen], label[chosen]

    def loss(logs: Sequence[float]) -> float:
        p = BetaGeometric(*np.exp(np.clip(logs, -6, 8))).no_sale(rows, horizon_days)
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + 1e-4 * np.sum(np.square(logs)))

    start = np.log([0.5, 20.0, 0.1, 2.0])
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 250, "xatol": 1e-2, "fatol": 1e-5})
    return BetaGeometric(*(float(v) for v in np.exp(np.clip(found.x, -6, 8))))
