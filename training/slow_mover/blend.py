"""The chance of no sale, learned at earlier origins: boosted trees, a logistic regression and the closed form, blended by
what they were worth at origins that none of them had seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training.slow_mover.closed_form import BetaGeometric, fit_beta_geometric
from training.slow_mover.features import Ledger, alive, features, silent

#: days between training origins, and how many there are at most
_APART, _ORIGINS = 14, 26
#: days of history an origin must have behind it
_BEHIND = 56
#: examples that are learned from: the newest origins count when there are more
_EXAMPLES = 150_000
#: fewest examples of each outcome to learn from; below, the closed form answers
_FEWEST = 30


@dataclass(frozen=True)
class Examples:
    """Rows of features with their label and the period of their origin."""

    rows: pd.DataFrame
    label: np.ndarray
    origin: np.ndarray

    def where(self, mask: np.ndarray) -> Examples:
        """Some of the rows."""
        return Examples(self.rows[mask], self.label[mask], self.origin[mask])

    @property
    def learnable(self) -> bool:
        """Whether both outcomes are there often enough."""
        return min(self.label.sum(), len(self.label) - self.label.sum()) >= _FEWEST


def examples(book: Ledger, horizon: int) -> Examples:
    """What was known at earlier origins and what followed; every label was complete at the ledger's last period."""
    apart = max(_APART // book.step, 1)
    last = book.periods - 1 - horizon
    origins = list(range(last, max(_BEHIND // book.step, 1) - 1, -apart))[:_ORIGINS]
    rows, labels, whens, total = [], [], [], 0
    for at in origins:
        # of what was mostly out of stock nobody knows whether it would have sold
        living = alive(book, at) & book.offered(at, at + horizon)
        frame = features(book, at, horizon)[living]
        rows.append(frame)
        labels.append(silent(book, at, horizon)[living])
        whens.append(np.full(len(frame), at))
        total += len(frame)
        if total > _EXAMPLES:
            break
    if not rows:
        return Examples(pd.DataFrame(), np.empty(0, dtype=int), np.empty(0, dtype=int))
    return Examples(pd.concat(rows, ignore_index=True), np.concatenate(labels), np.concatenate(whens))


@dataclass(frozen=True)
class Experts:
    """The three models fitted on the same examples."""

    trees: Any
    line: Any
    closed: BetaGeometric
    horizon_days: float

    def logits(self, rows: pd.DataFrame) -> np.ndarray:
        """(rows, 3) log odds of no sale."""
        closed = _logit(self.closed.no_sale(rows, self.horizon_days))
        trees = self.trees.predict_proba(_with(rows, closed))[:, 1]
        line = self.line.predict_proba(_flat(rows, closed))[:, 1]
        return np.column_stack([_logit(trees), _logit(line), closed])


def fit_experts(known: Examples, horizon_days: float) -> Experts:
    """Fit all three; the closed form's log odds are a feature of the other two."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    closed = fit_beta_geometric(known.rows, known.label, horizon_days)
    odds = _logit(closed.no_sale(known.rows, horizon_days))
    trees = XGBClassifier(
        n_estimators=200, max_depth=5, learning_rate=0.05, subsample=0.7, colsample_bytree=0.6, min_child_weight=10,
        reg_lambda=5.0, tree_method="hist", max_bin=64, random_state=0, n_jobs=2,
    )  # fmt: skip
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    return Experts(trees.fit(_with(known.rows, odds), known.label), line.fit(_flat(known.rows, odds), known.label), closed, horizon_days)


def _with(rows: pd.DataFrame, odds: np.ndarray) -> np.ndarray:
    return np.column_stack([rows.to_numpy(dtype=float), odds])


def _flat(rows: pd.DataFrame, odds: np.ndarray) -> np.ndarray:
    """Signed logs with 0 where unknown, and the closed form: what a linear model can use."""
    values = rows.to_numpy(dtype=float)
    return np.column_stack([np.nan_to_num(np.sign(values) * np.log1p(np.abs(values))), odds, np.log(rows["sales_182"].to_numpy() + 0.5)])


def _logit(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p, 1e-5, 1 - 1e-5)
    return np.log(clipped / (1 - clipped))


@dataclass(frozen=True)
class Blend:
    """Experts and how their log odds are weighted (none: the closed form alone)."""

    experts: Experts | None
    weights: np.ndarray
    offset: float
    closed: BetaGeometric
    horizon_days: float

    def probability(self, rows: pd.DataFrame) -> np.ndarray:
        """Calibrated probability of no sale within the horizon."""
        if self.experts is None:
            return self.closed.no_sale(rows, self.horizon_days)
        odds = self.experts.logits(rows) @ self.weights + self.offset
        return 1 / (1 + np.exp(-odds))


def fit_blend(known: Examples, horizon: int, horizon_days: float) -> Blend:
    """Weights from the newest labelled origins under experts that knew only labels complete by then; experts refitted on
    all. With too little to learn from, the closed form with its default numbers answers."""
    if not len(known.label) or not known.learnable:
        return Blend(None, np.empty(0), 0.0, BetaGeometric(), horizon_days)
    newest = known.origin.max()
    held = known.where(known.origin > newest - max(horizon // 2, 1))
    earlier = known.where(known.origin <= held.origin.min() - horizon)
    experts = fit_experts(known, horizon_days)
    if not len(earlier.label) or not (earlier.learnable and held.learnable):
        return Blend(experts, np.array([0.25, 0.25, 0.5]), 0.0, experts.closed, horizon_days)
    odds = fit_experts(earlier, horizon_days).logits(held.rows)
    weights, offset = _weigh(odds, held.label)
    return Blend(experts, weights, offset, experts.closed, horizon_days)


def _weigh(odds: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, float]:
    """Non-negative weights and an offset of least log loss, drawn to an even mix of trees and line without offset (an
    offset learned in one season is half trusted in the next)."""
    from scipy.optimize import minimize

    even = np.array([0.5, 0.4, 0.1, 0.0])

    def loss(v: np.ndarray) -> float:
        z = odds @ v[:3] + v[3]
        return float(np.mean(np.logaddexp(0, z) - label * z) + 0.01 * np.sum((v - even) ** 2))

    found = minimize(loss, even, method="L-BFGS-B", bounds=[(0, 2)] * 3 + [(-1, 1)])
    return found.x[:3], float(found.x[3])
