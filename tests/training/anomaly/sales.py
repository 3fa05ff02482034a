"""Small worlds with known behaviour, for the tests of the anomaly family."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = pd.Timestamp("2024-01-01")


def world(series: int = 40, days: int = 160, seed: int = 0, mean: float = 4.0) -> pd.DataFrame:
    """Poisson sales with a weekly profile in two stores: units, revenue, lines, baskets, returns; zeros written."""
    random = np.random.default_rng(seed)
    day = np.arange(days)
    profile = np.array([0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 0.9])[day % 7]
    levels = mean * random.lognormal(0, 0.7, size=series)
    units = random.poisson(levels[:, None] * profile)
    price = random.uniform(1, 9, size=series)
    rows = pd.MultiIndex.from_product([range(series), FIRST + pd.to_timedelta(day, "D")], names=["series", "ds"]).to_frame(index=False)
    flat = units.ravel()
    lines = random.binomial(flat, 0.8)
    return pd.DataFrame(
        {
            "store_id": "S" + (rows["series"] % 2).astype(str), "product_id": "P" + (rows["series"] // 2).astype(str), "ds": rows["ds"],
            "units": flat.astype(float), "revenue": flat * price[rows["series"]], "lines": np.maximum(lines, flat > 0).astype(float),
            "baskets": np.maximum(lines, flat > 0).astype(float), "returns": random.binomial(flat, 0.01).astype(float),
        }
    )  # fmt: skip


def at(frame: pd.DataFrame, day: int, store: str = "S0", product: str = "P3") -> pd.Series:
    """The mask of one cell."""
    return (frame["store_id"] == store) & (frame["product_id"] == product) & (frame["ds"] == FIRST + pd.Timedelta(days=day))
