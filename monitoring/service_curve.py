"""What more service would cost in stock, today: the curve of the stock champion over all pairs and the largest categories."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from data_ingest.tables import PRODUCTS
from feature_repo.definitions import service_features
from feature_repo.tables import DEMAND_FEATURES, STOCK_FEATURES
from infra.lake import Lake
from training.portable import load_portable
from training.stock.curve import curve_of
from training.stock.model import StockModel

#: pairs that the curve is of, at most, and categories that have a line of their own
MOST_PAIRS, CATEGORIES = 20_000, 4
#: the family whose decisions are orders
ORDERING = "stock"
_PAIR = ["store_id", "product_id"]


def service_curve(lake: Lake, champion: Path, day: date, seed: int) -> pd.DataFrame:
    """Rows `group, service_level, stock_value, fill_rate` (training.stock.curve) of the pairs with features on `day`, by the
    model in the folder `champion`; of a part of them where there are more than MOST_PAIRS, and then in proportion."""
    model = load_portable(champion)
    assert isinstance(model, StockModel)
    features = _features(lake, day)
    share = min(MOST_PAIRS / max(len(features), 1), 1.0)
    some = features if share == 1.0 else features.sample(MOST_PAIRS, random_state=seed).reset_index(drop=True)
    if some.empty:
        return pd.DataFrame(columns=["group", "service_level", "stock_value", "fill_rate"])
    found = curve_of(model, some, _categories(lake, some).to_numpy())
    named = found[found["group"] != ""]
    return named.assign(stock_value=named["stock_value"] / share).reset_index(drop=True)


def _features(lake: Lake, day: date) -> pd.DataFrame:
    names = service_features("stock_v1")
    parts = []
    for table in (STOCK_FEATURES, DEMAND_FEATURES):
        own = [name for name in table.names if name in {*_PAIR, *names}]
        parts.append(lake.read_pandas(table, own, filters=[("ds", "=", day)]))
    return parts[0].merge(parts[1].drop(columns=[c for c in parts[1] if c in parts[0] and c not in _PAIR]), on=_PAIR)


def _categories(lake: Lake, pairs: pd.DataFrame) -> pd.Series:
    """The category of each pair where it is one of those with most pairs, else ''."""
    if not lake.exists(PRODUCTS):
        return pd.Series("", index=pairs.index)
    known = lake.read_pandas(PRODUCTS, ["product_id", "category"]).dropna().set_index("product_id")["category"]
    own = pairs["product_id"].map(known)
    return own.where(own.isin(own.value_counts().index[:CATEGORIES]), "").fillna("")
