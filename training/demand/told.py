"""What a file tells and what it leaves out: the planned columns of days without a row, and what such days were taken for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from feature_repo.panel import Panel
from training.files import begun_on

#: a planned column that says which cells have a row
ROW = "a row of its own"
#: the share of the days without a row of which a planned column may say nothing
_UNTOLD_SHARE = 0.05
#: a price that moved by less than this share stayed
_SAME_PRICE = 0.005
#: stores that a sentence names
_NAMED = 3


def assumptions(panel: Panel) -> tuple[str, ...]:
    """A sentence for each thing that days without a row were taken for; `panel` with its column ROW."""
    length, unit = panel.units.shape[1], "days" if panel.step == 1 else "weeks"
    rows, known = ~np.isnan(panel.known[ROW][:, :length]), ~np.isnan(panel.units)
    between = np.maximum.accumulate(rows, axis=1) & np.maximum.accumulate(rows[:, ::-1], axis=1)[:, ::-1] & ~rows
    closed = np.zeros_like(rows) if panel.closed is None else panel.closed[:, :length]
    unsold, unknown = int((between & known & ~closed).sum()), int((between & ~known).sum())
    told = []
    if unsold:
        told.append(f"{unsold:,} {unit} without a row, between a series' first and last, are taken as {unit} without a sale")
    if unknown:
        told.append(f"{unknown:,} {unit} without a row, in stores that write their zeros, are taken as not known")
    return (*told, *_weekdays_off(panel), *begun_on(panel.days[0], panel.step))


def _weekdays_off(panel: Panel) -> list[str]:
    """A sentence for each weekday on which stores are closed now."""
    if panel.closed is None:
        return []
    week = panel.closed[:, -7:]
    stores = panel.keys["store_id"].to_numpy()
    told = []
    for at in range(week.shape[1]):
        of = np.unique(stores[week[:, at]])
        if len(of):
            day = panel.day(panel.closed.shape[1] - week.shape[1] + at).day_name()
            some = ", ".join(map(str, of[:_NAMED])) + (f" and {len(of) - _NAMED:,} more" if len(of) > _NAMED else "")
            told.append(f"store {some}: no row on any {day} of late, so it is taken as closed then, in the horizon too")
    return told


def settled(panel: Panel, texts: set[str], blank: set[str]) -> tuple[Panel, tuple[str, ...]]:
    """The panel with its planned columns told in every cell that the file means: on days whose zeros are left out, by what the
    store's or all other rows of the day say alike; on coming days without a row in the plan, no promotion, and what it was
    last. With the columns that are left out since too much of the past stays untold.

    Where the plan leaves out days as the history does (a shop that is closed has no row in either), a day without a row
    means the same in both, and is left as it is."""
    length = panel.units.shape[1]
    rows = ~np.isnan(panel.known[ROW])
    listed = rows[:, length:].any(axis=1)
    if panel.closed is not None:
        # no plan says anything of a day on which the store is closed, and none has to
        rows |= panel.closed
    own = {name: values for name, values in panel.known.items() if name != ROW}
    coming = rows[:, length:] if any(not np.isnan(values[:, length:]).all() for values in own.values()) else None
    filled = ~np.isnan(panel.units) & ~rows[:, :length]
    if coming is not None and _left_out_alike(filled, ~np.isnan(panel.units), coming[listed]):
        return replace(panel, known=own, planned=coming), ()
    known, untold = {}, []
    store = pd.factorize(panel.keys["store_id"])[0]
    for name, values in own.items():
        if name == "price" and filled.any() and not np.isnan(values[:, length:]).all():
            past = _lasting(values[:, :length])
            if np.isnan(past[filled]).mean() > _UNTOLD_SHARE:
                untold.append(name)
                # what it was up to the origin is known all the same
                known[name] = np.concatenate([values[:, :length], np.full_like(values[:, length:], np.nan)], axis=1)
                continue
            values = np.concatenate([np.where(filled, past, values[:, :length]), values[:, length:]], axis=1)
        if name != "price" and filled.any() and not np.isnan(values[:, :length]).all():
            past = _agreed(_agreed(values[:, :length], store), np.zeros(len(store), dtype=int))
            if np.isnan(past[filled]).mean() > _UNTOLD_SHARE:
                untold.append(name)
                continue
            values = np.concatenate([np.where(filled, past, values[:, :length]), values[:, length:]], axis=1)
        if name not in blank and not np.isnan(values[:, length:]).all():
            values = np.concatenate([values[:, :length], _staying(values, length, name in texts, name == "price")], axis=1)
        known[name] = values.astype(np.float32)
    return replace(panel, known=known, planned=coming), tuple(untold)


def _left_out_alike(filled: np.ndarray, begun: np.ndarray, coming: np.ndarray) -> bool:
    """Whether the plan has no row on about as many days as the history."""
    left_out = filled.sum() / max(int(begun.sum()), 1)
    return bool(filled.any() and 1 - coming.mean() >= 0.5 * left_out)


def _agreed(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Values with what is not known taken from the group's other rows of the day, where they all say the same."""
    out = values.copy()
    for number in np.unique(group):
        of = group == number
        part = values[of]
        known = ~np.isnan(part)
        low, high = np.where(known, part, np.inf).min(axis=0), np.where(known, part, -np.inf).max(axis=0)
        out[of] = np.where(known, part, np.where(low == high, low, np.nan))
    return out


def _lasting(prices: np.ndarray) -> np.ndarray:
    """Prices with those of days without a row where the one before and the one after are the same, or none came after."""
    before, after = carried(prices), carried(prices[:, ::-1])[:, ::-1]
    same = np.isnan(after) | (np.abs(after - before) <= _SAME_PRICE * np.abs(before))
    return np.where(np.isnan(prices) & same, before, prices)


def carried(values: np.ndarray) -> np.ndarray:
    """Each cell's newest known value up to it."""
    at = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(values.shape[1])), axis=1)
    return np.take_along_axis(values, at, axis=1)


def _staying(values: np.ndarray, length: int, text: bool, price: bool) -> np.ndarray:
    """(n, H) the coming cells, those without a plan as they stay: no text, of yes and no what is usual, else the last that was
    known."""
    told = values[~np.isnan(values)]
    coming = values[:, length:]
    if text or (not price and np.isin(told, (0.0, 1.0)).all()):
        return np.where(np.isnan(coming), 1.0 if text else float(told.mean() > 0.5), coming)
    return carried(values)[:, length:]
