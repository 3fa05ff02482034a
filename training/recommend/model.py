"""The portable recommender: each known customer's ranked products, what sells, and what goes with what, in plain
arrays. Its size is bounded by customers x listed products."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.recommend.card import DEFAULT_K, MOST_K

_LISTS, _NEIGHBOURS, _META = "lists.parquet", "neighbours.parquet", "meta.json"


@dataclass(frozen=True)
class RecommendModel:
    """`lists`: customer_id, product_id, score, why, best first within a customer; customer "" is everyone else.
    `neighbours`: product_id, other_id, share (of the product's baskets that hold the other), best first within a
    product. `origin`: the last day known, ISO; `recipe` and `params`: the contender that made the lists."""

    lists: pd.DataFrame
    neighbours: pd.DataFrame
    origin: str
    recipe: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`item, rank, product_id, score, why` of requests `customer_id?, k?, basket?` (nobody's: what sells); a product in the
        basket is never recommended, and its companions rise: score = 1 - (1 - own)(1 - share)... over the basket's products.
        Raises BadInput for a k beyond the MOST_K that are stored."""
        answers = [self._answer(item, row) for item, row in enumerate(frame.to_dict("records"))]
        names = ["item", "rank", "product_id", "score", "why"]
        rows = [row for answer in answers for row in answer]
        return pd.DataFrame(rows, columns=names).astype({"item": "int64", "rank": "int64", "score": "float64"})

    def save(self, folder: Path) -> None:
        """Two parquet files and the origin."""
        self.lists.to_parquet(folder / _LISTS, index=False)
        self.neighbours.to_parquet(folder / _NEIGHBOURS, index=False)
        (folder / _META).write_text(json.dumps({"origin": self.origin, "recipe": self.recipe, "params": dict(self.params)}))

    @classmethod
    def load(cls, folder: Path) -> RecommendModel:
        """Read what `save` wrote."""
        meta = json.loads((folder / _META).read_text())
        return cls(pd.read_parquet(folder / _LISTS), pd.read_parquet(folder / _NEIGHBOURS), meta["origin"], meta["recipe"], meta["params"])

    @cached_property
    def customers(self) -> Collection[str]:
        """The customers who have a list of their own."""
        return self._own.keys() - {""}

    @cached_property
    def _own(self) -> dict[str, slice]:
        return _runs(self.lists["customer_id"].to_numpy())

    @cached_property
    def _with(self) -> dict[str, slice]:
        return _runs(self.neighbours["product_id"].to_numpy())

    def _answer(self, item: int, row: Mapping[Any, Any]) -> list[tuple[int, int, str, float, str]]:
        basket = list(dict.fromkeys(str(p) for p in _listed(row.get("basket"))))
        wanted = _wanted(row.get("k"))
        found = self._scored(_known(row.get("customer_id")), basket)
        best = sorted(found.items(), key=lambda pair: -pair[1][0])[:wanted]
        return [(item, rank, product, score, why) for rank, (product, (score, why)) in enumerate(best, start=1)]

    def _scored(self, customer: str, basket: list[str]) -> dict[str, tuple[float, str]]:
        """Score and reason of each product that may be recommended, in the order of the customer's own list."""
        own = self.lists.iloc[self._own.get(customer, self._own.get("", slice(0, 0)))]
        found = {p: (float(s), w) for p, s, w in zip(own["product_id"], own["score"], own["why"], strict=True)}
        for held in basket:
            near = self.neighbours.iloc[self._with.get(held, slice(0, 0))]
            for other, share in zip(near["other_id"], near["share"], strict=True):
                score, why = found.get(other, (0.0, ""))
                said = f"bought with {held} in {share:.0%} of its baskets"
                found[other] = (1.0 - (1.0 - score) * (1.0 - float(share)), said if float(share) > score else why)
        return {product: value for product, value in found.items() if product not in basket}


def _known(customer: Any) -> str:
    return "" if customer is None or pd.isna(customer) else str(customer)


def _wanted(k: Any) -> int:
    if k is None or pd.isna(k):
        return DEFAULT_K
    if not 1 <= k <= MOST_K:
        raise BadInput(f"k is {k:g}: expected a whole number from 1 to {MOST_K}")
    return int(k)


def _listed(basket: Any) -> Iterable[Any]:
    return basket if isinstance(basket, (list, tuple, np.ndarray)) else ()


def _runs(keys: np.ndarray) -> dict[str, slice]:
    """Where each key's rows lie, rows of a key being neighbours."""
    if not len(keys):
        return {}
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return {str(keys[low]): slice(int(low), int(high)) for low, high in zip(starts, [*starts[1:], len(keys)], strict=True)}
