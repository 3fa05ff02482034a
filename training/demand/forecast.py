"""`shelfcast forecast`: a file of sales in, a file of forecasts out; nothing of an installation is touched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from infra.errors import BadInput
from training.demand.forecaster import Forecaster, Progress
from training.demand.history_file import bring, read_future, read_history, read_items
from training.demand.overrides import overridden, read_overrides
from training.files import check_output, write_frame

QUANTILES = (0.1, 0.5, 0.9)


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
    return Forecaster.learnt(bring(history, horizon, future, items, origin), horizon, seed, progress).answer(levels)


def forecast_file(
    history: str | Path, horizon: int, out: str | Path, *, future: str | Path | None = None, items: str | Path | None = None,
    origin: str | None = None, quantiles: Sequence[float] = QUANTILES, overrides: str | Path | None = None,
    explain: str | Path | None = None, seed: int = 0, progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """`forecast` from files to a file (CSV or parquet by ending, replaced at once when whole); answers what was written.
    `overrides`: a planner's changes, laid over it (`training.demand.overrides`); `explain`: a second file, of what the
    model's forecasts are made of (`Forecaster.explanation`)."""
    for path in (out, *([] if explain is None else [explain])):
        check_output(path)
    levels = _checked_levels(quantiles)
    changes = None if overrides is None else read_overrides(overrides)
    plan = None if future is None else read_future(future)
    attributes = None if items is None else read_items(items)
    forecaster = Forecaster.learnt(bring(read_history(history), horizon, plan, attributes, origin), horizon, seed, progress)
    found = forecaster.answer(levels)
    if changes is not None:
        found = overridden(found, changes)
    if explain is not None:
        write_frame(forecaster.explanation(progress), explain)
    write_frame(found, out)
    return found


def _checked_levels(quantiles: Sequence[float]) -> list[float]:
    levels = sorted({float(level) for level in quantiles})
    wrong = [level for level in levels if not 0 < level < 1]
    if wrong:
        raise BadInput(f"quantiles: {wrong[0]:g} is not a level; expected numbers between 0 and 1, such as 0.1,0.5,0.9")
    return levels
