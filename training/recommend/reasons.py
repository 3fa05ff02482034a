"""Why a product is recommended: one plain sentence a row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse

from training.recommend.candidates import Known
from training.recommend.habits import FEATURES
from training.recommend.popularity import PRODUCT_FEATURES
from training.recommend.ranking import Lists


def customer_reasons(known: Known, lists: Lists, share: float = 1.0) -> list[str]:
    """A sentence for each row of customers' lists: the habit, or the owned product that speaks most for it, or sales, of which
    the market of `known` saw a `share`."""
    past = known.past
    key = lists.group.astype(np.int64) * len(past.products) + lists.product
    own = known.habits.of(key)
    strongest = _strongest(known, lists)
    shares = shares_of(past.bought, strongest, lists.product)
    recent = sold_lately(known)
    words = []
    for row, product in enumerate(lists.product.tolist()):
        if np.isfinite(own[row, 0]):
            words.append(habit_sentence(own[row]))
        elif shares[row] > 0:
            words.append(f"{shares[row]:.0%} of the customers who bought {past.products[strongest[row]]}, as this one did, also bought it")
        else:
            words.append(sold(round(recent[product] / share)))
    return words


def sold_lately(known: Known) -> np.ndarray:
    """Lines of each product in the last 28 days, whoever the customers of `known` are."""
    return np.rint(np.expm1(known.market.product[:, PRODUCT_FEATURES.index("lines_28")])).astype(np.int64)


def sold(lines: int) -> str:
    """What a product is recommended for when nothing is known of the customer."""
    return f"sold in {lines:,} basket{'s' if lines != 1 else ''} of the last 28 days"


def habit_sentence(values: np.ndarray) -> str:
    said = dict(zip(FEATURES, values.tolist(), strict=True))
    days, ago = int(said["days_bought"]), _ago(int(said["since_last"]))
    if days == 1:
        return f"bought once, {ago}"
    return f"bought on {days} days, about every {max(1, round(said['gap']))} days, last {ago}"


def _ago(days: int) -> str:
    return "on the last day" if days == 0 else f"{days} day{'s' if days != 1 else ''} ago"


def _strongest(known: Known, lists: Lists) -> np.ndarray:
    """The owned product that adds most to each row's taste score, -1 where none adds."""
    model, out = known.model, np.full(len(lists.group), -1, dtype=np.int64)
    at = model.position[lists.product]
    taste = known.taste[:, model.products].tocsr()
    edges = np.flatnonzero(np.r_[True, lists.group[1:] != lists.group[:-1], True]) if len(out) else np.zeros(1, dtype=np.int64)
    for low, high in pairwise(edges.tolist()):
        row = slice(*taste.indptr[lists.group[low] : lists.group[low] + 2])
        rows = np.arange(low, high)[at[low:high] >= 0]
        if row.stop > row.start and len(rows):
            adds = model.weights[np.ix_(taste.indices[row], at[rows])] * taste.data[row][:, None]
            best = adds.argmax(axis=0)
            out[rows] = np.where(adds[best, np.arange(len(rows))] > 0, model.products[taste.indices[row][best]], -1)
    return out


def shares_of(rows: sparse.csr_matrix, given: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Share of the rows with product `given` that also hold `product`; 0 where `given` is -1."""
    out = np.zeros(len(given))
    asked = np.flatnonzero(given >= 0)
    pairs, place = np.unique(given[asked] * rows.shape[1] + product[asked], return_inverse=True)
    left, right = pairs // rows.shape[1], pairs % rows.shape[1]
    by_product = rows.tocsc()
    held = np.diff(by_product.indptr)
    both = np.concatenate(
        [_overlap(by_product, left[i : i + 5000], right[i : i + 5000]) for i in range(0, len(pairs), 5000)] or [np.zeros(0)]
    )
    out[asked] = (both / np.maximum(held[left], 1))[place]
    return out


def _overlap(by_product: sparse.csc_matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(by_product[:, left].multiply(by_product[:, right]).sum(axis=0)).ravel()
