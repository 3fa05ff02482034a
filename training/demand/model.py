"""The demand model that serves: any mean predictor, blended with the profile, and a calibration that turns its mean into
quantiles. Plain arrays and XGBoost's own format; no Spark.

A mean predictor is whatever has `predict(rows) -> (m,) units`, `save(folder, name)` and `load(folder, name)`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from feature_repo.demand_features import ORIGIN_FEATURES
from training.demand.calibration import Calibration
from training.demand.card import HORIZON
from training.demand.examples import FLOOR, Rows, example_rows, spread
from training.tables import QUANTILES
from training.trees import TreeEnsemble

if TYPE_CHECKING:
    import xgboost

#: rows predicted at a time: bounds the memory of series x horizons
_ROWS = 400_000


class MeanPredictor(Protocol):
    """Mean units of example rows."""

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units, 0 or more."""
        ...

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write files that begin with `name` into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> MeanPredictor:
        """Read what `save` wrote."""
        ...


@dataclass(frozen=True)
class BoosterMean:
    """An XGBoost booster over the rows' matrix. `offset`: it was fitted with log(base) as base margin and predicts units;
    otherwise it predicts the factor units / base."""

    booster: xgboost.Booster
    offset: bool = True

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        margin = np.log(rows.base) if self.offset else None
        found = self.booster.inplace_predict(rows.matrix, base_margin=margin).astype(np.float64)
        return np.maximum(found if self.offset else found * rows.base, 0)

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>.ubj` and `<name>.json`."""
        self.booster.save_model(Path(folder) / f"{name}.ubj")
        (Path(folder) / f"{name}.json").write_text(json.dumps({"offset": self.offset}))

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> BoosterMean:
        """Read what `save` wrote."""
        import xgboost

        booster = xgboost.Booster(model_file=str(Path(folder) / f"{name}.ubj"))
        return cls(booster, **json.loads((Path(folder) / f"{name}.json").read_text()))


@dataclass(frozen=True)
class OffsetMean:
    """A booster whose offset is another forecast than the profile's."""

    offset: MeanPredictor
    boosted: BoosterMean

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return self.boosted.predict(replace(rows, base=np.maximum(self.offset.predict(rows), FLOOR)))

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write the files of both."""
        save_mean(self.offset, folder, f"{name}_offset")
        self.boosted.save(folder, f"{name}_boosted")

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> OffsetMean:
        """Read what `save` wrote."""
        return cls(load_mean(folder, f"{name}_offset"), BoosterMean.load(folder, f"{name}_boosted"))


@dataclass(frozen=True)
class MixedMean:
    """Mean predictors `parts`, each by its share; the shares sum to 1."""

    parts: tuple[MeanPredictor, ...]
    shares: tuple[float, ...]

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return sum(
            (share * part.predict(rows) for part, share in zip(self.parts, self.shares, strict=True) if share), np.zeros(len(rows.base))
        )

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>_shares.json` and the files of each part."""
        (Path(folder) / f"{name}_shares.json").write_text(json.dumps(self.shares))
        for at, part in enumerate(self.parts):
            save_mean(part, folder, f"{name}_{at}")

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> MixedMean:
        """Read what `save` wrote."""
        shares = tuple(json.loads((Path(folder) / f"{name}_shares.json").read_text()))
        return cls(tuple(load_mean(folder, f"{name}_{at}") for at in range(len(shares))), shares)


def save_mean(mean: MeanPredictor, folder: Path, name: str) -> None:
    """Write a mean predictor and, in `<name>_kind.json`, what it is."""
    kind = type(mean)
    (Path(folder) / f"{name}_kind.json").write_text(json.dumps(f"{kind.__module__}:{kind.__qualname__}"))
    mean.save(Path(folder), name)


def load_mean(folder: Path, name: str) -> MeanPredictor:
    """Read what `save_mean` wrote."""
    module, kind = json.loads((Path(folder) / f"{name}_kind.json").read_text()).split(":")
    return getattr(importlib.import_module(module), kind).load(Path(folder), name)


@dataclass(frozen=True)
class TreesMean:
    """A pyspark.ml tree ensemble that predicts the factor units / base; `fill` (K,) stands for missing features."""

    trees: TreeEnsemble
    fill: np.ndarray

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return np.maximum(self.trees.predict(filled(rows.matrix, self.fill)), 0) * rows.base

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>.npz` and `<name>_fill.npy`."""
        self.trees.save(Path(folder), name)
        np.save(Path(folder) / f"{name}_fill.npy", self.fill)

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> TreesMean:
        """Read what `save` wrote."""
        return cls(TreeEnsemble.load(Path(folder), name), np.load(Path(folder) / f"{name}_fill.npy"))


