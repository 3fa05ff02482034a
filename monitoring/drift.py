"""Drift of columns between two samples: named distances, with thresholds that the noise of the sample size cannot reach.

A distance between two samples of the *same* distribution is never 0, and its size depends on the sample size, the tail
and the number of columns watched. So each threshold is the larger of what matters in practice and what chance does: rows
are shuffled between the samples, and the highest distance that any column shows by chance alone is the floor (the max-T
permutation of Westfall and Young, 1993, which corrects for many columns, correlated or not)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: rows of each sample: fixed, since every distance depends on it
SAMPLE_ROWS = 2_000
#: below this many known values a column is not judged
FEWEST_ROWS = 50
#: shuffles; the chance of any false alarm in a family is below 1 / (shuffles + 1)
SHUFFLES = 199
#: the floor lies this much above the worst that the shuffles showed
MARGIN = 1.15
#: distances that matter in practice, by method: a tenth of a standard deviation; a tenth of the way from equal to apart
PRACTICAL = {"wasserstein": 0.1, "jensenshannon": 0.1}
#: categories kept; rarer ones are pooled
CATEGORIES_AT_MOST = 30
POOLED = "(other)"
MISSING = " is missing"


#: the method of a column of which hardly a row came any more
SILENT = "too few rows"


@dataclass(frozen=True)
class ColumnDrift:
    """A column's verdict: `statistic` is the distance by `method`, drifted at or above `threshold`; `n` rows a sample."""

    column: str
    method: str
    statistic: float
    threshold: float
    n: int

    @property
    def drifted(self) -> bool:
        """Whether the distance reaches the threshold."""
        return self.statistic >= self.threshold


def silenced(column: str, rows: int) -> ColumnDrift:
    """The verdict on a column of a table that had enough rows and has too few `rows` now: as far apart as can be."""
    return ColumnDrift(column, SILENT, 1.0, 1.0, rows)


def prepared(reference: pd.DataFrame, current: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both samples with numbers as floats, everything else as text with rare categories pooled, and a column
    `<name> is missing` (yes/no) for each column that has gaps in either."""
    out: list[dict[str, pd.Series]] = [{}, {}]
    for name in columns:
        pair = [frame[name].reset_index(drop=True) for frame in (reference, current)]
        if any(values.isna().any() for values in pair):
            for side, values in zip(out, pair, strict=True):
                side[name + MISSING] = values.isna().map({True: "yes", False: "no"})
        numeric = all(pd.api.types.is_numeric_dtype(v) and not pd.api.types.is_bool_dtype(v) for v in pair)
        for side, values in zip(out, _numbers(pair) if numeric else _categories(pair), strict=True):
            side[name] = values
    return pd.DataFrame(out[0]), pd.DataFrame(out[1])


def compare(reference: pd.DataFrame, current: pd.DataFrame, *, seed: int = 0, practical: float = 1.0) -> list[ColumnDrift]:
    """A verdict for each column of two prepared samples; `practical` scales the distances that matter."""
    rng = np.random.default_rng(seed)
    columns = [name for name in reference.columns if min(reference[name].notna().sum(), current[name].notna().sum()) >= FEWEST_ROWS]
    if not columns:
        return []
    shuffled = _shuffles(len(reference), len(current), rng)
    found = [_distances(reference[name], current[name], shuffled) for name in columns]
    usual = [max(float(np.quantile(chance, 0.95)), 1e-12) for _, _, chance in found]
    # how many times its usual noise the noisiest column reaches, shuffle by shuffle
    worst = float(np.max([np.max(chance / level) for (_, _, chance), level in zip(found, usual, strict=True)]))
    return [
        ColumnDrift(name, method, statistic, float(max(PRACTICAL[method] * practical, MARGIN * worst * level)), len(current))
        for name, (method, statistic, _), level in zip(columns, found, usual, strict=True)
    ]


def wasserstein(values: np.ndarray, is_reference: np.ndarray) -> np.ndarray:
    """First Wasserstein distance over the reference's standard deviation (Evidently's `wasserstein`) of the split of
    `values` (N,) by each row of `is_reference` (B, N); returns (B,)."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    steps = np.flatnonzero(gaps)
    counts = is_reference.sum(axis=1, keepdims=True).astype(np.float64)
    first = np.cumsum(is_reference[:, order], axis=1, dtype=np.int32)[:, steps]
    apart = np.abs(first / counts - (steps + 1 - first) / (values.size - counts))
    distance = apart @ gaps[steps]
    labels = is_reference.astype(np.float64)
    centred = values - values.mean()
    mean = labels @ centred / counts[:, 0]
    spread = np.sqrt(np.maximum(labels @ centred**2 / counts[:, 0] - mean**2, 0))
    # half the spread of both, which no shuffle changes, at least: of a few odd rows a shuffle may leave the reference none, and its
    # distance over next to nothing would raise every column's threshold
    return distance / np.maximum(np.maximum(spread, values.std() / 2), 0.001)


def jensenshannon(codes: np.ndarray, is_reference: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance (natural logarithm, as Evidently's) of the categories `codes` (N,) by each row of
    `is_reference` (B, N); returns (B,)."""
    kinds = np.eye(codes.max() + 1)[codes]
    first = is_reference.astype(np.float64) @ kinds
    second = kinds.sum(axis=0) - first
    p, q = first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)
    middle = (p + q) / 2
    return np.sqrt(np.maximum((_relative(p, middle) + _relative(q, middle)) / 2, 0))


def _relative(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    safe = np.where(p > 0, p, 1.0)
    return np.where(p > 0, p * np.log(safe / np.where(q > 0, q, 1.0)), 0.0).sum(axis=1)


def _distances(reference: pd.Series, current: pd.Series, shuffled: np.ndarray) -> tuple[str, float, np.ndarray]:
    """Method, distance of the samples, and distances (B,) under each shuffle; missing values are left out of both."""
    pooled = pd.concat([reference, current], ignore_index=True)
    known = pooled.notna().to_numpy()
    real = np.arange(len(pooled)) < len(reference)
    splits = np.vstack([real, shuffled])[:, known]
    if pd.api.types.is_numeric_dtype(pooled):
        all_distances = wasserstein(pooled[known].to_numpy(np.float64), splits)
        return "wasserstein", float(all_distances[0]), all_distances[1:]
    all_distances = jensenshannon(pd.factorize(pooled[known])[0], splits)
    return "jensenshannon", float(all_distances[0]), all_distances[1:]


def _shuffles(first: int, second: int, rng: np.random.Generator) -> np.ndarray:
    labels = np.arange(first + second) < first
    return rng.permuted(np.broadcast_to(labels, (SHUFFLES, labels.size)), axis=1)


def _numbers(pair: list[pd.Series]) -> list[pd.Series]:
    return [values.astype("float64").replace([np.inf, -np.inf], np.nan) for values in pair]


def _categories(pair: list[pd.Series]) -> list[pd.Series]:
    texts = [values.astype(object).where(values.notna(), None).map(lambda v: None if v is None else str(v)) for values in pair]
    kept = set(pd.concat(texts).value_counts().index[:CATEGORIES_AT_MOST])
    return [text.map(lambda v: v if v is None or v in kept else POOLED).astype(object) for text in texts]
