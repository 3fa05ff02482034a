"""The channels: each looks at a day of a series in one way and says how strange it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from feature_repo.panel import Panel, frequency, from_frame, offered, zero_gaps
from training.anomaly.calibrate import maturity, pooled, rarity, strata
from training.anomaly.expectation import Expectation, expect
from training.anomaly.ratios import log_ratio, ratio_surprise
from training.anomaly.surprise import seen_before, shifts, surprise, zero_runs

#: optional columns of a history that open further channels
EXTRA = ("revenue", "lines", "baskets", "returns")
#: how much each channel's evidence counts: those that sales' natural drift sets off count less
WEIGHTS = {
    "spike": 1.0, "drop": 0.7, "shift_up": 0.2, "shift_down": 0.2, "price": 1.0, "line_size": 0.2, "feed": 1.0,
    "lines": 0.5, "returns": 1.0,
}  # fmt: skip
#: channels that hold a day against the series' own level, and periods that this must have been seen before they tell
_OF_LEVEL, _LEARNT = {"spike", "drop", "lines"}, 3
#: days with rows from which it is read what a history is like, and the share of zeros from which on it writes them
_TELLING_DAYS, _ZERO_SHARE = 28, 0.01
#: days whose sum shows a lasting move
_WINDOW = 7


@dataclass(frozen=True)
class Judged:
    """All channels of a panel, (n, T) each, in powers of ten; `expected` is what the units were held against, `usual` the
    usual value of each ratio channel (a log)."""

    panel: Panel
    expected: Expectation
    powers: dict[str, np.ndarray]
    score: np.ndarray
    usual: dict[str, np.ndarray] = field(default_factory=dict)
    #: what the lines were held against, where the history has them
    of_lines: Expectation | None = None


def panel_of(history: pd.DataFrame) -> Panel:
    """The panel of a history, from its first row on. Whether it is of days or weeks is read from its first days with rows, and
    whether zeros are written from those up to each of them, so that no later row can change an earlier score. A price stands for the
    revenue where that is not told."""
    if "price" in history and "revenue" not in history:
        history = history.assign(revenue=history["price"] * history["units"])
    known = [name for name in EXTRA if name in history]
    panel = from_frame(history, known=known, writes_zeros=True, step=_step(history["ds"]), longest=None)
    zero_gaps(panel.units, ~_zeros_written(history, panel.keys["store_id"], panel.days))
    return replace(panel, in_stock=offered(panel.units, panel.in_stock))


def off_weeks(ds: pd.Series) -> int | None:
    """The first row that is not whole weeks after the first day of a history whose first days are; None where none is."""
    off = (ds - ds.min()).dt.days.to_numpy() % 7 != 0
    return int(off.argmax()) if _step(ds) == 7 and off.any() else None


def _step(ds: pd.Series) -> int:
    return frequency(ds[ds <= _first_days(ds)[-1]])


def _first_days(ds: pd.Series) -> np.ndarray:
    return np.sort(ds.unique())[:_TELLING_DAYS]


def _zeros_written(history: pd.DataFrame, stores: pd.Series, days: pd.DatetimeIndex) -> np.ndarray:
    """(n, T) whether in the first days of each series' store, up to each day, one row in a hundred is a zero that was written."""
    written = np.zeros((len(stores), len(days)), dtype=bool)
    for store, rows in history.groupby("store_id"):
        first = _first_days(rows["ds"])
        told = rows[rows["ds"] <= first[-1]].groupby("ds")["units"].agg(["size", lambda units: (units == 0).sum()]).sort_index()
        share = (told.iloc[:, 1].cumsum() / told.iloc[:, 0].cumsum()).to_numpy()
        at = np.maximum(np.searchsorted(first, days.to_numpy(), side="right") - 1, 0)
        written[(stores == store).to_numpy()] = share[at] >= _ZERO_SHARE
    return written


