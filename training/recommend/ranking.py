"""Ranked lists for customers: a ranker learned at earlier origins of the same lines, applied at the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.recommend.candidates import FEATURES, NEW_FEATURES, Known, Pairs, candidate_pairs, known_at
from training.recommend.purchases import Purchases, distinct
from training.recommend.ranker import Ranker, learn

#: days looked ahead, candidates of a kind a customer, customers learned from an origin, and customers ranked at a time
HORIZON = 28
DEPTH = 120
LEARNERS = 2000
CHUNK = 4096


@dataclass(frozen=True)
class Lists:
    """Ranked lists, best first within each group: numbers of group (customer or basket) and product, score."""

    group: np.ndarray
    product: np.ndarray
    score: np.ndarray

    def ranks(self) -> np.ndarray:
        """Rank of each row within its group, 1 = best."""
        return np.arange(len(self.group)) - np.searchsorted(self.group, self.group) + 1


def horizon_of(past: Purchases) -> int:
    """Days looked ahead: four weeks, or a quarter of the days that the lines cover where that is less."""
    return max(1, min(HORIZON, past.span // 4))


def learned_ranker(purchases: Purchases, novel: bool, origins: int = 2) -> Ranker:
    """A ranker fitted on what customers bought in the windows after `origins` earlier days, one window apart."""
    horizon, names = horizon_of(purchases), NEW_FEATURES if novel else FEATURES
    rows = [_examples(purchases, purchases.last_day - back * horizon, horizon, novel) for back in range(1, origins + 1)]
    values, wanted = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return learn(values, wanted, names)


def _examples(purchases: Purchases, origin: int, horizon: int, novel: bool) -> tuple[np.ndarray, np.ndarray]:
    past, window = purchases.until(origin), purchases.after(origin, origin + horizon)
    active = np.intersect1d(window.customer[window.customer >= 0], past.customer)
    if not len(active) or past.span < horizon:
        return np.zeros((0, len(NEW_FEATURES if novel else FEATURES)), dtype=np.float32), np.zeros(0, dtype=bool)
    known = known_at(past, horizon)
    if len(active) > LEARNERS:
        active = np.sort(np.random.default_rng(origin).choice(active, LEARNERS, replace=False))
    pairs = candidate_pairs(known, active, novel, DEPTH)
    return pairs.values, was_bought(pairs, window)


def was_bought(pairs: Pairs, window: Purchases) -> np.ndarray:
    """Whether each pair's customer bought the product in `window`."""
    total, buyer = len(window.products), window.customer >= 0
    bought = distinct(window.customer[buyer].astype(np.int64) * total + window.product[buyer])
    return np.isin(pairs.customer.astype(np.int64) * total + pairs.product, bought)


def ranked(known: Known, ranker: Ranker, customers: np.ndarray, k: int, novel: bool) -> Lists:
    """The `k` best products of each of the customer numbers (ascending), filled up by popularity."""
    parts = list(_chunks(known, ranker, customers, k, novel))
    return Lists(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("group", "product", "score")))


def _chunks(known: Known, ranker: Ranker, customers: np.ndarray, k: int, novel: bool) -> Iterator[Lists]:
    had = known.past.had
    for low in range(0, len(customers), CHUNK):
        chunk = customers[low : low + CHUNK]
        pairs = candidate_pairs(known, chunk, novel, max(DEPTH, 2 * k))
        best = best_of(pairs.customer, pairs.product, ranker.score(pairs.values), k)
        barred = {int(c): had.indices[had.indptr[c] : had.indptr[c + 1]] if novel else [] for c in chunk}
        yield filled(best, chunk, k, known.popular, barred)


def best_of(group: np.ndarray, product: np.ndarray, score: np.ndarray, k: int) -> Lists:
    """The `k` highest scores of each group; ties go to the smaller product number."""
    order = np.lexsort((product, -score, group))
    group, product, score = group[order], product[order], score[order]
    keep = np.arange(len(group)) - np.searchsorted(group, group) < k
    return Lists(group[keep], product[keep], score[keep])


def filled(lists: Lists, groups: np.ndarray, k: int, popular: np.ndarray, barred: Mapping[int, Sequence[int] | np.ndarray]) -> Lists:
    """`lists` with groups of fewer than `k` rows filled up by the most popular products not listed and not `barred`."""
    have = np.bincount(np.searchsorted(groups, lists.group), minlength=len(groups))
    group, product, score = [lists.group], [lists.product], [lists.score]
    for number in groups[have < k].tolist():
        own = slice(*np.searchsorted(lists.group, [number, number + 1]))
        listed = lists.product[own]
        first = popular[: 2 * k + len(listed) + len(barred[number])]
        more = first[~np.isin(first, np.concatenate([listed, np.asarray(barred[number], dtype=np.int64)]))][: k - len(listed)]
        lowest = lists.score[own][-1] if len(listed) else 0.01
        group.append(np.full(len(more), number))
        product.append(more)
        score.append(lowest / (2.0 + np.arange(len(more))))
    joined = [np.concatenate(parts) for parts in (group, product, score)]
    order = np.lexsort((-joined[2], joined[0]))
    return Lists(*(values[order] for values in joined))
