"""What a user brings to `shelfcast forecast`, checked and made a panel: history, planned future, static attributes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS, Panel, frequency, from_frame, offered
from infra.errors import BadInput
from training.demand.told import ROW, assumptions, settled
from training.files import check_frame, day_of, numbers_of, plain, read_frame, require_unbroken, words_of

#: required and optional columns of the history, by type of `training.files`
HISTORY = {"store_id": "text", "product_id": "text", "ds": "date", "units": "number"}
HISTORY_OPTIONAL = {"in_stock": "number", "price": "number", "promotion": "any"}
FUTURE = {"store_id": "text", "product_id": "text", "ds": "date"}
FUTURE_OPTIONAL = {"price": "number", "promotion": "any"}
#: the longest horizon of a daily and of a weekly history, in periods: a year, two years
LONGEST = {1: 366, 7: 104}
#: a series is alive while it has a row in this many days up to the origin, or is listed in the future file
ALIVE_DAYS = 91
#: rows on one weekday from which on the others are slips, and cells that are numbers from which on the others are
_WEEKLY_SHARE, _NUMBER_SHARE = 0.95, 0.9
#: months in a row that are no chance
_MONTHS = 3
#: different numbers in a column that make it a measure
_MANY_NUMBERS = 20
#: a text column with more values than this says nothing about a day
_TEXT_VALUES = 200
_TEXT_DAYS = 1.0


@dataclass(frozen=True)
class Brought:
    """Checked inputs: the panel up to the origin with the planned columns beyond it, and (n,) which series are alive."""

    panel: Panel
    alive: np.ndarray
    #: planned columns that are not used: the history tells them of the days that sold only, so that they would give away which
    untold: tuple[str, ...] = ()
    #: what days without a row were taken for, a sentence each
    assumed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, history: pd.DataFrame, horizon: int, future: pd.DataFrame | None = None, items: pd.DataFrame | None = None,
        origin: object = None, blank: Collection[str] = (),
    ) -> Brought:  # fmt: skip
        """From frames that are checked (`read_history` and its like, `checked_history` and its like). Planned columns are
        those that history and future both have, and the price; text is replaced by what such days sold against the usual.
        Columns of `blank` are planned though the future has no value of them."""
        end, step = _ends(history, origin)
        require_unbroken(history["ds"], "history", end, placeholders=True)
        inside = history["ds"] <= end
        known = history if inside.all() else history[inside]
        if "in_stock" in known:
            known = known.assign(in_stock=offered(known["units"].to_numpy(), known["in_stock"].to_numpy(dtype=float)))
        _check_horizon(horizon, step)
        planned = None if future is None else future[future["ds"] > end + pd.Timedelta(days=step - 1)]
        planned = None if planned is None or planned.empty else planned
        _check_weeks(known, planned, step)
        columns = _planned_columns(known, planned, blank)
        known, planned, texts = _numeric_columns(known, planned, columns)
        told = {ROW: np.float32(1)}
        panel = from_frame(
            known.assign(**told), known=[*columns, ROW], future=None if planned is None else planned.assign(**told), last_day=end,
            horizon=horizon, static=items, pairs=planned, step=step,
        )  # fmt: skip
        assumed = assumptions(panel)
        panel, untold = settled(panel, texts, set(blank))
        return cls(panel, _alive(panel, known, planned, end), untold, assumed)


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


def _ends(history: pd.DataFrame, origin: object) -> tuple[pd.Timestamp, int]:
    """The label of the last period that is over at `origin`, and the days of a period. A week begins on its label, and what is sold
    in the rest of it is not known before its last day is over."""
    first, last = history["ds"].min(), history["ds"].max()
    if origin is None:
        return last, frequency(history["ds"])
    day = day_of(origin, "origin")
    if day < first:
        raise BadInput(f"origin {origin} lies before the first day of the history; expected {first:%Y-%m-%d} or later")
    known = history.loc[history["ds"] <= day, "ds"]
    # one label alone does not say how long its period is
    step = frequency(known if known.nunique() > 1 else history["ds"])
    periods = ((day - first).days + 1) // step
    if not periods:
        over = first + pd.Timedelta(days=step - 1)
        raise BadInput(f"origin {origin} lies in the first week of the history, which ends on {over:%Y-%m-%d}; expected that or later")
    return first + pd.Timedelta(days=step * (periods - 1)), step


def _check_horizon(horizon: int, step: int) -> None:
    unit = "days" if step == 1 else "weeks"
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or not 1 <= horizon <= LONGEST[step]:
        raise BadInput(f"horizon is {horizon}; expected a whole number of {unit} from 1 to {LONGEST[step]}")


def _planned_columns(known: pd.DataFrame, planned: pd.DataFrame | None, blank: Collection[str]) -> list[str]:
    """The columns whose values reach beyond the origin, and price and promotion, whose past is used too."""
    own = [name for name in known.columns if name not in (*HISTORY, "in_stock")]
    both = [name for name in own if planned is not None and name in planned.columns and (name in blank or planned[name].notna().any())]
    return [name for name in own if name in both or name in ("price", "promotion")]


def _check_weeks(known: pd.DataFrame, planned: pd.DataFrame | None, step: int) -> None:
    """Raise BadInput for a row that alone makes weeks days, and for two rows of the plan in one week."""
    if step == 1:
        weekday = known["ds"].dt.dayofweek
        usual = int(weekday.mode().iloc[0])
        odd = (weekday != usual).to_numpy()
        weeks = known.loc[~odd, "ds"].nunique()
        if odd.any() and odd.mean() < 1 - _WEEKLY_SHARE and weeks > 1:
            row = int(odd.argmax())
            slip, usually = (known["ds"].iloc[at] for at in (row, int((~odd).argmax())))
            raise BadInput(
                f"history: row {known.index[row] + 1} is of {slip:%A %Y-%m-%d}, while {1 - odd.mean():.0%} of the rows are of a "
                f"{usually:%A}; expected weeks that are all labelled by one weekday, or days"
            )
        gaps = np.diff(np.sort(known["ds"].unique())).astype("timedelta64[D]").astype(int)
        if len(gaps) >= _MONTHS and gaps.min() >= 28 and gaps.max() <= 31:
            raise BadInput(f"history: its days lie {np.median(gaps):g} days apart; expected daily or weekly rows")
    elif planned is not None:
        week = (planned["ds"] - known["ds"].iloc[0]).dt.days // step
        again = planned[list(KEYS)].assign(week=week).duplicated().to_numpy()
        if again.any():
            raise BadInput(
                f"future: row {planned.index[int(again.argmax())] + 1} is the second of its pair in one week; expected one row a week, as "
                "the history has"
            )


def _numeric_columns(
    known: pd.DataFrame, planned: pd.DataFrame | None, columns: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame | None, set[str]]:
    """Both frames with every planned column as numbers, and the columns that were text. What a column holds is read from what
    is known at the origin and from the plan. Raises BadInput for a cell that is no number among others that are."""
    known, planned, texts = known.copy(deep=False), None if planned is None else planned.copy(deep=False), set()
    for name in columns:
        cells = [known[name]] if planned is None or name not in planned else [known[name], planned[name]]
        numbers = [pd.Series(numbers_of(part), index=part.index) for part in cells]
        strange = [part.notna() & ~np.isfinite(found) for part, found in zip(cells, numbers, strict=True)]
        wrong = sum(int(bad.sum()) for bad in strange)
        if wrong and _slips(cells, numbers, strange):
            where, part, bad = next(each for each in zip(("history", "future"), cells, strange, strict=False) if each[2].any())
            row = int(bad.to_numpy().argmax())
            raise BadInput(
                f"{where}: column {name!r}, row {part.index[row] + 1} is {plain(part.iloc[row])!r}; expected a finite number as elsewhere"
            )
        if wrong:
            texts.add(name)
            words = [words_of(part) for part in cells]
            numbers = [pd.Series(found, index=part.index) for found, part in zip(_worth(known, *words), cells, strict=True)]
        known[name] = numbers[0]
        if len(cells) > 1 and planned is not None:
            planned[name] = numbers[1]
    return known, planned, texts


def _slips(cells: list[pd.Series], numbers: list[pd.Series], strange: list[pd.Series]) -> bool:
    """Whether the strange cells are slips among numbers: nothing but numbers in the history, or many different ones and few slips.
    A few numbers among words, such as a holiday's 0, a and b, are words."""
    if all(pd.api.types.is_numeric_dtype(part.dtype) for part in cells) or not strange[0].any():
        return True
    told = sum(int(part.notna().sum()) for part in cells)
    few = sum(int(bad.sum()) for bad in strange) <= (1 - _NUMBER_SHARE) * told
    return few and numbers[0].nunique() >= _MANY_NUMBERS