def judge(panel: Panel) -> Judged:
    """Every channel that the panel's columns allow, calibrated against earlier days, and pooled to one score."""
    store, product = (pd.factorize(panel.keys[name])[0] for name in ("store_id", "product_id"))
    weekday = panel.days.dayofweek.to_numpy() if panel.step == 1 else np.zeros(len(panel.days), dtype=int)
    units = panel.units.astype(float)
    expected = expect(units, panel.exposure, weekday, store, product)
    raw: dict[str, np.ndarray] = {}
    grains, due = units / expected.grain, expected.mean / expected.grain
    high, low = surprise(grains, due, expected.spread)
    raw["spike"] = high
    raw["drop"] = np.maximum(low, zero_runs(grains, due, expected.spread))
    up, down = shifts(units, expected.level, expected.weight, expected.spread, _WINDOW)
    raw["shift_up"], raw["shift_down"] = up, down
    more, usual, of_lines = _extra_channels(panel, units, weekday, store, product)
    raw |= more
    seen = panel.exposure > 0
    for name in _OF_LEVEL & raw.keys():
        raw[name] = raw[name] * (seen_before(seen, 1) >= _LEARNT)
    counted = maturity(seen)
    stratum = strata(expected.level)
    powers = {name: rarity(np.abs(values), stratum, counted) * seen for name, values in raw.items()}
    score = rarity(pooled(powers, WEIGHTS), stratum, counted, slack=np.inf) * seen
    return Judged(panel, expected, powers, score, usual, of_lines)


def _extra_channels(
    panel: Panel, units: np.ndarray, weekday: np.ndarray, store: np.ndarray, product: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Expectation | None]:
    columns = {name: _filled(panel, name, units) for name in EXTRA if name in panel.known}
    raw: dict[str, np.ndarray] = {}
    usual: dict[str, np.ndarray] = {}
    ratios = {"price": ("revenue", "units"), "line_size": ("units", "lines"), "feed": ("lines", "baskets")}
    sides = {"units": units, **columns}
    for name, (top, bottom) in ratios.items():
        if top in sides and bottom in sides:
            raw[name], usual[name] = ratio_surprise(log_ratio(sides[top], sides[bottom]), product)
    of_lines = None
    if "lines" in columns:
        of_lines = expect(columns["lines"], panel.exposure, weekday, store, product)
        raw["lines"] = surprise(columns["lines"], of_lines.mean, of_lines.spread)[0]
    if "returns" in columns:
        raw["returns"] = _returns(columns["returns"], units)
    return raw, usual, of_lines


def _filled(panel: Panel, name: str, units: np.ndarray) -> np.ndarray:
    """A column; unknown where the units are unknown, 0 where a day without a row was filled with 0 units."""
    values = panel.known[name][:, : units.shape[1]].astype(float)
    return np.where(np.isnan(units), np.nan, np.where(np.isnan(values) & (units == 0), 0.0, values))


def _returns(returns: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Surprise of the units returned, given the series' return rate so far and what it sold lately."""
    n, periods = units.shape
    mean, spread = np.zeros((n, periods), dtype=np.float32), np.zeros((n, periods), dtype=np.float32)
    back, sold, lately = np.zeros(n), np.zeros(n), np.zeros(n)
    for t in range(periods):
        x, r = np.nan_to_num(units[:, t]), np.nan_to_num(returns[:, t])
        lately = 0.85 * lately + 0.15 * x
        rate = (back.sum() + 1.0) / (sold.sum() + 200.0)
        own = (back + 50.0 * rate) / (sold + 50.0)
        mean[:, t] = own * (lately + 0.1)
        spread[:, t] = 0.5 + 1.0 / (1.0 + back)
        back = 0.99 * back + np.minimum(r, mean[:, t] + 4 * np.sqrt(mean[:, t]) + 1)
        sold = 0.99 * sold + x
    return surprise(returns, mean, spread)[0]
