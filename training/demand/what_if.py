"""`shelfcast what-if`: the forecast again under another plan: a price, a promotion or any planned column changed on some
series and days. The model is learnt once, so the two forecasts differ by the plan alone.

What the answer is worth depends on what the history shows: a price that never moved tells nothing about one that will. So
the elasticity that the answer implies is told for each series and judged by sign and size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS
from infra.errors import BadInput
from training.demand.forecaster import Forecaster, Progress
from training.demand.history_file import (
    HISTORY,
    Brought,
    checked_future,
    checked_history,
    checked_items,
    read_future,
    read_history,
    read_items,
)
from training.files import check_output, day_of, write_frame
from training.filters import matches

PRICE = "price"
#: an elasticity below this is more than shoppers do: three times the mean of 1,851 published ones, -2.62 (Bijmolt, van
#: Heerde and Pieters 2005)
_STRONGEST = -8.0
#: a mean price that moves by less than this share tells no elasticity, and neither do fewer units than this
_LEAST_CHANGE, _LEAST_UNITS = 0.005, 1e-6
_BOOLEANS = {"true": 1.0, "false": 0.0}
_CHANGE = re.compile(r"^\s*([+-])\s*(\d+(?:\.\d+)?)\s*%\s*$")


@dataclass(frozen=True)
class Change:
    """One column of the plan changed: to `value`, or by `factor` of what was planned."""

    column: str
    value: float | str | None = None
    factor: float | None = None

    def applied(self, planned: pd.Series) -> pd.Series:
        """The changed values of rows whose plan was `planned`."""
        if self.factor is not None:
            return planned * self.factor
        return pd.Series(self.value, index=planned.index, dtype=object if isinstance(self.value, str) else float)


def change_of(text: str) -> Change:
    """A change written as `price=2.49`, `price=-10%`, `promotion=1` or `event=Easter`: a sign and a % make it a share of what was
    planned (`price=+0%` leaves it), anything else is the value (`price=1` is a price of 1). Raises BadInput."""
    column, sign, said = text.partition("=")
    column, said = column.strip(), said.strip()
    if not (column and sign and said):
        raise BadInput(f"change {text!r}: expected column=value such as promotion=1, or column=-10% of what was planned")
    if said.endswith("%") and not _CHANGE.match(said):
        raise BadInput(f"change {text!r}: expected a sign and a number before the %, such as {column}=-10%")
    if said.lower() in _BOOLEANS:
        return Change(column, value=_BOOLEANS[said.lower()])
    if relative := _CHANGE.match(said):
        return Change(column, factor=1 + float(f"{relative[1]}{relative[2]}") / 100)
    try:
        value = float(said)
    except ValueError:
        return Change(column, value=said)
    if not np.isfinite(value):
        raise BadInput(f"change {text!r}: expected a finite number")
    return Change(column, value=value)


def what_if(
    history: pd.DataFrame, horizon: int, changes: Sequence[Change], *, where: str | None = None, since: object = None, until: object = None,
    future: pd.DataFrame | None = None, items: pd.DataFrame | None = None, origin: object = None, seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Forecasts with the plan as it is and with `changes`, on the series for which the filter `where` holds (keys and
    columns of `items`) and the days `since` to `until` (default: all). The other arguments are `forecast`'s.

    A planned column that the future does not tell stays as it is without a change: a yes/no column at what it usually is, a
    price or any other at its last value. Answers a row a series and step: `store_id, product_id, ds, origin, units, units_if`,
    each changed column and `<column>_if`, `elasticity` of the series (the logarithm of the ratio of the units over that of the
    mean price, of the days on which the price moves; NaN where it does not, or not alone) and `note`. Raises BadInput."""
    history = checked_history(history)
    future, items = None if future is None else checked_future(future), None if items is None else checked_items(items)
    brought = Brought.of(history, horizon, future, items, origin)
    columns = [change.column for change in changes]
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise BadInput(f"change: {twice!r} is changed twice; expected each column once")
    plan = _whole_plan(history, brought, horizon, columns, future)
    changed = _changed(plan, changes, _chosen(plan, where, since, until, items))
    for change in changes:
        if isinstance(change.value, str) and change.value not in set(history[change.column].dropna()):
            raise BadInput(f"change of {change.column!r}: the history never had {change.value!r}, so nothing is known of what it does")
    planned = Brought.of(history, horizon, plan, items, origin, columns)
    if unused := next((column for column in columns if column in planned.untold), None):
        raise BadInput(
            f"change of {unused!r}: the history tells it of the days that sold and of no others, so nothing is known of what it does; "
            "expected rows with units 0 too"
        )
    forecaster = Forecaster.learn(planned, horizon, seed, progress)
    before = forecaster.answer([])
    after = forecaster.planning(Brought.of(history, horizon, changed, items, origin, columns)).answer([])
    both = before[[*KEYS, "ds", "origin", "units"]].assign(units_if=after["units"])
    for column in columns:
        both = both.merge(plan[[*KEYS, "ds", column]], on=[*KEYS, "ds"], how="left")
        both = both.merge(changed[[*KEYS, "ds", column]].rename(columns={column: f"{column}_if"}), on=[*KEYS, "ds"], how="left")
    return _judged(both, before["note"], history[history["ds"] <= both["origin"].iloc[0]])


