"""A planner's overrides of forecasts: who changed what, why and until when, and whether it was worth it.

An override holds for a store, a product, a pair or everything (a blank key is every one), from `since` to `until`, and
sets the mean or multiplies it. What the model said stays beside it, so that the value that overrides add (forecast value
added: Gilliland 2010) is measured when the sales are known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import poisson

from feature_repo.panel import from_frame
from infra.errors import BadInput
from training.demand.examples import FULL
from training.evaluation.metrics import bias, wape
from training.files import check_frame, check_output, read_frame, write_frame

_KEYS = ("store_id", "product_id")
_OVERRIDES: dict[str, Any] = {
    "required": {"since": "date", "until": "date", "who": "text", "why": "text"},
    "optional": {**dict.fromkeys(_KEYS, "text"), "units": "number", "factor": "number"},
    "nonnegative": ("units", "factor"),
}
_FORECASTS: dict[str, Any] = {
    "required": {**dict.fromkeys(_KEYS, "text"), "ds": "date", "origin": "date", "units": "number", "model_units": "number",
                 "override": "any"},
    "key": (*_KEYS, "ds", "origin"), "nonnegative": ("units", "model_units"), "blank": ("override",),
}  # fmt: skip
_ACTUALS: dict[str, Any] = {
    "required": {**dict.fromkeys(_KEYS, "text"), "ds": "date", "units": "number"}, "optional": {"in_stock": "number"},
    "key": (*_KEYS, "ds"), "nonnegative": ("units",), "between": {"in_stock": (0.0, 1.0)},
}  # fmt: skip


def read_overrides(path: str | Path) -> pd.DataFrame:
    """The overrides of a file: `[store_id, product_id,] since, until, who, why` and `units` or `factor`. Raises BadInput."""
    return _checked(read_frame(path, what="overrides", **_OVERRIDES), f"overrides file {path}")


def overridden(forecasts: pd.DataFrame, overrides: pd.DataFrame) -> pd.DataFrame:
    """`forecasts` (keys, `ds, units`, columns `q...`) with the overrides that hold on each row; the last one of the file
    wins. Adds `model_units`, what the model said, and `override`: who and why, blank where there is none. Quantiles and
    `demand` keep their distance from the mean in proportion; where a mean is more than _STRETCH times the model's its
    quantiles are Poisson's (a slow item's, 0 and few, do not stretch), and where the model said 0 all are the planner's.
    Raises BadInput."""
    overrides = _checked(check_frame(overrides, where="overrides", **_OVERRIDES), "overrides")
    units, told = forecasts["units"].to_numpy(float).copy(), np.full(len(forecasts), "", dtype=object)
    rows = _coded(forecasts)
    for row in overrides.to_dict("records"):
        holds = _holds(row, rows)
        model = forecasts["units"].to_numpy(float)[holds]
        units[holds] = model * row["factor"] if pd.isna(row.get("units")) else row["units"]
        told[holds] = f"{row['who']}: {row['why']}"
    before = forecasts["units"].to_numpy(float)
    ratio = np.divide(units, before, out=np.ones(len(units)), where=before > 0)
    around = [name for name in map(str, forecasts.columns) if name == "demand" or _QUANTILE.fullmatch(name)]
    scaled = {name: np.where((before <= 0) & (units > 0), units, forecasts[name].to_numpy(float) * ratio) for name in around}
    far = ratio > _STRETCH
    for name in around:
        if name != "demand" and far.any():
            scaled[name][far] = poisson.ppf(float(name[1:]), units[far])
    return forecasts.assign(**{"units": units, **scaled, "model_units": before, "override": told})


def unused(forecasts: pd.DataFrame, overrides: pd.DataFrame) -> list[str]:
    """A sentence for each override that holds on no row of `forecasts`, whose days or keys it misses."""
    rows = _coded(forecasts)
    return [
        f"override {number} ({row['who']}: {row['why']}) holds for no forecast: no row has its keys and lies in its days"
        for number, row in enumerate(overrides.to_dict("records"), 1)
        if not _holds(row, rows).any()
    ]


def _coded(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Keys and days; to compare codes instead of texts makes thousands of overrides on a chain's forecasts a matter of seconds."""
    return forecasts[[*_KEYS, "ds"]].astype(dict.fromkeys(_KEYS, "category"))