def _worth(known: pd.DataFrame, words: pd.Series, coming: pd.Series | None = None) -> list[np.ndarray]:
    """For each text of a row of `known`, and of the plan's `coming` ones, the units sold on the other days that had it over what
    their series sell on such a weekday usually, pulled to 1 by one day; blank is 1. A day's own sales say nothing of its
    text: what they would tell is not known of a day to come."""
    weekday = known["ds"].dt.dayofweek
    profile = known["units"].groupby(weekday).mean() / max(known["units"].mean(), 1e-9)
    pair = known.groupby(list(KEYS), sort=False)["units"].transform("mean")
    told = words.notna().to_numpy()  # most rows of a long history tell nothing, and cost memory
    usual = pair[told].to_numpy(dtype=float) * weekday[told].map(profile).to_numpy(dtype=float)
    frame = known.loc[told, ["units", "ds"]].assign(word=words[told].to_numpy(), usual=usual)
    sums = frame.dropna().groupby(["word", "ds"], as_index=False)[["units", "usual"]].sum().sort_values(["word", "ds"])
    out = [np.ones(len(words)), *([] if coming is None else [np.ones(len(coming))])]
    if sums["word"].nunique() > _TEXT_VALUES or sums.empty:
        return out
    by = sums.groupby("word", sort=False)
    whole, days = by[["units", "usual"]].transform("sum"), by["ds"].transform("size")
    others = whole - sums[["units", "usual"]]
    worth = sums[["word", "ds"]].assign(worth=_lifted(others["units"], others["usual"], days - 1))
    found = frame[["word", "ds"]].merge(worth, on=["word", "ds"], how="left")["worth"].fillna(1.0)
    out[0][told] = found.to_numpy()
    if coming is not None:
        every = sums[["word"]].assign(worth=_lifted(whole["units"], whole["usual"], days)).groupby("word")["worth"].first()
        out[1] = coming.map(every).fillna(1.0).to_numpy(dtype=float)
    return out


def _lifted(units: pd.Series, usual: pd.Series, days: pd.Series) -> pd.Series:
    raw = (units / usual.where(usual > 0)).fillna(1.0)
    return (raw * days + _TEXT_DAYS) / (days + _TEXT_DAYS)


def _alive(panel: Panel, known: pd.DataFrame, planned: pd.DataFrame | None, end: pd.Timestamp) -> np.ndarray:
    recent = known.loc[known["ds"] > end - pd.Timedelta(days=ALIVE_DAYS), list(KEYS)].drop_duplicates()
    if planned is not None:
        recent = pd.concat([recent, planned[list(KEYS)]]).drop_duplicates()
    return pd.MultiIndex.from_frame(panel.keys).isin(pd.MultiIndex.from_frame(recent))
