"""How likely each candidate is to be bought: learned on the last weeks of the given lines themselves, where they are
enough, else a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xgboost

#: rows learned from at most, and wanted ones below which nothing is learned
MOST_ROWS = 300_000
FEWEST_WANTED = 150

_PARAMETERS = {
    "objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "min_child_weight": 10, "subsample": 0.8, "colsample_bytree": 0.7,
    "tree_method": "hist", "max_bin": 128, "seed": 17,
}  # fmt: skip
_ROUNDS = 120
_FEW_ROWS = 50_000


@dataclass(frozen=True)
class Ranker:
    """Probability of being bought from feature rows; `booster` None: the rule over the named columns."""

    names: tuple[str, ...]
    booster: xgboost.Booster | None

    def score(self, values: np.ndarray) -> np.ndarray:
        """Scores in 0..1 (rows,), float64."""
        if self.booster is None:
            return rule(values, self.names)
        return self.booster.inplace_predict(values).astype(np.float64)


def learn(values: np.ndarray, wanted: np.ndarray, names: Sequence[str], seed: int = 17) -> Ranker:
    """Fit on feature rows (rows x names, NaN = unknown) and whether each was bought. Unwanted rows are sampled and
    weighted up, so that scores stay probabilities."""
    if wanted.sum() < FEWEST_WANTED or wanted.all():
        return Ranker(tuple(names), None)
    import xgboost

    rows, weight = _sample(wanted, np.random.default_rng(seed))
    matrix = xgboost.QuantileDMatrix(values[rows], label=wanted[rows], weight=weight, max_bin=_PARAMETERS["max_bin"])
    # threads that wait for each other cost more than they bring on few rows
    threads = {"nthread": 1} if len(rows) < _FEW_ROWS else {}
    return Ranker(tuple(names), xgboost.train(_PARAMETERS | threads, matrix, _ROUNDS))


def rule(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Without anything to learn from: own habit first, then what goes with the customer's (or basket's) products, then
    what sells; squashed to 0..1."""
    total = np.zeros(len(values))
    for name, weight in _RULE.items():
        if name in names:
            total += weight * np.nan_to_num(values[:, list(names).index(name)])
    return 1.0 - np.exp(-np.maximum(total, 0.0))


_RULE = {"decay_45": 0.3, "decay_150": 0.3, "taste": 1.0, "lift": 1.0, "together": 1.0, "lines_28": 0.002, "lines_84": 0.001}


def _sample(wanted: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, ascending, and their weights."""
    yes, no = np.flatnonzero(wanted), np.flatnonzero(~wanted)
    some_yes = _some(yes, MOST_ROWS // 3, rng)
    some_no = _some(no, MOST_ROWS - len(some_yes), rng)
    rows = np.concatenate([some_yes, some_no])
    weight = np.concatenate([np.full(len(some_yes), len(yes) / len(some_yes)), np.full(len(some_no), len(no) / max(len(some_no), 1))])
    order = np.argsort(rows)
    return rows[order], weight[order]


def _some(rows: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= limit else rng.choice(rows, limit, replace=False)
