"""`shelfcast forecast`: a file of sales in, a file of forecasts out; nothing of an installation is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.demand.calibration import GRID
from training.demand.forecaster import Forecaster, Progress
from training.demand.hierarchy import check_reconcilable, levels_of, reconciled, summed
from training.demand.history_file import ALIVE_DAYS, Brought, bring, read_future, read_history, read_items
from training.demand.overrides import overridden, read_overrides, unused
from training.files import check_outputs, strangers, write_frame

QUANTILES = (0.1, 0.5, 0.9)


def forecast(
    history: pd.DataFrame, horizon: int, *, future: pd.DataFrame | None = None, items: pd.DataFrame | None = None, origin: object = None,
    quantiles: Sequence[float] = QUANTILES, seed: int = 0, progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Forecasts of the `horizon` periods (days, or weeks when the history is weekly) after `origin` (default: the history's
    last day; a week, which begins on its label, is known when it is over), nothing after which is looked at.

    `history`: `store_id, product_id, ds, units` and optionally `in_stock` (0..1), `price`, `promotion`, further columns;
    `future`: the same keys and planned columns; `items`: attributes by product_id and/or store_id. Answers a row for
    every step of every series that is alive (a row in the last 91 days, or listed in `future`): `store_id, product_id,
    ds, origin, units` (the mean of a day in stock), a column a quantile (`q0.1`), `demand` (the mean of what would be asked
    for: more than `units` where busy days empty the shelf) and `note`: why a forecast rests on little, `ok` where it does
    not. Same seed, same answer. Raises BadInput."""
    levels = _checked_levels(quantiles)
    return Forecaster.learn(bring(history, horizon, future, items, origin), horizon, seed, progress).answer(levels)


def forecast_file(
    history: str | Path, horizon: int, out: str | Path, *, future: str | Path | None = None, items: str | Path | None = None,
    origin: str | None = None, quantiles: Sequence[float] = QUANTILES, levels: str | None = None, levels_out: str | Path | None = None,
    reconcile: bool = False, overrides: str | Path | None = None, explain: str | Path | None = None, seed: int = 0,
    progress: Progress | None = None, tell: Callable[[str], None] = lambda said: None,
) -> pd.DataFrame:  # fmt: skip
    """`forecast` from files to a file (CSV or parquet by ending, replaced at once when whole); answers what was written.

    `levels` with `levels_out`: sums such as `total,store_id+category` and the file for them, coherent with the first;
    `reconcile`: let forecasts of these sums move the series' (`training.demand.hierarchy`). `overrides`: a planner's
    changes, laid over all of it (`training.demand.overrides`). `explain`: a file of what the model's forecasts are made
    of, before it was reconciled or overridden (`Forecaster.explanation`). `tell` is told of series that are silent, of what days
    without a row were taken for, of items of no series, of sums that nothing could judge and of overrides that hold nowhere."""
    if (levels is None) != (levels_out is None):
        raise BadInput("levels: the levels and the file for their sums go together; expected both --levels and --levels-out")
    if reconcile and levels is None:
        raise BadInput("reconcile: there are no levels to reconcile with; expected --levels")
    check_outputs(out, levels_out, explain, reads=[history, future, items, overrides])
    asked = _checked_levels(quantiles)
    changes = None if overrides is None else read_overrides(overrides)
    plan, attributes = None if future is None else read_future(future), None if items is None else read_items(items)
    brought = Brought.of(read_history(history), horizon, plan, attributes, origin)
    if silent := int((~brought.alive).sum()):
        tell(f"{silent:,} of {len(brought.alive):,} series have no row in the {ALIVE_DAYS} days up to the origin and get no forecast")
    if attributes is not None and (none := strangers(attributes, brought.panel.keys)):
        tell(f"items file {items}: {none:,} of {len(attributes):,} rows are of no series of history or plan and are not used")
    for said in brought.assumed:
        tell(f"history file {history}: {said}")
    for name in brought.untold:
        tell(
            f"history file {history}: column {name!r} is told of the days that sold and of no others, so that it would give away which "
            "sold; it is not used: write rows with units 0 too"
        )
    sums = None if levels is None else levels_of(levels, brought.panel, np.flatnonzero(brought.alive))
    if reconcile and sums is not None:
        check_reconcilable(sums)
    forecaster = Forecaster.learn(brought, horizon, seed, progress)
    found = forecaster.answer(asked)
    if sums is not None and not forecaster.is_judged:
        kept = ", and --reconcile changes nothing" if reconcile else ""
        tell(
            f"history file {history}: no day at its end could be held out to judge the sums by, so their quantiles are those of Poisson "
            f"demand{kept}"
        )
    if reconcile and sums is not None:
        found = forecaster.answer(asked, reconciled(forecaster, sums, _grid(found, horizon), seed))
    if changes is not None:
        found = overridden(found, changes)
        for said in unused(found, changes):
            tell(said)
    if sums is not None and levels_out is not None:
        write_frame(summed(forecaster, sums, _grid(found, horizon), asked), levels_out)
    if explain is not None:
        write_frame(forecaster.explanation(progress), explain)
    write_frame(found, out)
    return found


def _grid(found: pd.DataFrame, horizon: int) -> np.ndarray:
    """(k, horizon) the units of an answer."""
    return found["units"].to_numpy().reshape(-1, horizon)


def _checked_levels(quantiles: Sequence[float]) -> list[float]:
    levels = sorted({float(level) for level in quantiles})
    wrong = [level for level in levels if not GRID[0] <= level <= GRID[-1]]
    if wrong:
        raise BadInput(
            f"quantiles: {wrong[0]:g} is not a level; expected numbers from {GRID[0]:g} to {GRID[-1]:g}, such as 0.1,0.5,0.9: of rarer "
            "days the held-out end says nothing"
        )
    return levels
