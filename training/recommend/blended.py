"""The learned blend as a contender: the products' side is fitted on the driver from a bounded sample of customers, the
customers' side runs in groups of customers on the executors, by the same core as `shelfcast recommend`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from training.recommend.candidates import Market, known_at, market_at
from training.recommend.card import MOST_K
from training.recommend.contenders import Listed, newest_day, popular
from training.recommend.purchases import encode
from training.recommend.ranker import Ranker
from training.recommend.ranking import horizon_of, learned_ranker, ranked
from training.recommend.reasons import customer_reasons

if TYPE_CHECKING:
    import optuna

#: lines the driver learns from at most (whole customers, by hash), and customers of a group on an executor
MOST_LINES = 2_000_000
GROUP = 2000

_LINES = ("customer_id", "basket_id", "product_id", "ds", "units")
_SCHEMA = "customer_id string, product_id string, score double, why string"


@dataclass(frozen=True)
class Blend:
    """What a group of customers is ranked with: products' numbers, market, ranker; days from 1970-01-01. `share` of all customers
    made the market."""

    products: np.ndarray
    market: Market
    ranker: Ranker
    horizon: int
    last_day: int
    share: float = 1.0

    def lists(self, lines: pd.DataFrame) -> pd.DataFrame:
        """`customer_id, product_id, score, why` of the customers of `lines`, MOST_K each."""
        past = encode(lines, self.products, self.last_day)
        if not len(past.day):
            return pd.DataFrame({"customer_id": [], "product_id": [], "score": [], "why": []})
        known = known_at(past, self.horizon, self.market)
        found = ranked(known, self.ranker, np.arange(len(past.customers)), MOST_K, False)
        why = customer_reasons(known, found, self.share)
        return pd.DataFrame(
            {"customer_id": past.customers[found.group], "product_id": past.products[found.product], "score": found.score, "why": why}
        )


@dataclass
class Blended:
    """Habits, tastes and popularity ranked by what earlier windows taught."""

    name: str = "blended"
    baseline: bool = False

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {}

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Listed:
        blend = learn_blend(train)
        groups = max(1, -(-train.select("customer_id").distinct().count() // GROUP))

        def lists(customers: DataFrame) -> DataFrame:
            asked = train.select(*_LINES).join(customers, "customer_id", "left_semi")
            group = F.pmod(F.xxhash64("customer_id"), F.lit(groups))
            return asked.groupBy(group.alias("_group")).applyInPandas(lambda lines: _group_lists(blend, lines), _SCHEMA)

        return Listed(self.name, train, newest_day(train), popular(train), lists)


def learn_blend(train: DataFrame) -> Blend:
    """Fit market and ranker on all lines, or on those of a sample of customers when they are more than MOST_LINES."""
    parts = max(1, int(10_000 * min(1.0, MOST_LINES / max(train.count(), 1))))
    sampled = train.where(F.pmod(F.xxhash64(F.coalesce("customer_id", "basket_id")), F.lit(10_000)) < parts)
    lines = sampled.select(*_LINES).toPandas()
    past = encode(lines.astype({"ds": "datetime64[ns]"}))
    horizon = horizon_of(past)
    return Blend(
        past.products, market_at(past, horizon), learned_ranker(past, novel=False, origins=1), horizon, past.last_day, parts / 10_000
    )


def _group_lists(blend: Blend, lines: pd.DataFrame) -> pd.DataFrame:
    return blend.lists(lines.astype({"ds": "datetime64[ns]"}))
