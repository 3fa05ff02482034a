"""What completes a partial basket: products that went with its products in other baskets, and the customer's habits
where the customer is known; learned on recent baskets with products hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from training.recommend.candidates import Known, best_columns, known_at, own_products, rank_within
from training.recommend.habits import FEATURES as HABIT_FEATURES
from training.recommend.popularity import PRODUCT_FEATURES
from training.recommend.purchases import Purchases, distinct, indicator, numbered
from training.recommend.ranker import Ranker, learn
from training.recommend.ranking import Lists, best_of, filled, horizon_of
from training.recommend.reasons import habit_sentence, shares_of, sold, sold_lately
from training.recommend.similar import ItemModel, cosine, ease, most_sold

#: candidates of a kind a basket, baskets learned from, and baskets scored at a time
DEPTH = 60
LEARNERS = 4000
CHUNK = 1024
#: newest baskets that say what goes with what, and the ridge and shrinkage of the two models of it
MOST_BASKETS = 300_000
BASKET_RIDGE = 100.0
SHRINK = 10.0

NAMES = (*HABIT_FEATURES, *PRODUCT_FEATURES, "lift", "lift_rank", "together", "strongest", "taste", "size")


@dataclass(frozen=True)
class Partial:
    """Partial baskets: `held` (baskets x products, 0/1) and the number of the customer, -1 where unknown."""

    held: sparse.csr_matrix
    customer: np.ndarray


@dataclass(frozen=True)
class Together:
    """What is known at an origin: the customers' side, the past baskets, and two models of what goes with what."""

    known: Known
    past_baskets: sparse.csr_matrix
    lift: ItemModel
    cosine: ItemModel


def complete(purchases: Purchases, partial: pd.DataFrame, k: int, novel: bool = False) -> pd.DataFrame:
    """`basket_id, product_id, rank, score, why`: for each basket of `partial` (basket_id, product_id, and customer_id
    where known) the `k` products likeliest to join it, none already in it; with `novel` none its customer ever bought."""
    basket, names = numbered(partial["basket_id"])
    asked = _asked(purchases, partial, basket, len(names))
    ranker = learned_completer(purchases)
    together = together_at(purchases, horizon_of(purchases))
    lists = completed(together, ranker, asked, k, novel)
    return pd.DataFrame(
        {
            "basket_id": names[lists.group], "product_id": purchases.products[lists.product], "rank": lists.ranks(),
            "score": lists.score, "why": _reasons(together, asked, lists),
        }
    )  # fmt: skip


def together_at(past: Purchases, horizon: int) -> Together:
    """Fit what goes with what on the newest baskets of `past`; `horizon` in days."""
    _, row = np.unique(past.basket, return_inverse=True)
    newest = np.argsort(np.argsort(-_day_of(row, past.day), kind="stable"), kind="stable")[row] < MOST_BASKETS
    rows = indicator(row[newest], past.product[newest], (int(row.max()) + 1, len(past.products)))
    chosen = most_sold(rows)
    return Together(known_at(past, horizon), rows, ease(rows, chosen, BASKET_RIDGE), cosine(rows, chosen, SHRINK))


def learned_completer(purchases: Purchases) -> Ranker:
    """A ranker fitted on the baskets of the last window, of which some products are hidden: one of half the baskets,
    half of the others."""
    horizon = horizon_of(purchases)
    origin = purchases.last_day - horizon
    past, window = purchases.until(origin), purchases.after(origin, purchases.last_day)
    values, wanted = [np.zeros((0, len(NAMES)), dtype=np.float32)], [np.zeros(0, dtype=bool)]
    partial, hidden = hide(window, LEARNERS)
    if len(past.day) and past.span >= horizon and partial.held.shape[0]:
        together = together_at(past, horizon)
        for rows in _chunks(partial):
            row, product, features = _candidates(together, _rows(partial, rows), DEPTH, False)
            values.append(features)
            wanted.append(np.asarray(hidden[rows][row, product]).ravel() > 0)
    return learn(np.concatenate(values), np.concatenate(wanted), NAMES)


