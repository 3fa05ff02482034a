"""A small made-up shop whose habits are known: every customer has five favourites bought on their own cycle, product
`bread` always goes with `butter`, and one product sells to everyone."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = pd.Timestamp("2024-01-01")


def lines(customers: int = 60, days: int = 150, seed: int = 1, products: int = 60) -> pd.DataFrame:
    """Basket lines `customer_id, basket_id, product_id, ds, units`."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        favourites = rng.choice(products, 5, replace=False)
        cycle = rng.integers(7, 30, 5)
        for day in range(int(rng.integers(0, 4)), days, int(rng.integers(3, 7))):
            held = {f"p{p:02d}" for p, every in zip(favourites, cycle, strict=True) if rng.random() < 4 / every}
            held |= {f"p{p:02d}" for p in rng.choice(products, 1)} | ({"milk"} if rng.random() < 0.3 else set())
            if rng.random() < 0.25:
                held |= {"bread", "butter"}
            rows += [(f"c{customer:02d}", f"b{customer}-{day}", product, FIRST + pd.Timedelta(days=day), 1.0) for product in sorted(held)]
    return pd.DataFrame(rows, columns=["customer_id", "basket_id", "product_id", "ds", "units"])


def split(frame: pd.DataFrame, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines before the last `days` days, and those of them."""
    origin = frame["ds"].max() - pd.Timedelta(days=days)
    return frame[frame["ds"] <= origin], frame[frame["ds"] > origin]
