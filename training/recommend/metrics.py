"""How good ranked lists are: recall, NDCG and hit rate at k with binary relevance (Järvelin & Kekäläinen 2002)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np


def ranking_metrics(lists: Mapping[str, Sequence[str]], truth: Mapping[str, Collection[str]], k: int = 10) -> dict[str, float]:
    """Means over the keys of `truth` of `recall`, `ndcg` and `hit_rate` at `k`; a key without a list scores 0.
    Recall divides by min(k, relevant products), so that a perfect list scores 1."""
    rows = [score_list(list(lists.get(key, ()))[:k], set(wanted), k) for key, wanted in truth.items() if wanted]
    recall, ndcg, hit = np.asarray(rows, dtype=float).reshape(-1, 3).mean(axis=0) if rows else (0.0, 0.0, 0.0)
    return {"recall": float(recall), "ndcg": float(ndcg), "hit_rate": float(hit)}


def score_list(ranked: list[str], wanted: set[str], k: int) -> tuple[float, float, float]:
    """Recall, NDCG and hit at `k` of one list."""
    gains = np.array([product in wanted for product in ranked] + [False] * (k - len(ranked)), dtype=float)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = min(k, len(wanted))
    return gains.sum() / best, float(gains @ discounts / discounts[:best].sum()), float(gains.any())