def hide(window: Purchases, at_most: int, seed: int = 17) -> tuple[Partial, sparse.csr_matrix]:
    """Partial baskets made of at most `at_most` whole ones with two products or more, and what was hidden of them."""
    rng = np.random.default_rng(seed)
    baskets, row = np.unique(window.basket, return_inverse=True)
    size = np.bincount(row)
    fit = np.flatnonzero(size >= 2)
    fit = np.sort(rng.choice(fit, at_most, replace=False)) if len(fit) > at_most else fit
    number = np.full(len(baskets), -1)
    number[fit] = np.arange(len(fit))
    lines = number[row] >= 0
    row, product, customer = number[row[lines]], window.product[lines], window.customer[lines]
    order = np.lexsort((rng.random(len(row)), row))
    place = np.empty(len(row), dtype=np.int64)
    place[order] = np.arange(len(row)) - np.searchsorted(row[order], row[order])
    hidden = place < np.where(np.arange(len(fit)) % 2 == 0, 1, size[fit] // 2)[row]
    who = np.full(len(fit), -1)
    who[row] = customer
    shape = (len(fit), len(window.products))
    return Partial(indicator(row[~hidden], product[~hidden], shape), who), indicator(row[hidden], product[hidden], shape)


def completed(together: Together, ranker: Ranker, asked: Partial, k: int, novel: bool) -> Lists:
    """The `k` best products of each partial basket, filled up by popularity."""
    parts, had = [], together.known.past.had
    for rows in _chunks(asked):
        chunk = _rows(asked, rows)
        row, product, features = _candidates(together, chunk, max(DEPTH, 2 * k), novel)
        barred = {number: _barred(chunk, had, number, novel) for number in range(len(rows))}
        best = best_of(row, product, ranker.score(features), k)
        lists = filled(best, np.arange(len(rows)), k, together.known.popular, barred)
        parts.append(Lists(lists.group + rows[0], lists.product, lists.score))
    return Lists(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("group", "product", "score")))


def _asked(purchases: Purchases, partial: pd.DataFrame, basket: np.ndarray, baskets: int) -> Partial:
    product = pd.Index(purchases.products).get_indexer(partial["product_id"])
    held = indicator(basket[product >= 0], product[product >= 0], (baskets, len(purchases.products)))
    customer = np.full(baskets, -1)
    if "customer_id" in partial:
        number = pd.Index(purchases.customers).get_indexer(partial["customer_id"])
        customer[basket[number >= 0]] = number[number >= 0]
    return Partial(held, customer)


