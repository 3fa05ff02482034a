"""Which products are worth ranking for a customer, and what is known of each such pair at an origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from training.recommend.habits import FEATURES as HABIT_FEATURES
from training.recommend.habits import Habits, habits, product_gaps
from training.recommend.popularity import CUSTOMER_FEATURES, PRODUCT_FEATURES, customer_features, product_features, recent_lines
from training.recommend.purchases import Purchases, distinct
from training.recommend.similar import ItemModel, ease, most_sold

#: half-life in days of a purchase's weight in a customer's taste, and the ridge of the item-item regression
TASTE_HALF_LIFE = 75.0
TASTE_RIDGE = 200.0
#: customers whose scores over all products are held at once
BLOCK = 512

FEATURES = (*HABIT_FEATURES, *PRODUCT_FEATURES, *CUSTOMER_FEATURES, "taste", "taste_rank")
#: habits do not tell new products apart
NEW_FEATURES = (*PRODUCT_FEATURES, *CUSTOMER_FEATURES, "taste", "taste_rank")


@dataclass(frozen=True)
class Market:
    """What is known of the products at an origin, whoever asks: features (PRODUCT_FEATURES), typical gaps in days,
    order of popularity, and the item-item model of taste; bounded by the products."""

    product: np.ndarray
    gap: np.ndarray
    popular: np.ndarray
    model: ItemModel


@dataclass(frozen=True)
class Known:
    """Everything known at the end of `past`: the market, and the habits, features and tastes of its customers."""

    past: Purchases
    market: Market
    habits: Habits
    customer: np.ndarray
    taste: sparse.csr_matrix

    @property
    def popular(self) -> np.ndarray:
        """All product numbers, the most popular first."""
        return self.market.popular

    @property
    def model(self) -> ItemModel:
        """The item-item model of taste."""
        return self.market.model


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs sorted by customer: numbers of customer and product, and FEATURES (or NEW_FEATURES) of each."""

    customer: np.ndarray
    product: np.ndarray
    values: np.ndarray


def market_at(past: Purchases, horizon: int) -> Market:
    """Fit what is known of the products; `horizon` in days."""
    taste = tastes(past)
    popular = np.argsort(-recent_lines(past, 28) - 0.01 * recent_lines(past, 84) - 1e-5 * recent_lines(past, 10_000), kind="stable")
    return Market(product_features(past, horizon), product_gaps(past), popular, ease(taste, most_sold(taste), TASTE_RIDGE))


def known_at(past: Purchases, horizon: int, market: Market | None = None) -> Known:
    """What is known of the customers of `past`, with the market fitted on the same lines unless given."""
    market = market or market_at(past, horizon)
    return Known(past, market, habits(past, horizon, market.gap), customer_features(past), tastes(past))


def tastes(past: Purchases) -> sparse.csr_matrix:
    """Customers x products: the decayed count of purchases kept, at most 1."""
    chosen = (past.customer >= 0) & past.kept
    weight = 0.5 ** ((past.last_day - past.day[chosen]) / TASTE_HALF_LIFE)
    shape = (len(past.customers), len(past.products))
    matrix = sparse.csr_matrix((weight.astype(np.float32), (past.customer[chosen], past.product[chosen])), shape=shape)
    matrix.sum_duplicates()
    np.minimum(matrix.data, 1.0, out=matrix.data)
    return matrix


def candidate_pairs(known: Known, customers: np.ndarray, novel: bool, depth: int) -> Pairs:
    """Candidates of the customer numbers (ascending): own products by habit unless `novel`, others by taste and by
    popularity, about `depth` of each kind where there are as many."""
    sources = (0 if novel else depth, depth if novel else depth // 4, max(depth // 4, 10))
    blocks = [_block(known, customers[i : i + BLOCK], sources) for i in range(0, len(customers), BLOCK)]
    joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    return _with_features(known, joined[0], joined[1], joined[2], novel)


def _block(known: Known, customers: np.ndarray, sources: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer, product and taste score of the candidates of a few customers, sorted by customer and product."""
    own, alike, popular = sources
    had = known.past.had[customers]
    scores = known.model.scores(known.taste[customers])
    fresh = scores.copy()
    fresh[had[:, known.model.products].nonzero()] = -np.inf
    rows = [own_products(known, customers, own), best_columns(fresh, alike, known.model.products), _popular(known, had, popular)]
    row, product = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    pair = distinct(row * len(known.past.products) + product)
    row, product = pair // len(known.past.products), pair % len(known.past.products)
    at = known.model.position[product]
    taste = np.full(len(row), np.nan, dtype=np.float32)
    taste[at >= 0] = scores[row[at >= 0], at[at >= 0]]
    return customers[row], product, taste


def own_products(known: Known, customers: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The `limit` products with the strongest habit of each customer, as (row, product)."""
    customers, total = customers.astype(np.int64), len(known.past.products)
    low, high = (np.searchsorted(known.habits.key, (customers + more) * total) for more in (0, 1))
    row = np.repeat(np.arange(len(customers)), high - low)
    index = np.arange(len(row)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + np.repeat(low, high - low)
    strength = known.habits.column("decay_150")[index] + known.habits.column("decay_45")[index]
    order = np.lexsort((known.habits.key[index], -strength, row))
    start = np.cumsum(high - low) - (high - low)
    keep = order[np.arange(len(order)) - start[row[order]] < limit]
    return row[keep], known.habits.key[index[keep]] % total


def best_columns(scores: np.ndarray, limit: int, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `limit` best columns of each row as (row, product number); -inf never."""
    limit = min(limit, scores.shape[1])
    if limit == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    top = np.argpartition(-scores, limit - 1, axis=1)[:, :limit]
    row = np.repeat(np.arange(len(scores)), limit)
    fine = np.isfinite(scores[row, top.ravel()])
    return row[fine], products[top.ravel()[fine]]


def _popular(known: Known, had: sparse.csr_matrix, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The most popular products that each customer never had, among the first `limit` and those they had."""
    top = known.popular[: 4 * limit]
    free = had[:, top].toarray() == 0
    first = free & (np.cumsum(free, axis=1) <= limit)
    row, at = np.nonzero(first)
    return row, top[at]


def _with_features(known: Known, customer: np.ndarray, product: np.ndarray, taste: np.ndarray, novel: bool) -> Pairs:
    values = [known.market.product[product], known.customer[customer], taste[:, None], rank_within(customer, taste)[:, None]]
    if not novel:
        key = customer.astype(np.int64) * len(known.past.products) + product
        values.insert(0, known.habits.of(key))
    return Pairs(customer, product, np.hstack(values).astype(np.float32))


def rank_within(customer: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rank of each score within its customer, 0 = highest; `customer` is sorted."""
    order = np.lexsort((-np.nan_to_num(score, nan=-np.inf), customer))
    start = np.searchsorted(customer, customer)
    rank = np.empty(len(customer), dtype=np.float32)
    rank[order] = np.arange(len(customer)) - start[order]
    return rank
