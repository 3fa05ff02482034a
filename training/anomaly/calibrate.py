"""From a raw strangeness to how rare it was: -log10 of the share of earlier cells at least as strange, by volume."""

from __future__ import annotations

import numpy as np

#: scores are counted in steps of this size up to `_TOP`
_STEP, _TOP = 0.05, 60.0
#: the model's own tail counts as this many observed cells
_PRIOR_CELLS = 3000.0
#: days between two looks at the past
_BLOCK = 7
#: share of the counts kept from block to block (half is forgotten in 34 weeks)
_KEEP = 0.98
#: powers of ten by which the past may raise what a channel's model says
SLACK = 0.5
#: rarities (powers of ten) between which the slope of the tail is read
_TRUST = (1.3, 2.4)
#: expected units a day that part slow from fast series
VOLUMES = np.array([0.3, 1.0, 3.0, 10.0])


def strata(mean: np.ndarray) -> np.ndarray:
    """The volume class 0..4 of each cell by its expected units."""
    return np.digitize(mean, VOLUMES).astype(np.int8)


def maturity(seen: np.ndarray) -> np.ndarray:
    """How much each cell counts in the calibration, 0..1: nothing in a series' first week, fully after eight."""
    return ((np.cumsum(seen, axis=1) - 7) / 49.0).clip(0, 1).astype(np.float32) * seen


def rarity(raw: np.ndarray, stratum: np.ndarray, counts: np.ndarray, slack: float = SLACK) -> np.ndarray:
    """`raw` (n, T; higher is stranger, in powers of ten) as -log10 P(at least as strange), where P is the share among the
    cells of the same stratum in earlier blocks of days, weighted by `counts`, with the model's tail as a prior. Monotone
    in `raw` within a stratum and block; a column depends on earlier columns and itself only."""
    bins = np.minimum(raw / _STEP, _TOP / _STEP).astype(np.int32)
    size, classes = int(_TOP / _STEP) + 1, int(VOLUMES.size) + 1
    model = 10.0 ** (-_STEP * np.arange(size))
    seen = np.zeros((classes, size))
    out = np.zeros(raw.shape, dtype=np.float32)
    for start in range(0, raw.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        at_least = seen[:, ::-1].cumsum(axis=1)[:, ::-1]
        share = (at_least + _PRIOR_CELLS * model) / (seen.sum(axis=1, keepdims=True) + _PRIOR_CELLS)
        powers = np.stack([_continued(-np.log10(row)) for row in share]).astype(np.float32)
        out[:, block] = powers[stratum[:, block], bins[:, block]]
        cells = stratum[:, block].astype(np.int64) * size + bins[:, block]
        seen = _KEEP * seen + np.bincount(cells.ravel(), weights=counts[:, block].ravel(), minlength=classes * size).reshape(classes, size)
    # what the model finds plain stays plain, however rarely it says even that
    return np.minimum(out, raw + slack)


def _continued(powers: np.ndarray) -> np.ndarray:
    """Rarity by bin, beyond `_TRUST` continued by the slope below it: the few strangest cells of the past may themselves
    have been anomalies, and the next like them is no less strange."""
    start, end = np.searchsorted(powers, (_TRUST[0], _TRUST[1]))
    if end >= len(powers) - 1 or end <= start:
        return powers
    slope = np.clip((powers[end] - powers[start]) / (end - start), 0.2 * _STEP, _STEP)
    return np.concatenate([powers[:end], powers[end] + slope * np.arange(len(powers) - end)])


def pooled(powers: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    """The weighted harmonic mean of the channels' probabilities, in powers of ten: dependent channels may be pooled so
    (Wilson 2019)."""
    total = sum(weights[name] * 10.0 ** np.minimum(p, 30.0).astype(np.float64) for name, p in powers.items())
    return np.log10(total / sum(weights[name] for name in powers)).clip(0).astype(np.float32)
