"""What a user brings to `shelfcast forecast`, checked and made a panel: history, planned future, static attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS, Panel, frequency, from_frame
from infra.errors import BadInput
from training.files import check_frame, day_of, read_frame

#: required and optional columns of the history, by type of `training.files`
HISTORY = {"store_id": "text", "product_id": "text", "ds": "date", "units": "number"}
HISTORY_OPTIONAL = {"in_stock": "number", "price": "number", "promotion": "any"}
FUTURE = {"store_id": "text", "product_id": "text", "ds": "date"}
FUTURE_OPTIONAL = {"price": "number", "promotion": "any"}
#: the longest horizon of a daily and of a weekly history, in periods: a year, two years
LONGEST = {1: 366, 7: 104}
#: a series is alive while it has a row in this many days up to the origin, or is listed in the future file
ALIVE_DAYS = 91
#: a text column with more values than this says nothing about a day
_TEXT_VALUES = 200
_TEXT_DAYS = 1.0


@dataclass(frozen=True)
class Brought:
    """Checked inputs: the panel up to the origin with the planned columns beyond it, and (n,) which series are alive."""

    panel: Panel
    alive: np.ndarray

    @classmethod
    def of(
        cls, history: pd.DataFrame, horizon: int, future: pd.DataFrame | None = None, items: pd.DataFrame | None = None,
        origin: object = None, blank: Collection[str] = (),
    ) -> Brought:  # fmt: skip
        """From frames that are checked (`read_history` and its like, `checked_history` and its like). Planned columns are
        those that history and future both have, and the price; text is replaced by what such days sold against the usual.
        Columns of `blank` are planned though the future has no value of them."""
        end = _origin(history, origin)
        inside = history["ds"] <= end
        known = history if inside.all() else history[inside]
        step = frequency(known["ds"])
        _check_horizon(horizon, step)
        planned = None if future is None else future[future["ds"] > end]
        planned = None if planned is None or planned.empty else planned
        columns = _planned_columns(known, planned, blank)
        known, planned = _numeric_columns(known, planned, columns)
        panel = from_frame(known, known=columns, future=planned, last_day=end, horizon=horizon, static=items, pairs=planned, step=step)
        return cls(panel, _alive(panel, known, planned, end))


def read_history(path: str | Path) -> pd.DataFrame:
    """The history file, typed and checked."""
    bounds = {"in_stock": (0.0, 1.0)}
    return read_frame(
        path, required=HISTORY, optional=HISTORY_OPTIONAL, what="history", key=tuple(FUTURE), nonnegative=("units", "price"), between=bounds
    )


def read_future(path: str | Path) -> pd.DataFrame:
    """The file of planned columns, typed and checked."""
    return read_frame(path, required=FUTURE, optional=FUTURE_OPTIONAL, what="future", key=tuple(FUTURE), nonnegative=("price",))


def read_items(path: str | Path) -> pd.DataFrame:
    """The file of static attributes by product_id and/or store_id."""
    return checked_items(read_frame(path, required={}, optional=dict.fromkeys(KEYS, "text"), what="items", blank=KEYS))


def checked_history(history: pd.DataFrame) -> pd.DataFrame:
    """A history brought as a frame, typed and checked as the file is."""
    return check_frame(
        history, required=HISTORY, optional=HISTORY_OPTIONAL, where="history", key=tuple(FUTURE), nonnegative=("units", "price"),
        between={"in_stock": (0.0, 1.0)},
    )  # fmt: skip


def checked_future(future: pd.DataFrame) -> pd.DataFrame:
    """A plan brought as a frame, typed and checked as the file is."""
    return check_frame(future, required=FUTURE, optional=FUTURE_OPTIONAL, where="future", key=tuple(FUTURE), nonnegative=("price",))


def checked_items(items: pd.DataFrame) -> pd.DataFrame:
    """Attributes brought as a frame, by product_id and/or store_id, typed and checked as the file is."""
    on = [name for name in KEYS if name in items]
    if not on:
        raise BadInput("items: it has neither product_id nor store_id; expected at least one of them")
    return check_frame(items, required=dict.fromkeys(on, "text"), where="items", key=on)


def bring(
    history: pd.DataFrame, horizon: int, future: pd.DataFrame | None = None, items: pd.DataFrame | None = None, origin: object = None
) -> Brought:  # fmt: skip
    """Check the three frames and make of them what is known at `origin` (default: the last day of the history)."""
    plan, attributes = None if future is None else checked_future(future), None if items is None else checked_items(items)
    return Brought.of(checked_history(history), horizon, plan, attributes, origin)


def _origin(history: pd.DataFrame, origin: object) -> pd.Timestamp:
    first, last = history["ds"].min(), history["ds"].max()
    if origin is None:
        return last
    end = day_of(origin, "origin")
    if end < first:
        raise BadInput(f"origin {origin} lies before the first day of the history; expected {first:%Y-%m-%d} or later")
    return end


def _check_horizon(horizon: int, step: int) -> None:
    unit = "days" if step == 1 else "weeks"
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or not 1 <= horizon <= LONGEST[step]:
        raise BadInput(f"horizon is {horizon}; expected a whole number of {unit} from 1 to {LONGEST[step]}")


def _planned_columns(known: pd.DataFrame, planned: pd.DataFrame | None, blank: Collection[str]) -> list[str]:
    """The columns whose values reach beyond the origin, and price and promotion, whose past is used too."""
    own = [name for name in known.columns if name not in (*HISTORY, "in_stock")]
    both = [name for name in own if planned is not None and name in planned.columns and (name in blank or planned[name].notna().any())]
    return [name for name in own if name in both or name in ("price", "promotion")]


def _numeric_columns(known: pd.DataFrame, planned: pd.DataFrame | None, columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Both frames with every planned column as numbers."""
    known, planned = known.copy(deep=False), None if planned is None else planned.copy(deep=False)
    for name in columns:
        if _is_number(known[name]) and (planned is None or name not in planned or _is_number(planned[name])):
            continue
        worth = _worth(known, known[name].astype(object))
        known[name] = _looked_up(known[name], worth)
        if planned is not None and name in planned:
            planned[name] = _looked_up(planned[name], worth)
    return known, planned


