"""How far a portable model is from the Spark model that it was exported from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def largest_gap(portable: ArrayLike, spark: ArrayLike, floor: float = 1e-3) -> float:
    """max |portable - spark| / max(|spark|, floor) over rows; 0 where there are none, infinite where only one is a number."""
    mine, theirs = np.asarray(portable, dtype=float), np.asarray(spark, dtype=float)
    gap = np.abs(mine - theirs) / np.maximum(np.abs(theirs), floor)
    gap = np.where(np.isnan(mine) & np.isnan(theirs), 0.0, np.where(np.isnan(gap), np.inf, gap))
    return float(np.max(gap, initial=0.0))