def what_if_file(
    history: str | Path, horizon: int, changes: Sequence[Change], out: str | Path, *, where: str | None = None, since: str | None = None,
    until: str | None = None, future: str | Path | None = None, items: str | Path | None = None, origin: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """`what_if` from files to a file; answers what was written."""
    check_output(out, [history, future, items])
    found = what_if(
        read_history(history), horizon, changes, where=where, since=since, until=until,
        future=None if future is None else read_future(future), items=None if items is None else read_items(items), origin=origin,
        progress=progress,
    )  # fmt: skip
    write_frame(found, out)
    return found


def _whole_plan(
    history: pd.DataFrame, brought: Brought, horizon: int, columns: Sequence[str], future: pd.DataFrame | None
) -> pd.DataFrame:  # fmt: skip
    """The plan of every series alive and coming period, with a value for each of `columns`."""
    for column in columns:
        if column not in history or column in (*HISTORY, "in_stock"):
            known = [str(name) for name in history if name not in (*HISTORY, "in_stock")]
            raise BadInput(f"change: the history has no planned column {column!r}; it has {', '.join(known) or 'none'}")
    panel = brought.panel
    keys = panel.keys[brought.alive][list(KEYS)]
    days = pd.DatetimeIndex([panel.day(panel.units.shape[1] + step) for step in range(horizon)], name="ds")
    plan = keys.merge(days.to_frame(index=False), how="cross")
    if future is not None:
        # a week may be labelled by any of its days
        periods = ((future["ds"] - panel.days[0]).dt.days // panel.step) * panel.step
        plan = plan.merge(future.assign(ds=panel.days[0] + pd.to_timedelta(periods, unit="D")), on=[*KEYS, "ds"], how="left")
    past = history[history["ds"] <= panel.days[-1]].sort_values("ds")
    for column in columns:
        stays = _staying(past, column, plan)
        plan[column] = plan[column].where(plan[column].notna(), stays) if column in plan else stays
    return plan


def _staying(past: pd.DataFrame, column: str, plan: pd.DataFrame) -> pd.Series:
    """What a column is on each row of `plan` when nothing is planned."""
    known = past[[*KEYS, column]].dropna()
    # a price of 1 is a price
    if column != PRICE and known[column].isin([0, 1]).all():
        return pd.Series(float(known[column].mean() > 0.5), index=plan.index)
    if not pd.api.types.is_numeric_dtype(known[column]):
        return pd.Series(None, index=plan.index, dtype=object)
    last = known.groupby(list(KEYS))[column].last()
    return plan[list(KEYS)].merge(last.rename("last"), left_on=list(KEYS), right_index=True, how="left")["last"]


def _chosen(plan: pd.DataFrame, where: str | None, since: object, until: object, items: pd.DataFrame | None) -> np.ndarray:
    """(rows,) of the plan that are changed."""
    chosen = np.ones(len(plan), dtype=bool)
    for day, name, holds in ((since, "since", np.greater_equal), (until, "until", np.less_equal)):
        if day is not None:
            chosen &= holds(plan["ds"].to_numpy(), day_of(day, name).to_datetime64())
    if where is not None:
        facts = plan[list(KEYS)]
        chosen &= matches(where, facts if items is None else facts.merge(items, on=[key for key in KEYS if key in items], how="left"))
    if not chosen.any():
        raise BadInput("what-if: no series and day of the horizon is chosen; expected a wider filter, since or until")
    return chosen


def _changed(plan: pd.DataFrame, changes: Sequence[Change], chosen: np.ndarray) -> pd.DataFrame:
    if not changes:
        raise BadInput("what-if: nothing is changed; expected at least one change such as price=-10%")
    changed = plan.copy()
    for change in changes:
        before = changed.loc[chosen, change.column]
        number = pd.api.types.is_numeric_dtype(plan[change.column])
        if number == isinstance(change.value, str) or (change.factor is not None and not number):
            raise BadInput(
                f"change of {change.column!r}: the column holds {'numbers' if number else 'text'}; expected "
                + (f"{change.column}=2.49, or {change.column}=-10% of what was planned" if number else "a text that it has held")
            )
        if (
            change.column != PRICE
            and number
            and before.isin([0, 1]).all()
            and plan[change.column].isin([0, 1]).all()
            and change.value not in (0, 1)
        ):
            raise BadInput(f"change of {change.column!r}: the column is 0 or 1; expected {change.column}=0 or {change.column}=1")
        changed.loc[chosen, change.column] = change.applied(before)
        if change.column == PRICE and not (change.factor if change.factor is not None else change.value) > 0:  # type: ignore[operator]
            raise BadInput("change of 'price': the price would not be above 0; expected one that is")
    return changed


def _judged(both: pd.DataFrame, notes: pd.Series, past: pd.DataFrame) -> pd.DataFrame:
    """With the elasticity of each series, and in the note what is wrong with it."""
    if PRICE not in both or sum(str(name).endswith("_if") for name in both) > 2:
        # what more than a price does is not the price's
        return both.assign(elasticity=np.nan, note=notes)
    # days whose price stays say nothing of it, and would thin out what the others tell
    stays = (both[f"{PRICE}_if"] - both[PRICE]).abs() <= _LEAST_CHANGE * both[PRICE].abs()
    of_moved = both[["units", "units_if", PRICE, f"{PRICE}_if"]].mask(stays)
    series = pd.concat([both[list(KEYS)], of_moved], axis=1).groupby(list(KEYS), sort=False)
    sums, means = series[["units", "units_if"]].transform("sum"), series[[PRICE, f"{PRICE}_if"]].transform("mean")
    prices = means.where(means > 0).to_numpy()
    moved = np.log(prices[:, 1] / prices[:, 0])
    told = (np.abs(moved) > _LEAST_CHANGE) & (sums.min(axis=1).to_numpy() > _LEAST_UNITS)
    grown = np.log(np.maximum(sums["units_if"].to_numpy(), _LEAST_UNITS) / np.maximum(sums["units"].to_numpy(), _LEAST_UNITS))
    elasticity = np.divide(grown, moved, out=np.full(len(both), np.nan), where=told)
    had = both[list(KEYS)].merge(past.groupby(list(KEYS))[PRICE].agg(["min", "max"]), left_on=list(KEYS), right_index=True, how="left")
    beyond = (both[f"{PRICE}_if"] < had["min"] * (1 - _LEAST_CHANGE)) | (both[f"{PRICE}_if"] > had["max"] * (1 + _LEAST_CHANGE))
    wrong = np.select(
        [elasticity > 0, elasticity < _STRONGEST, beyond & told],
        ["more is sold at the higher price: the history does not show what the price does", "stronger than shoppers are: do not rely on it",
         "a price that the series has not had: what it does is likely understated"],
        "",
    )  # fmt: skip
    said = np.where(wrong == "", notes, np.where(notes == "ok", wrong, notes + "; " + wrong))
    return both.assign(elasticity=elasticity, note=said)
