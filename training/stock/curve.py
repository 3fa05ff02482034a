"""What service costs in stock: for a range of service levels, the money that stands on the shelves and the share of demand
served from them, summed over items or a part of them.

Order-up-to arithmetic (Silver, Pyke and Thomas, Inventory and Production Management in Supply Chains, 4th ed., ch. 6): with
S the quantile of demand over lead time and review, stock just after a delivery is E(S - D_lead)+ and just before the next
one E(S - D_lead+review)+, their mean stands on the shelf; units short in a cycle are E(D_lead+review - S)+ - E(D_lead - S)+."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.stock import grid
from training.stock.demand_distribution import Demand
from training.stock.model import StockModel, terms_of
from training.stock.terms import Terms

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)


def curve(demand: Demand, terms: Terms, groups: np.ndarray | None = None, levels: tuple[float, ...] = LEVELS) -> pd.DataFrame:
    """Rows `group, service_level, stock_value, fill_rate`: `all`, and each of `groups` (pairs,). `service_level` is the chance of
    no stockout in a cycle, `stock_value` mean stock at unit cost, `fill_rate` units served over units demanded."""
    count = len(terms.review)
    lead = np.round((terms.leads * terms.lead_share).sum(axis=1)).astype(int)
    none = np.zeros(count, int)
    whole, before = demand.total(none, lead + terms.review), demand.total(none, lead)
    width = grid.width(grid.reach(*whole))
    chance, earlier = grid.pmf(*whole, width), grid.pmf(*before, width)
    value = np.arange(grid.BUCKETS)[None, :] * width[:, None]
    wanted = np.maximum(whole[0] - before[0], 1e-12)
    named = {"all": np.ones(count, bool)} | ({} if groups is None else {str(name): groups == name for name in pd.unique(groups)})
    rows = []
    for level in levels:
        up_to = (np.cumsum(chance, axis=1) < level - 1e-12).sum(axis=1) * width
        left = np.maximum(up_to[:, None] - value, 0.0)
        after, last = (earlier * left).sum(axis=1), (chance * left).sum(axis=1)
        short = np.maximum((whole[0] - up_to + last) - (before[0] - up_to + after), 0.0)
        for name, some in named.items():
            stock = float((terms.unit_cost * (after + last) / 2)[some].sum())
            rows.append((name, level, stock, 1.0 - float(short[some].sum() / wanted[some].sum())))
    return pd.DataFrame(rows, columns=["group", "service_level", "stock_value", "fill_rate"])


def curve_of(model: StockModel, features: pd.DataFrame, groups: np.ndarray | None = None) -> pd.DataFrame:
    """The curve of pairs by their online features, a row a pair, as the model sees their demand."""
    costs = terms_of(features)
    return curve(model.expected(features, costs), costs, groups)