def _holds(row: dict[Any, Any], rows: pd.DataFrame) -> np.ndarray:
    days = rows["ds"].to_numpy()
    holds = (days >= row["since"].to_datetime64()) & (days <= row["until"].to_datetime64())
    for key in _KEYS:
        if not pd.isna(row.get(key)):
            holds &= (rows[key] == row[key]).to_numpy()
    return holds


def value_added(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """What overrides added, once the sales are known: for each `override`, and for `all` of them, the `rows` whose day is
    known (and wholly in stock), `model_wape`, `wape`, `model_bias`, `bias`, and `value_added`: the absolute error, in
    units, that the override saved. Without an override with known sales: no rows. Raises BadInput."""
    said = check_frame(forecasts, where="forecasts", **_FORECASTS)
    sold = check_frame(actuals, where="history", **_ACTUALS)
    changed = said[said["override"].fillna("").astype(str) != ""]
    changed = changed.assign(sold=_sold(changed, sold)).dropna(subset="sold")
    parts = [*changed.groupby("override", sort=True), *([("all", changed)] if len(changed) else [])]
    return pd.DataFrame([_judged(str(name), rows) for name, rows in parts], columns=list(_JUDGED))


def _sold(rows: pd.DataFrame, actuals: pd.DataFrame) -> np.ndarray:
    """(rows,) units of each row's day wholly in stock, NaN where they are not known; a missing row is read as a panel reads it."""
    panel = from_frame(actuals)
    series = pd.MultiIndex.from_frame(panel.keys).get_indexer(pd.MultiIndex.from_frame(rows[list(_KEYS)]))
    day = ((rows["ds"] - panel.days[0]).dt.days // panel.step).to_numpy()
    inside = (series >= 0) & (day >= 0) & (day < len(panel.days))
    cells = series[inside], day[inside]
    out = np.full(len(rows), np.nan)
    out[inside] = np.where(panel.in_stock[cells] >= FULL, panel.units[cells], np.nan)
    return out


#: how far a planner's mean may lie above the model's for its quantiles to keep their shape
_STRETCH = 3.0
_QUANTILE = re.compile(r"q[0-9]*\.?[0-9]+")
_JUDGED = ("override", "rows", "model_wape", "wape", "model_bias", "bias", "value_added")


def _judged(name: str, rows: pd.DataFrame) -> tuple[Any, ...]:
    sold, model, final = (rows[column].to_numpy(float) for column in ("sold", "model_units", "units"))
    saved = float((np.abs(model - sold) - np.abs(final - sold)).sum())
    return name, len(rows), wape(sold, model), wape(sold, final), bias(sold, model), bias(sold, final), saved


def value_added_file(forecasts: str | Path, history: str | Path, out: str | Path) -> pd.DataFrame:
    """`value_added` of a file that `shelfcast forecast --overrides` wrote, against a history that has its days by now."""
    check_output(out, [forecasts, history])
    found = value_added(read_frame(forecasts, what="forecasts", **_FORECASTS), read_frame(history, what="history", **_ACTUALS))
    write_frame(found, out)
    return found


def _checked(overrides: pd.DataFrame, where: str) -> pd.DataFrame:
    missing = pd.Series(np.nan, index=overrides.index)
    both = overrides.get("units", missing).notna().astype(int) + overrides.get("factor", missing).notna().astype(int)
    for wrong, expected in (
        (both != 1, "has units and factor, or neither; expected one of the two"),
        (overrides["until"] < overrides["since"], "ends before it begins; expected until on or after since"),
    ):
        if wrong.any():
            raise BadInput(f"{where}: row {int(np.flatnonzero(wrong)[0]) + 1} {expected}")
    return overrides
