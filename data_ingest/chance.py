"""Chance by hashing: a draw depends on its keys alone, never on the order or the number of other draws, so that a pair
simulated alone, in a block or in a longer run meets the same fate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    # the finaliser of splitmix64 (Steele, Lea and Flood 2014)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def keys_of(*columns: Any) -> np.ndarray:
    """A 64-bit key for each row of equally long text columns."""
    out = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        out = _mix(out * np.uint64(31) + pd.util.hash_array(np.asarray(column, dtype=object)))
    return out


def uniform(seed: int, purpose: str, *keys: Any) -> np.ndarray:
    """Uniform draws in (0, 1), one for each row of the broadcast integer `keys`; `purpose` separates independent uses."""
    salt = np.frombuffer(purpose.encode().ljust(8, b"\0")[:8], dtype=np.uint64)
    with np.errstate(over="ignore"):
        state = _mix(salt + _GOLDEN * np.uint64(seed + 1))
        for key in keys:
            state = _mix(state + _GOLDEN + np.asarray(key).astype(np.uint64))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def choose(draws: np.ndarray, values: Any, weights: Any = None) -> np.ndarray:
    """The value that each uniform draw falls on, by `weights` (equal when None)."""
    options = np.asarray(values)
    shares = np.ones(len(options)) if weights is None else np.asarray(weights, dtype=float)
    edges = np.cumsum(shares / shares.sum())
    return options[np.minimum(np.searchsorted(edges, draws, side="right"), len(options) - 1)]
