"""Sales of products that die at a known rate, for the tests of the slow-mover family."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = pd.Timestamp("2023-01-02")


def world(products: int = 300, days: int = 420, stores: int = 1, seed: int = 0) -> pd.DataFrame:
    """Only days with sales: each unit sells with its own daily chance until a day on which it dies."""
    random = np.random.default_rng(seed)
    n = products * stores
    chance = random.beta(0.7, 6.0, size=n)
    death = random.geometric(1 / 350, size=n) + 20
    sold = random.random((n, days)) < chance[:, None]
    sold &= np.arange(days)[None] < death[:, None]
    unit, day = np.nonzero(sold)
    frame = pd.DataFrame(
        {
            "product_id": [f"P{i // stores}" for i in unit],
            "ds": FIRST + pd.to_timedelta(day, "D"),
            "units": 1.0 + random.poisson(0.5, len(unit)),
        }
    )
    if stores > 1:
        frame.insert(0, "store_id", [f"S{i % stores}" for i in unit])
    return frame.assign(revenue=frame["units"] * 2.0)


def silent(history: pd.DataFrame, found: pd.DataFrame, origin: pd.Timestamp, horizon: int) -> np.ndarray:
    """What really happened: 1 where the unit sold nothing in the horizon."""
    keys = [name for name in ("store_id", "product_id") if name in found]
    later = history[(history["ds"] > origin) & (history["ds"] <= origin + pd.Timedelta(days=horizon)) & (history["units"] > 0)]
    return (~pd.MultiIndex.from_frame(found[keys]).isin(pd.MultiIndex.from_frame(later[keys]))).astype(int)