def _candidates(together: Together, asked: Partial, depth: int, novel: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, product and NAMES of the candidates of a few baskets, none already in the basket."""
    known, total, baskets = together.known, len(together.known.past.products), asked.held.shape[0]
    lift, alike = together.lift.scores(asked.held), together.cosine.scores(asked.held)
    rows = np.arange(baskets)
    known_rows = np.flatnonzero(asked.customer >= 0)
    own, owned = own_products(known, asked.customer[known_rows], depth)
    popular = known.popular[: depth // 3]
    sources = [
        best_columns(lift, depth, together.lift.products), best_columns(alike, depth // 2, together.cosine.products),
        (known_rows[own], owned), (np.repeat(rows, len(popular)), np.tile(popular, baskets)),
    ]  # fmt: skip
    pair = distinct(np.concatenate([row.astype(np.int64) * total + product for row, product in sources]))
    pair = pair[~np.isin(pair, _taken(asked, known.past.had, total, novel))]
    row, product = pair // total, pair % total
    return row, product, _features(together, asked, row, product, lift, alike)


def _taken(asked: Partial, had: sparse.csr_matrix, total: int, novel: bool) -> np.ndarray:
    row, product = asked.held.nonzero()
    taken = row.astype(np.int64) * total + product
    if novel:
        known_rows = np.flatnonzero(asked.customer >= 0)
        row, product = had[asked.customer[known_rows]].nonzero()
        taken = np.concatenate([taken, known_rows[row].astype(np.int64) * total + product])
    return taken


def _features(together: Together, asked: Partial, row: np.ndarray, product: np.ndarray, lift: np.ndarray, alike: np.ndarray) -> np.ndarray:
    known, total = together.known, len(together.known.past.products)
    customer = asked.customer[row].astype(np.int64)
    at = together.lift.position[product]
    inside = at >= 0
    scores = np.full((len(row), 3), np.nan, dtype=np.float32)
    scores[inside, 0], scores[inside, 1] = lift[row[inside], at[inside]], alike[row[inside], at[inside]]
    scores[:, 2] = _taste(known, asked.customer, row, product)
    size = np.diff(asked.held.indptr)[row]
    strongest = _strongest(together.cosine, asked, row, product)[1]
    habit = known.habits.of(np.where(customer >= 0, customer * total + product, -1))
    rank = rank_within(row, scores[:, 0])
    alone = np.column_stack([scores[:, 0], rank, scores[:, 1], strongest, scores[:, 2], size])
    return np.hstack([habit, known.market.product[product], alone]).astype(np.float32)


def _taste(known: Known, customer: np.ndarray, row: np.ndarray, product: np.ndarray) -> np.ndarray:
    """The customers' own taste scores, NaN for unknown customers and products outside the model."""
    out = np.full(len(row), np.nan, dtype=np.float32)
    of_row = customer[row]
    at = known.model.position[product]
    fine = (of_row >= 0) & (at >= 0)
    who, place = np.unique(of_row[fine], return_inverse=True)
    out[fine] = known.model.scores(known.taste[who])[place, at[fine]] if len(who) else 0.0
    return out


def _strongest(model: ItemModel, asked: Partial, row: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each (row, product) the product in the basket that goes with it most (-1: none) and how much; rows sorted."""
    item, value = np.full(len(row), -1, dtype=np.int64), np.zeros(len(row), dtype=np.float32)
    at = model.position[product]
    starts = np.searchsorted(row, np.arange(asked.held.shape[0] + 1))
    for number in range(asked.held.shape[0]):
        held = asked.held.indices[asked.held.indptr[number] : asked.held.indptr[number + 1]]
        held = held[model.position[held] >= 0]
        rows = np.arange(starts[number], starts[number + 1])
        rows = rows[at[rows] >= 0]
        if len(held) and len(rows):
            adds = model.weights[np.ix_(model.position[held], at[rows])]
            best = adds.argmax(axis=0)
            value[rows] = adds[best, np.arange(len(rows))]
            item[rows] = np.where(value[rows] > 0, held[best], -1)
    return item, value


def _reasons(together: Together, asked: Partial, lists: Lists) -> list[str]:
    """A sentence for each row: what it went with in other baskets, else the customer's habit, else sales."""
    past = together.known.past
    strongest, _ = _strongest(together.cosine, asked, lists.group, lists.product)
    shares = shares_of(together.past_baskets, strongest, lists.product)
    customer = asked.customer[lists.group].astype(np.int64)
    habit = together.known.habits.of(np.where(customer >= 0, customer * len(past.products) + lists.product, -1))
    recent = sold_lately(together.known)
    words = []
    for row, product in enumerate(lists.product.tolist()):
        said = []
        if shares[row] >= 0.005:
            said.append(f"bought with {past.products[strongest[row]]} in {shares[row]:.0%} of its baskets")
        if np.isfinite(habit[row, 0]):
            said.append(f"this customer {habit_sentence(habit[row])}")
        words.append("; ".join(said) or sold(int(recent[product])))
    return words


def _barred(chunk: Partial, had: sparse.csr_matrix, number: int, novel: bool) -> np.ndarray:
    held = chunk.held.indices[chunk.held.indptr[number] : chunk.held.indptr[number + 1]]
    customer = chunk.customer[number]
    if not novel or customer < 0:
        return held
    return np.concatenate([held, had.indices[had.indptr[customer] : had.indptr[customer + 1]]])


def _chunks(asked: Partial) -> Sequence[np.ndarray]:
    total = asked.held.shape[0]
    return [np.arange(low, min(low + CHUNK, total)) for low in range(0, total, CHUNK)]


def _rows(asked: Partial, rows: np.ndarray) -> Partial:
    return Partial(asked.held[rows], asked.customer[rows])


def _day_of(row: np.ndarray, day: np.ndarray) -> np.ndarray:
    newest = np.zeros(int(row.max()) + 1, dtype=np.int64)
    np.maximum.at(newest, row, day)
    return newest
