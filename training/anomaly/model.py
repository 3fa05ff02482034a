"""The anomaly model that serves: a ranking of days by their channels, and how rare each rank was. Plain arrays; no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from infra.errors import BadRows
from training.anomaly.day import CHANNELS, KINDS, channels, expected_units, spread_of
from training.anomaly.surprise import interval

#: features older than so many days say nothing about today
FRESH_DAYS = 7
#: one false alert a thousand days of a pair is what an alert may cost
ALERT_AT = 3.0
#: a score that no training day reached grows on by its raw excess up to here
_TOP = 9.0
#: a day that nothing finds strange has no kind
_WORTH_WORDS = 1.5


class Ranking(Protocol):
    """Orders days by strangeness."""

    def raw(self, found: pd.DataFrame) -> np.ndarray:
        """(m,) strangeness of rows of CHANNELS and `z`; only the order matters."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What it learned."""
        ...


@dataclass(frozen=True)
class Bands:
    """Residual bands: how many standard deviations the units are off."""

    def raw(self, found: pd.DataFrame) -> np.ndarray:
        """|z|."""
        return np.abs(found["z"].to_numpy(dtype=float))

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Tails:
    """Each channel's power as rare as it was in training (`tails`: (channels, 400) sorted upper tails, `rows` behind them),
    pooled by the harmonic mean of the probabilities."""

    tails: np.ndarray
    shares: np.ndarray

    def raw(self, found: pd.DataFrame) -> np.ndarray:
        """Pooled powers of ten."""
        powers = found[list(CHANNELS)].to_numpy(dtype=float)
        rare = np.column_stack([rarity(powers[:, at], self.tails[at], self.shares) for at in range(len(CHANNELS))])
        # a channel's model caps what its rank among training days may claim
        return np.log10((10.0 ** np.minimum(rare, powers + 0.5)).mean(axis=1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Upper tails."""
        return {"tails": self.tails, "shares": self.shares}


@dataclass(frozen=True)
class Centres:
    """Distance to the nearest of (k, channels) `centres` of the channels divided by `scale`."""

    centres: np.ndarray
    scale: np.ndarray

    def raw(self, found: pd.DataFrame) -> np.ndarray:
        """Euclidean distance."""
        return self.distances(found).min(axis=1)

    def distances(self, found: pd.DataFrame) -> np.ndarray:
        """(m, k) distances to all centres."""
        at = found[list(CHANNELS)].to_numpy(dtype=float) / self.scale
        return np.sqrt(((at[:, None, :] - self.centres[None]) ** 2).sum(axis=2))

    def arrays(self) -> dict[str, np.ndarray]:
        """Centres and scale."""
        return {"centres": self.centres, "scale": self.scale}


_RANKINGS = {kind.__name__: kind for kind in (Bands, Tails, Centres)}


@dataclass(frozen=True)
class AnomalyModel:
    """See training.portable.Portable. `tail` (q,) and `shares` (q,) say how often training days were at least so strange."""

    ranking: Ranking
    tail: np.ndarray
    shares: np.ndarray

    def score(self, found: pd.DataFrame) -> np.ndarray:
        """(m,) -log10 of how often training days were at least as strange."""
        return np.minimum(rarity(self.ranking.raw(found), self.tail, self.shares), _TOP)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row an item: `item, score, alert, kind, expected_units, why`. Where `known_at` says from when on an item's
        features were known, raises BadInput for a day before that or more than FRESH_DAYS after it."""
        rows = frame.reset_index(drop=True)
        if "known_at" in rows:
            _require_fresh(rows)
        found = channels(rows)
        score = self.score(found)
        strongest = found[list(CHANNELS)].to_numpy().argmax(axis=1)
        kind = np.where(score >= _WORTH_WORDS, np.array([KINDS[c] for c in CHANNELS], dtype=object)[strongest], "")
        return pd.DataFrame(
            {
                "item": np.arange(len(rows)), "score": np.round(score, 4), "alert": score >= ALERT_AT, "kind": kind,
                "expected_units": np.round(expected_units(rows), 4), "why": _reasons(rows, score, kind),
            }
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write `anomaly.npz`."""
        learned = {f"ranking_{name}": values for name, values in self.ranking.arrays().items()}
        np.savez(Path(folder) / "anomaly.npz", kind=type(self.ranking).__name__, tail=self.tail, shares=self.shares, **learned)  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> AnomalyModel:
        """Read what `save` wrote."""
        with np.load(Path(folder) / "anomaly.npz") as arrays:
            learned = {name.removeprefix("ranking_"): arrays[name] for name in arrays.files if name.startswith("ranking_")}
            return cls(_RANKINGS[str(arrays["kind"])](**learned), arrays["tail"], arrays["shares"])


def _require_fresh(rows: pd.DataFrame) -> None:
    day, known = (pd.to_datetime(rows[name]).dt.normalize() for name in ("ds", "known_at"))
    stale = ~(day - known).dt.days.between(0, FRESH_DAYS - 1)
    if stale.any():
        raise BadRows({
            int(at): f"ds is {day[at]:%Y-%m-%d}: expected {known[at]:%Y-%m-%d}, from when on the newest features of the pair are known, "
            f"or one of the {FRESH_DAYS - 1} days after it."
            for at in np.flatnonzero(stale.to_numpy())
        })  # fmt: skip


def upper_tail(values: np.ndarray, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """(tail, shares): ascending values and the share of `values` at least as high, dense where it is rare."""
    ordered = np.sort(values)
    shares = np.geomspace(1.0, 1.0 / max(len(ordered), 1), points)
    at = np.clip(np.ceil(len(ordered) * (1 - shares)).astype(int), 0, max(len(ordered) - 1, 0))
    return ordered[at], shares


def rarity(values: np.ndarray, tail: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """-log10 of the share of training values at least as high; above all of them it grows on by the relative excess."""
    at = np.searchsorted(tail, values, side="left")
    inside = -np.log10(shares[np.minimum(at, len(shares) - 1)])
    top = max(float(tail[-1]), 1e-9)
    return inside + np.where(values > top, np.log10(np.maximum(values, top) / top) * 2.0, 0.0)


def _reasons(rows: pd.DataFrame, score: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """A sentence with the numbers for each row."""
    mean = expected_units(rows)
    low, high = interval(mean, spread_of(rows))
    out = np.full(len(rows), "as expected", dtype=object)
    for i in np.nonzero(kind != "")[0]:
        out[i] = f"{_said(rows.iloc[i], str(kind[i]), mean[i], low[i], high[i])}: 1 in {10 ** min(score[i], 9):,.0f} days"
    return out


def _said(row: pd.Series, kind: str, mean: float, low: float, high: float) -> str:
    if kind == "price":
        paid = f"{row['revenue'] / row['units']:.2f} a unit" if row["units"] > 0 else f"{row['revenue']:.2f} without a unit"
        return f"paid {paid}, price {row['price']:.2f}"
    if kind == "feed":
        return f"{row['lines']:g} lines in {row['baskets']:g} baskets"
    if kind == "returns":
        return f"{row['returns']:g} units returned on a day that sold {row['units']:g}"
    silent = kind == "drop" and row["units"] == 0 and row["days_in_stock_since_sale"] > 0
    quiet = f", nothing for {row['days_in_stock_since_sale'] + 1:.0f} days" if silent else ""
    return f"sold {row['units']:g}{quiet}, expected {mean:.2g} ({low:.0f}-{high:.0f})"