@dataclass(frozen=True)
class LinearMean:
    """A linear model of the factor units / base: `coefficients` (K,), `intercept`, and `fill` (K,) for missing features."""

    coefficients: np.ndarray
    intercept: float
    fill: np.ndarray

    def predict(self, rows: Rows) -> np.ndarray:
        """(m,) units."""
        return np.maximum(filled(rows.matrix, self.fill) @ self.coefficients + self.intercept, 0) * rows.base

    def save(self, folder: Path, name: str = "mean") -> None:
        """Write `<name>.npz`."""
        np.savez(Path(folder) / f"{name}.npz", coefficients=self.coefficients, intercept=self.intercept, fill=self.fill)

    @classmethod
    def load(cls, folder: Path, name: str = "mean") -> LinearMean:
        """Read what `save` wrote."""
        with np.load(Path(folder) / f"{name}.npz") as arrays:
            return cls(arrays["coefficients"], float(arrays["intercept"]), arrays["fill"])


def filled(matrix: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """(m, K) float64 with missing features replaced: for models that know no missing values."""
    return np.where(np.isnan(matrix), fill, matrix).astype(np.float64)


def relative_error(error: BoosterMean, rows: Rows, units: np.ndarray) -> np.ndarray:
    """(m,) expected |actual - mean| / mean of rows whose mean is `units`, by a booster whose offset is that mean."""
    around = np.maximum(units, FLOOR)
    return error.predict(replace(rows, base=around)) / around


@dataclass(frozen=True)
class DemandModel:
    """`mean` blended with the profile (`profile_share` of the mean is the profile's), calibrated. `step`: days a period.
    A card's item is `store_id, product_id, horizon` and the pair's ORIGIN_FEATURES."""

    mean: MeanPredictor
    calibration: Calibration
    profile_share: float = 0.0
    step: int = 1
    levels: Mapping[str, float] = field(default_factory=lambda: dict(QUANTILES))
    #: predicts the mean absolute error of the mean, where that was learnt; else the series' own deviation says how wild it is
    error: BoosterMean | None = None

    def units(self, rows: Rows) -> np.ndarray:
        """(m,) mean units of example rows."""
        return (1 - self.profile_share) * self.mean.predict(rows) + self.profile_share * rows.base

    def quantiles(self, rows: Rows, units: np.ndarray, horizon: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """(m, len(levels)) units around the means `units` of the same rows."""
        return self.calibration.quantiles(units, self.spread(rows, units), horizon, levels)

    def spread(self, rows: Rows, units: np.ndarray) -> np.ndarray:
        """(m,) how far the actual may lie from the mean `units`: a rank within forecasts of like size."""
        return spread(rows) if self.error is None else relative_error(self.error, rows, units)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """For item i of `frame` (its `horizon` in periods, and ORIGIN_FEATURES) the rows of horizons 1 to `horizon`: `item`,
        `ds`, `horizon`, `units`, a column each of `levels` and `judged` (whether forecasts so far ahead were, before the model
        served). An item without `origin_day` (a pair no store ever listed) gets no row."""
        known = np.flatnonzero(frame["origin_day"].notna().to_numpy())
        counts = frame["horizon"].to_numpy(dtype=np.int64)[known]
        item = np.repeat(known, counts)
        horizon = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        features = frame[list(ORIGIN_FEATURES)].to_numpy(dtype=np.float64)
        starts = range(0, max(len(item), 1), _ROWS)
        return pd.concat([self._answer(features, item[s : s + _ROWS], horizon[s : s + _ROWS]) for s in starts], ignore_index=True)

    def _answer(self, features: np.ndarray, item: np.ndarray, horizon: np.ndarray) -> pd.DataFrame:
        rows = example_rows(features[item], horizon, self.step)
        units = self.units(rows)
        quantiles = self.quantiles(rows, units, horizon, list(self.levels.values()))
        answer: dict[str, Any] = {"item": item, "ds": rows.ds, "horizon": horizon, "units": units}
        named = {name: quantiles[:, at] for at, name in enumerate(self.levels)}
        return pd.DataFrame({**answer, **named, "judged": horizon <= HORIZON})

    def save(self, folder: Path) -> None:
        """Write the mean's files, `calibration.npz`, `demand.json` and the error's where it was learnt."""
        save_mean(self.mean, folder, "mean")
        self.calibration.save(Path(folder))
        if self.error is not None:
            self.error.save(Path(folder), "error")
        about = {"profile_share": self.profile_share, "step": self.step, "levels": dict(self.levels)}
        (Path(folder) / "demand.json").write_text(json.dumps(about))

    @classmethod
    def load(cls, folder: Path) -> DemandModel:
        """Read what `save` wrote."""
        about = json.loads((Path(folder) / "demand.json").read_text())
        error = BoosterMean.load(folder, "error") if (Path(folder) / "error.json").exists() else None
        return cls(load_mean(folder, "mean"), Calibration.load(folder), error=error, **about)
