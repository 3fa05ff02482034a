"""The channels: each looks at a day of a series in one way and says how strange it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from feature_repo.panel import Panel, from_frame, offered
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


def panel_of(history: pd.DataFrame) -> Panel:
    """The panel of a history. Whether its zeros are written is read from its first 28 days with rows, so that no later row can
    change an earlier score."""
    days = np.sort(history["ds"].unique())[:28]
    first = history[history["ds"] <= days[-1]]
    writes_zeros = bool((first["units"] == 0).mean() >= 0.01)
    panel = from_frame(history, known=[name for name in EXTRA if name in history], writes_zeros=writes_zeros)
    return replace(panel, in_stock=offered(panel.units, panel.in_stock))


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
    more, usual = _extra_channels(panel, units, expected, weekday, store, product)
    raw |= more
    seen = panel.exposure > 0
    for name in _OF_LEVEL & raw.keys():
        raw[name] = raw[name] * (seen_before(seen, 1) >= _LEARNT)
    counted = maturity(seen)
    stratum = strata(expected.level)
    powers = {name: rarity(np.abs(values), stratum, counted) * seen for name, values in raw.items()}
    score = rarity(pooled(powers, WEIGHTS), stratum, counted, slack=np.inf) * seen
    return Judged(panel, expected, powers, score, usual)


def _extra_channels(panel, units, expected, weekday, store, product):
    columns = {name: _filled(panel, name, units) for name in EXTRA if name in panel.known}
    raw: dict[str, np.ndarray] = {}
    usual: dict[str, np.ndarray] = {}
    ratios = {"price": ("revenue", "units"), "line_size": ("units", "lines"), "feed": ("lines", "baskets")}
    sides = {"units": units, **columns}
    for name, (top, bottom) in ratios.items():
        if top in sides and bottom in sides:
            raw[name], usual[name] = ratio_surprise(log_ratio(sides[top], sides[bottom]), product)
    if "lines" in columns:
        of_lines = expect(columns["lines"], panel.exposure, weekday, store, product)
        raw["lines"] = surprise(columns["lines"], of_lines.mean, of_lines.spread)[0]
    if "returns" in columns:
        raw["returns"] = _returns(columns["returns"], units)
    return raw, usual


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
