"""What the demand model sees: a row for a series, an origin and a horizon, free of the series' scale, so that a million
slow and fast series share one model. The same function makes the rows of training and of serving.

Every row has a `base`: the level x weekday profile's forecast in units. A model says by which factor demand departs from
it (or, as an offset, adds to its logarithm)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_repo.calendar import CALENDAR_FEATURES, calendar_features
from feature_repo.demand_features import ORIGIN_FEATURES, UNIT_FEATURES
from training.tabular import FEATURES, matrix_of

AT = {name: index for index, name in enumerate(ORIGIN_FEATURES)}
#: weekday columns give way to their value on the target's weekday
_BY_WEEKDAY = {*(f"dow_{d}" for d in range(7)), *(f"recent_dow_{d}" for d in range(7))}
_SCALED = tuple(name for name in UNIT_FEATURES if name not in _BY_WEEKDAY and name != "level")
_OTHERWISE = {*UNIT_FEATURES, *_BY_WEEKDAY, "origin_day", "price"}
_PLAIN = tuple(name for name in ORIGIN_FEATURES if name not in _OTHERWISE)
_TARGET = ("horizon", "log_level", "log_base", "profile", "recent_same_weekday", "last_same_weekday")

#: the model's features, in order: scaled by the level, as they are, and of the target day
EXAMPLE_FEATURES: tuple[str, ...] = (*_SCALED, *_PLAIN, *_TARGET, *CALENDAR_FEATURES)

#: units: a level below this is taken as this, so that a series that never sold still has a scale
FLOOR = 1e-3
#: a scaled feature beyond this many times the level carries no more than "very much"
_CEILING = 100.0
#: share of the day in stock from which on units are demand, not a part of it
FULL = 0.999
_EPOCH = pd.Timestamp("1970-01-01")
_SCALED_AT = [AT[name] for name in _SCALED]
_PLAIN_AT = [AT[name] for name in _PLAIN]
_DOW_AT = np.array([AT[f"dow_{d}"] for d in range(7)])
_RECENT_AT = np.array([AT[f"recent_dow_{d}"] for d in range(7)])
_LAST_AT = np.array([AT[f"last_{k}"] for k in range(1, 8)])


@dataclass(frozen=True)
class Rows:
    """m examples: `matrix` (m, K) float32 of `names`, `base` (m,) float64 units, `ds` (m,) the target days."""

    names: tuple[str, ...]
    matrix: np.ndarray
    base: np.ndarray
    ds: pd.DatetimeIndex

    def column(self, name: str) -> np.ndarray:
        """(m,) values of one feature."""
        return self.matrix[:, self.names.index(name)]

    def take(self, index: np.ndarray) -> Rows:
        """The rows at these positions."""
        return Rows(self.names, self.matrix[index], self.base[index], self.ds[index])

    def with_columns(self, more: Mapping[str, np.ndarray]) -> Rows:
        """The rows with further (m,) features at the end; what is too large for a float32 is unknown."""
        if not more:
            return self
        with np.errstate(over="ignore"):
            added = np.column_stack([np.asarray(values, dtype=np.float32) for values in more.values()])
        added[~np.isfinite(added)] = np.nan
        return Rows((*self.names, *more), np.column_stack([self.matrix, added]), self.base, self.ds)


@dataclass(frozen=True)
class Sample:
    """m examples with their label `units` (m,), the `horizon` in periods and the share of the day in stock, each (m,)."""

    rows: Rows
    units: np.ndarray
    horizon: np.ndarray
    in_stock: np.ndarray

    def thinned(self, most: int) -> Sample:
        """About `most` of the examples, evenly taken."""
        at = np.arange(0, len(self.units), max(len(self.units) // most, 1))
        return Sample(self.rows.take(at), self.units[at], self.horizon[at], self.in_stock[at])


def example_rows(origin: np.ndarray, horizon: np.ndarray, step: int = 1) -> Rows:
    """The model's rows of m pairs of an origin's features, (m, len(ORIGIN_FEATURES)), and a horizon in periods, (m,)."""
    days = _EPOCH + pd.to_timedelta((origin[:, AT["origin_day"]] + horizon * step).astype(np.int64), unit="D")
    days = pd.DatetimeIndex(days)
    level = np.maximum(np.nan_to_num(origin[:, AT["level"]].astype(np.float64)), FLOOR)
    each = np.arange(len(origin))
    dow = np.asarray(days.dayofweek)
    profile = np.nan_to_num(origin[each, _DOW_AT[dow]], nan=1.0) if step == 1 else np.ones(len(origin))
    base = np.maximum(level * profile, FLOOR)
    # the last day with the target's weekday lies (-horizon mod 7) days before the origin
    same = origin[each, _LAST_AT[(-horizon) % 7]] if step == 1 else origin[:, AT["last_1"]]
    recent = origin[each, _RECENT_AT[dow]]
    target = (horizon, np.log(level), np.log(base), profile, recent / level, same / level)
    scaled = np.minimum(origin[:, _SCALED_AT] / level[:, None], _CEILING)
    parts = (scaled, origin[:, _PLAIN_AT], np.column_stack(target), calendar_features(days))
    matrix = np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=1)
    return Rows(EXAMPLE_FEATURES, matrix, base, days)


def spread(rows: Rows) -> np.ndarray:
    """(m,) how wildly each series sells around its level, relative to a Poisson series of the same level; NaN: not known."""
    return rows.column("std_91").astype(np.float64) * np.exp(0.5 * rows.column("log_level").astype(np.float64))


def segments(adi: np.ndarray, cv2: np.ndarray) -> np.ndarray:
    """(m,) intermittency class of each series (Syntetos, Boylan and Croston 2005: cuts at ADI 1.32 and CV2 0.49): smooth,
    erratic, intermittent, lumpy; `new` where nothing was sold yet."""
    slow, varied = adi >= 1.32, cv2 >= 0.49
    named = np.where(slow, np.where(varied, "lumpy", "intermittent"), np.where(varied, "erratic", "smooth"))
    return np.where(np.isnan(adi), "new", named)


def rows_of(examples: pd.DataFrame) -> Rows:
    """The rows of examples in pandas: their `features`, `base` and `ds`."""
    days = pd.DatetimeIndex(pd.to_datetime(examples["ds"]))
    return Rows(EXAMPLE_FEATURES, matrix_of(examples[FEATURES], len(EXAMPLE_FEATURES)), examples["base"].to_numpy(dtype=float), days)


def sample_of(examples: pd.DataFrame) -> Sample:
    """The sample of examples of whole days in stock in pandas: their `features`, `base`, `ds`, `units` and `horizon`."""
    units, horizon = examples["units"].to_numpy(dtype=float), examples["horizon"].to_numpy()
    return Sample(rows_of(examples), units, horizon, np.ones(len(units)))