def _is_number(values: pd.Series) -> bool:
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufb"


def _looked_up(values: pd.Series, worth: Mapping[object, float]) -> np.ndarray:
    return values.astype(object).map(worth).astype(float).fillna(1.0).to_numpy()


def _worth(known: pd.DataFrame, words: pd.Series) -> dict[object, float]:
    """For each text the units sold on its rows over what their series sell on such a weekday usually, pulled to 1 by one
    day; blank is 1."""
    weekday = known["ds"].dt.dayofweek
    profile = known["units"].groupby(weekday).mean() / max(known["units"].mean(), 1e-9)
    pair = known.groupby(list(KEYS), sort=False)["units"].transform("mean")
    told = words.notna().to_numpy()  # most rows of a long history tell nothing, and cost memory
    usual = pair[told].to_numpy(dtype=float) * weekday[told].map(profile).to_numpy(dtype=float)
    frame = known.loc[told, ["units", "ds"]].assign(word=words[told].to_numpy(), usual=usual)
    sums = frame.dropna().groupby("word").agg(units=("units", "sum"), usual=("usual", "sum"), days=("ds", "nunique"))
    if len(sums) > _TEXT_VALUES:
        return {}
    raw = (sums["units"] / sums["usual"].where(sums["usual"] > 0)).fillna(1.0)
    return ((raw * sums["days"] + _TEXT_DAYS) / (sums["days"] + _TEXT_DAYS)).to_dict()


def _alive(panel: Panel, known: pd.DataFrame, planned: pd.DataFrame | None, end: pd.Timestamp) -> np.ndarray:
    recent = known.loc[known["ds"] > end - pd.Timedelta(days=ALIVE_DAYS), list(KEYS)].drop_duplicates()
    if planned is not None:
        recent = pd.concat([recent, planned[list(KEYS)]]).drop_duplicates()
    return pd.MultiIndex.from_frame(panel.keys).isin(pd.MultiIndex.from_frame(recent))
