"""The slow-mover model that serves: a score in plain arrays, calibrated by a line on its log odds, and the action. No Spark."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from training.slow_mover.actions import decide
from training.slow_mover.card import HORIZON
from training.slow_mover.closed_form import BetaGeometric
from training.trees import TreeEnsemble

#: features made of others, so that a linear model can use them too
DERIVED = ("late", "log_days_since_sale", "log_sale_days_91", "log_units_91")
#: the feature that is 0 where a store was closed all the while: no model is asked there, nothing will sell
SHUT = f"open_days_{HORIZON}"
#: what a missing feature is filled with, as in training.tabular
FILL = -1.0


class Scorer(Protocol):
    """Chance of no sale before calibration."""

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """(m,) chances, from the card's features and DERIVED."""
        ...

    def save(self, folder: Path) -> None:
        """Write files into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read what `save` wrote."""
        ...


def derived(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with DERIVED; Spark's examples carry the same expressions (a test holds the two equal)."""
    since = frame["days_since_sale"].astype(float)
    return frame.assign(
        late=since / frame["sale_gap_days"].astype(float).clip(lower=1.0), log_days_since_sale=np.log1p(since),
        log_sale_days_91=np.log1p(frame["sale_days_91"].astype(float)), log_units_91=np.log1p(frame["units_91"].astype(float)),
    )  # fmt: skip


@dataclass(frozen=True)
class TreesScorer:
    """A pyspark.ml tree classifier over `features`."""

    trees: TreeEnsemble
    features: tuple[str, ...]

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """Class shares or the logistic link."""
        return self.trees.predict(_matrix(frame, self.features))

    def save(self, folder: Path) -> None:
        """Write `trees.npz` and `scorer.json`."""
        self.trees.save(folder)
        (folder / "scorer.json").write_text(json.dumps({"features": self.features}))

    @classmethod
    def load(cls, folder: Path) -> TreesScorer:
        """Read what `save` wrote."""
        return cls(TreeEnsemble.load(folder), tuple(json.loads((folder / "scorer.json").read_text())["features"]))


@dataclass(frozen=True)
class LinearScorer:
    """A logistic regression over `features`."""

    coefficients: tuple[float, ...]
    intercept: float
    features: tuple[str, ...]

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """The logistic of the linear score."""
        return _logistic(_matrix(frame, self.features) @ np.array(self.coefficients) + self.intercept)

    def save(self, folder: Path) -> None:
        """Write `scorer.json`."""
        (folder / "scorer.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> LinearScorer:
        """Read what `save` wrote."""
        said = json.loads((folder / "scorer.json").read_text())
        return cls(tuple(said["coefficients"]), said["intercept"], tuple(said["features"]))


@dataclass(frozen=True)
class RecencyScorer:
    """The rule: the share of silent pairs by days since the last sale, `edges` ascending, `shares` one longer."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """The share of the bin."""
        since = frame["days_since_sale"].to_numpy(dtype=float)
        return np.array(self.shares)[np.digitize(np.nan_to_num(since, nan=np.inf), self.edges)]

    def save(self, folder: Path) -> None:
        """Write `scorer.json`."""
        (folder / "scorer.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> RecencyScorer:
        """Read what `save` wrote."""
        return cls(**{name: tuple(values) for name, values in json.loads((folder / "scorer.json").read_text()).items()})


@dataclass(frozen=True)
class ClosedFormScorer:
    """BG/NBD on the last 182 days."""

    numbers: BetaGeometric

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """See training.slow_mover.closed_form."""
        return self.numbers.no_sale(recency_frequency(frame), float(HORIZON))

    def save(self, folder: Path) -> None:
        """Write `scorer.json`."""
        (folder / "scorer.json").write_text(json.dumps(asdict(self.numbers)))

    @classmethod
    def load(cls, folder: Path) -> ClosedFormScorer:
        """Read what `save` wrote."""
        return cls(BetaGeometric(**json.loads((folder / "scorer.json").read_text())))


def recency_frequency(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns `recency, age, sales` of the last 182 days, from the card's features."""
    age = np.clip(np.nan_to_num(frame["age_days"].to_numpy(dtype=float)), 1.0, 182.0)
    recency = np.minimum(np.nan_to_num(frame["days_since_sale"].to_numpy(dtype=float), nan=182.0), age)
    return pd.DataFrame({"recency": recency, "age": age, "sales": np.nan_to_num(frame["sale_days_182"].to_numpy(dtype=float))})


_SCORERS: dict[str, Any] = {kind.__name__: kind for kind in (TreesScorer, LinearScorer, RecencyScorer, ClosedFormScorer)}


@dataclass(frozen=True)
class SlowMoverModel:
    """See training.portable.Portable. The calibrated log odds are `offset` + `slope` x the scorer's."""

    scorer: Scorer
    slope: float = 1.0
    offset: float = 0.0

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """(m,) calibrated chance of no sale within HORIZON days."""
        return calibrated(self.scorer.probability(derived(frame)), self.slope, self.offset)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row an item: `item, probability, action, why`."""
        rows = frame.reset_index(drop=True)
        shut = rows[SHUT].eq(0).to_numpy() if SHUT in rows else np.zeros(len(rows), dtype=bool)
        probability = np.where(shut, 1.0, self.probability(rows))
        known = pd.DataFrame({"probability": probability, "recency": rows["days_since_sale"].fillna(rows["age_days"]), "shut": shut})
        renamed = {"age": "age_days", "gap": "sale_gap_days", "sales_91": "sale_days_91", "units_91": "units_91", "on_hand": "on_hand",
                   "unit_cost": "unit_cost", "price": "shelf_price", "product_others": "product_others"}  # fmt: skip
        for name, source in renamed.items():
            if source in rows:
                known[name] = rows[source].astype(float)
        return pd.concat([pd.DataFrame({"item": np.arange(len(rows)), "probability": probability}), decide(known, HORIZON)], axis=1)

    def save(self, folder: Path) -> None:
        """Write the scorer's files and `slow_mover.json`."""
        self.scorer.save(Path(folder))
        said = {"scorer": type(self.scorer).__name__, "slope": self.slope, "offset": self.offset}
        (Path(folder) / "slow_mover.json").write_text(json.dumps(said))

    @classmethod
    def load(cls, folder: Path) -> SlowMoverModel:
        """Read what `save` wrote."""
        said = json.loads((Path(folder) / "slow_mover.json").read_text())
        return cls(_SCORERS[said["scorer"]].load(Path(folder)), said["slope"], said["offset"])


def calibrated(probability: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """Platt's line on the log odds (Platt 1999)."""
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return _logistic(offset + slope * np.log(clipped / (1 - clipped)))


def _logistic(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def _matrix(frame: pd.DataFrame, features: tuple[str, ...]) -> np.ndarray:
    return np.nan_to_num(frame[list(features)].to_numpy(dtype=float), nan=FILL)
