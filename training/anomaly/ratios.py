"""How strange a ratio is (money a unit, units a line, lines a basket): its log against where the series' log ratio lay
before, with an envelope, because a promotion price that was seen before is no error."""

from __future__ import annotations

import numpy as np

#: smallest spread of a log ratio that is taken seriously: 3 %
_FLOOR = 0.03
#: a log ratio that cannot be computed because one side is 0 lies this far out: a factor of 20
_BROKEN = 3.0
_KEEP, _ENVELOPE_KEEP = 0.95, 0.995


def log_ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """log(top / bottom); NaN where both are 0 or one is unknown, +-inf where only one is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(top) - np.log(bottom)


def ratio_surprise(value: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(strangeness, usual): how far each cell of log ratios (n, T) lies outside what its series showed before, in powers of
    ten of a t-like tail, signed by direction; and the usual log ratio it is held against. A move that the product's
    other stores make the same day (a price change) is not strange."""
    n, periods = value.shape
    out, usual = np.zeros((n, periods), dtype=np.float32), np.full((n, periods), np.nan, dtype=np.float32)
    state = _Ratio(n)
    for t in range(periods):
        out[:, t], usual[:, t] = state.step(value[:, t].astype(float), product)
    return out, usual


class _Ratio:
    """Centre, spread and envelope of every series' log ratio so far."""

    def __init__(self, n: int) -> None:
        self.count = np.zeros(n)
        self.centre, self.spread = np.zeros(n), np.full(n, 0.1)
        self.low, self.high = np.zeros(n), np.zeros(n)

    def step(self, v: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Strangeness and usual value of a day; then learn from it."""
        begun = self.count > 0
        # money without units, or units without money, is strange beside what was seen, and nothing to begin with
        seen = ~np.isnan(v) & (begun | np.isfinite(v))
        v = np.where(np.isposinf(v), self.centre + _BROKEN, np.where(np.isneginf(v), self.centre - _BROKEN, v))
        move = np.where(seen & begun, v - self.centre, 0.0)
        usual = np.where(begun, self.centre, np.nan)
        shared = _shared_move(move, seen & begun, product)
        left = np.where(np.sign(shared) == np.sign(move), np.sign(move) * np.maximum(np.abs(move) - np.abs(shared), 0), move)
        outside = np.maximum(np.maximum(v - self.high, self.low - v), 0)
        outside = np.minimum(outside, np.abs(left))
        # three days teach little about the spread: the fewer seen, the wider
        scale = np.maximum(self.spread, _FLOOR) * (1 + 2.0 / np.maximum(self.count, 1)) + 0.0
        z = 0.75 * outside / scale + 0.25 * np.abs(left) / scale
        powers = np.where(seen & begun & (self.count >= 3), 1.5 * np.log10(1 + z**2), 0.0) * np.sign(left)
        self._learn(v, seen, begun, move, np.abs(powers) > 3.0)
        return powers, usual

    def _learn(self, v: np.ndarray, seen: np.ndarray, begun: np.ndarray, move: np.ndarray, strange: np.ndarray) -> None:
        first = seen & ~begun
        pace = np.maximum(1 - _KEEP, 1.0 / (self.count + 1))
        trusted = np.clip(move, -4 * np.maximum(self.spread, _FLOOR), 4 * np.maximum(self.spread, _FLOOR))
        self.spread = np.where(seen & begun, self.spread + pace * (1.25 * np.abs(trusted) - self.spread), self.spread)
        self.centre = np.where(first, v, np.where(seen, self.centre + pace * trusted, self.centre))
        # the envelope follows what was believed, and forgets slowly
        believed = seen & ~strange
        high = np.maximum(v, self.centre + (self.high - self.centre) * _ENVELOPE_KEEP)
        low = np.minimum(v, self.centre + (self.low - self.centre) * _ENVELOPE_KEEP)
        self.high = np.where(first, v, np.where(believed, high, self.high))
        self.low = np.where(first, v, np.where(believed, low, self.low))
        self.count = self.count + seen


def _shared_move(move: np.ndarray, seen: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Mean move of the product's other stores that day, 0 where fewer than two others say so."""
    groups = int(product.max(initial=0)) + 1
    count = np.bincount(product, weights=seen, minlength=groups)[product] - seen
    clipped = np.where(seen, np.clip(move, -1, 1), 0)
    total = np.bincount(product, weights=clipped, minlength=groups)[product] - clipped
    return np.where(count >= 2, total / np.maximum(count, 1), 0.0)
