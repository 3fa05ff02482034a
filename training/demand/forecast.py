"""`shelfcast forecast`: a file of sales in, a file of forecasts out; nothing of an installation is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS, Panel
from infra.errors import BadInput
from training.demand.covariates import Covariates
from training.demand.examples import Rows
from training.demand.history_file import bring, read_future, read_history, read_items
from training.demand.learning import learn, rows_at
from training.demand.model import DemandModel
from training.files import check_output, write_frame

Progress = Callable[[int, int, str], None]
QUANTILES = (0.1, 0.5, 0.9)
#: a series younger than this is new, one without a row for so long has ended
_NEW_DAYS, _ENDED_DAYS = 28, 28
#: rows answered at a time: bounds the memory of series x horizons
_ROWS = 300_000


def forecast(
    history: pd.DataFrame, horizon: int, *, future: pd.DataFrame | None = None, items: pd.DataFrame | None = None, origin: object = None,
    quantiles: Sequence[float] = QUANTILES, seed: int = 0, progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Forecasts of the `horizon` periods (days, or weeks when the history is weekly) after `origin` (default: the history's
    last day), nothing after which is looked at.

    `history`: `store_id, product_id, ds, units` and optionally `in_stock` (0..1), `price`, `promotion`, further columns;
    `future`: the same keys and planned columns; `items`: attributes by product_id and/or store_id. Answers a row for
    every step of every series that is alive (a row in the last 91 days, or listed in `future`): `store_id, product_id,
    ds, origin, units` (the mean of a day in stock), a column a quantile (`q0.1`) and `note`: why a forecast rests on little,
    `ok` where it does not. Same seed, same answer. Raises BadInput."""
    levels = _checked_levels(quantiles)
    brought = bring(history, horizon, future, items, origin)
    if not brought.alive.any():
        raise BadInput("history: no series has a row in the 91 days up to the origin; expected at least one that is alive")
    covariates = Covariates.of(brought.panel)
    model = learn(covariates, horizon, seed, progress)
    return _answer(model, covariates, np.flatnonzero(brought.alive), horizon, levels)


def forecast_file(
    history: str | Path, horizon: int, out: str | Path, *, future: str | Path | None = None, items: str | Path | None = None,
    origin: str | None = None, quantiles: Sequence[float] = QUANTILES, seed: int = 0, progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """`forecast` from files to a file (CSV or parquet by ending, replaced at once when whole); answers what was written."""
    check_output(out)
    _checked_levels(quantiles)
    found = forecast(
        read_history(history), horizon, future=None if future is None else read_future(future),
        items=None if items is None else read_items(items), origin=origin, quantiles=quantiles, seed=seed, progress=progress,
    )  # fmt: skip
    write_frame(found, out)
    return found


def _checked_levels(quantiles: Sequence[float]) -> list[float]:
    levels = sorted({float(level) for level in quantiles})
    wrong = [level for level in levels if not 0 < level < 1]
    if wrong:
        raise BadInput(f"quantiles: {wrong[0]:g} is not a level; expected numbers between 0 and 1, such as 0.1,0.5,0.9")
    return levels


def _answer(model: DemandModel, covariates: Covariates, alive: np.ndarray, horizon: int, levels: list[float]) -> pd.DataFrame:
    chunk = max(_ROWS // horizon, 1)
    parts = [_answer_some(model, covariates, alive[start : start + chunk], horizon, levels) for start in range(0, len(alive), chunk)]
    return pd.concat(parts, ignore_index=True)


def _answer_some(model: DemandModel, covariates: Covariates, series: np.ndarray, horizon: int, levels: list[float]) -> pd.DataFrame:
    panel = covariates.panel
    last = panel.units.shape[1] - 1
    ahead = np.tile(np.arange(1, horizon + 1), (len(series), 1))
    rows = rows_at(covariates, panel, series, last, ahead)
    units = model.units(rows)
    if covariates.closed is not None:
        units[covariates.closed[series][:, last + 1 :].ravel()] = 0.0
    keys = panel.keys.iloc[np.repeat(series, horizon)].reset_index(drop=True)
    frame = keys[list(KEYS)].assign(ds=rows.ds, origin=panel.days[-1], units=units)
    return frame.assign(**_quantiles(model, rows, units, ahead.ravel(), levels), note=np.repeat(_notes(panel, series), horizon))


def _notes(panel: Panel, series: np.ndarray) -> np.ndarray:
    """(k,) what a planner should know of a forecast's ground: the series is new, ended, never sold or was never in stock."""
    units, seen = panel.units[series], panel.exposure[series] > 0
    known = ~np.isnan(units)
    age = (units.shape[1] - known.argmax(1)) * panel.step
    silent = known[:, ::-1].argmax(1) * panel.step
    told = {
        "new: no row yet, by similar items": ~known.any(1),
        "never in stock: by similar items": ~seen.any(1),
        "never sold": ~(units > 0).any(1),
        "ended: no row in the last 28 days": silent >= _ENDED_DAYS,
        "new: fewer than 28 days": age < _NEW_DAYS,
    }
    return np.select(list(told.values()), list(told), _unplanned(panel, series))


def _unplanned(panel: Panel, series: np.ndarray) -> np.ndarray:
    """(k,) `ok`, or on how many of the coming days nothing is planned of a series where the future file plans anything."""
    coming = [~np.isnan(values[:, panel.units.shape[1] :]) for values in panel.known.values()]
    coming = [there for there in coming if there.any()]
    if not coming:
        return np.full(len(series), "ok", dtype=object)
    days = coming[0].shape[1]
    lacking = days - np.any([there[series] for there in coming], axis=0).sum(axis=1)
    return np.array(["ok" if not few else f"no row in the future file for {few} of {days} steps" for few in lacking], dtype=object)


def _quantiles(model: DemandModel, rows: Rows, units: np.ndarray, horizon: np.ndarray, levels: list[float]) -> dict[str, np.ndarray]:
    if not levels:
        return {}
    found = model.quantiles(rows, units, horizon, levels)
    return {f"q{level:g}": found[:, at] for at, level in enumerate(levels)}
