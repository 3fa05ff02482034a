"""What a file knows beyond the origin's features: planned columns on the target day, the same time last year, and the
attributes of store and product. Used by `shelfcast forecast`; a model that serves online does without."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from feature_repo.calendar import weekday
from feature_repo.demand_features import periods, ratio
from feature_repo.panel import Panel, with_groups
from training.demand.told import carried

#: days over which the lift of a yes/no column is learnt, and the units of sale that pull it to the lift of all series
_LIFT_DAYS, _LIFT_UNITS = 364, 20.0
#: days over which days like the target's are sought, the most yes/no columns that tell them apart, and the weight of the
#: profile in their mean, in days
_ALIKE_DAYS, _ALIKE_COLUMNS, _ALIKE_WEIGHT = 364, 3, 2.0
#: a yes/no column closes the shop when at least this share of its days sell nothing
_CLOSED_SHARE, _CLOSED_CELLS = 0.995, 30
_ATTRIBUTE_VALUES = 3000
#: periods over which the runs of a planned column are told apart
_RUN = 14


@dataclass(frozen=True)
class Covariates:
    """Ready to be looked up: the panel with the past of its planned columns filled, (n, codes) of attributes by name, sums
    from the start on (n, T+1) where the history is long enough for last year, and (n, T + H) where the shop is closed."""

    panel: Panel
    attributes: dict[str, np.ndarray]
    last_year: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    closed: np.ndarray | None
    #: (n, T + H) int16 which days are alike in every planned yes/no column, None without such a column
    kinds: np.ndarray | None = None
    #: the names of these columns
    alike: tuple[str, ...] = ()
    #: whether the plan says what things will cost: else no example may know the price of the day that it tells of
    priced: bool = False

    @classmethod
    def of(cls, panel: Panel) -> Covariates:
        """From a panel; its exposure is taken away where a planned column says that the shop is closed."""
        length = panel.units.shape[1]
        priced = "price" in panel.known and not np.isnan(panel.known["price"][:, length:]).all()
        known = {name: carried(values) if name == "price" else values for name, values in panel.known.items()}
        panel = replace(panel, known=known)
        closed = _closed(panel)
        if closed is not None:
            panel = with_groups(replace(panel, in_stock=np.where(closed[:, :length], np.float32(0), panel.in_stock)))
        alike = _told_apart(panel)
        return cls(panel, _attributes(panel), _last_year(panel), closed, _kinds(panel, alike), alike, priced)

    def columns(self, series: np.ndarray, position: int, horizon: np.ndarray, dow: np.ndarray) -> dict[str, np.ndarray]:
        """Features of m = len(series) x len(horizon[0]) rows, in rows of series: `series` (k,) numbers in the panel,
        `position` their origin, `horizon` (k, j) periods ahead, `dow` (k, 7) the weekday profiles at the origin."""
        target = position + horizon
        found = {name: np.repeat(codes[series], horizon.shape[1]) for name, codes in self.attributes.items()}
        for name, values in _planned(self.panel).items():
            if name == "price" and not self.priced:
                continue
            found |= {key: column.ravel() for key, column in self._planned(name, values, series, position, target, dow).items()}
        if self.kinds is not None:
            found["alike"] = self._alike(self.kinds, series, position, target, dow).ravel()
        for name, (codes, units, seen) in self.last_year.items():
            found[f"{name}_last_year"] = _season(units, seen, codes[series], position, target, self.panel.step).ravel()
        return found

    def _planned(
        self, name: str, values: np.ndarray, series: np.ndarray, position: int, target: np.ndarray, dow: np.ndarray
    ) -> dict[str, np.ndarray]:
        at = values[series[:, None], np.minimum(target, values.shape[1] - 1)]
        past = values[series, max(position + 1 - periods(91, self.panel.step), 0) : position + 1]
        known = ~np.isnan(past)
        usual = ratio(np.where(known, past, 0).sum(1), known.sum(1))[:, None]
        if name == "price":
            return {"price_to_usual": ratio(at, usual), "price_to_now": ratio(at, past[:, -1:])}
        found = {f"{name}_target": at, f"{name}_change": at - usual, **self._neighbours(name, values, series, position, target)}
        if _yes_no(values):
            found[f"{name}_lift"] = self._lift(values, series, position, at, dow)
        return found

    def _neighbours(self, name: str, values: np.ndarray, series: np.ndarray, position: int, target: np.ndarray) -> dict[str, np.ndarray]:
        """The column the period before and after, and for how many periods it has been and will stay what it is on the
        target day; nothing beyond the planned future as it reaches from this origin."""
        end = min(position + values.shape[1] - self.panel.units.shape[1], values.shape[1] - 1)
        first = int(target.min(initial=position + 1))  # no series has a day to tell of where a file has next to none
        around = np.clip(np.arange(first - _RUN, target.max(initial=first) + _RUN + 1), 0, end)
        part, at = values[series][:, around], target - first + _RUN
        row = np.arange(len(series))[:, None]
        now = part[row, at]
        since, until = (np.full(target.shape, _RUN, dtype=np.float32) for _ in range(2))
        for back in range(_RUN, 0, -1):
            since[part[row, at - back] != now] = back
            until[part[row, at + back] != now] = back
        after = np.where(target < end, part[row, at + 1], np.nan)
        return {f"{name}_before": part[row, at - 1], f"{name}_after": after, f"{name}_since": since, f"{name}_until": until}

    def _alike(self, kinds: np.ndarray, series: np.ndarray, position: int, target: np.ndarray, dow: np.ndarray) -> np.ndarray:
        """What days like the target's (weekday and yes/no columns) sell at the level of the last four weeks, over the
        profile's forecast. A kind of day the series has not seen sells by the factor it has in all series."""
        step = self.panel.step
        past = slice(max(position + 1 - periods(_ALIKE_DAYS, step), 0), position + 1)
        seen = self.panel.exposure[series, past]
        units = np.where(seen > 0, np.nan_to_num(self.panel.units[series, past]), 0)
        weekdays = weekday(self.panel.days[past]) if step == 1 else np.zeros(seen.shape[1], dtype=np.int64)
        shaped = seen * (np.take(dow, weekdays, axis=1) if step == 1 else np.ones_like(seen))
        level = np.nan_to_num(ratio(units.sum(1), seen.sum(1)))[:, None]
        kind = kinds[series, past] * 7 + weekdays
        factor = _factors(kind, units, shaped * level, _ALIKE_WEIGHT * level, int(kinds.max() + 1) * 7)
        month = slice(-periods(28, step), None)
        usual = ratio((np.take_along_axis(factor, kind[:, month], axis=1) * shaped[:, month]).sum(1), shaped[:, month].sum(1))
        ahead = kinds[series[:, None], np.minimum(target, kinds.shape[1] - 1)] * 7
        ahead = ahead + ((weekday(self.panel.days[:1])[0] + target) % 7 if step == 1 else 0)
        return np.take_along_axis(factor, ahead, axis=1) / np.maximum(np.nan_to_num(usual, nan=1.0), 1e-3)[:, None]

    def _lift(self, values: np.ndarray, series: np.ndarray, position: int, at: np.ndarray, dow: np.ndarray) -> np.ndarray:
        """Sales on such days over those of the last four weeks' mix of days, by the series' own past pulled to that of all."""
        step = self.panel.step
        start = max(position + 1 - periods(_LIFT_DAYS, step), 0)
        past = slice(start, position + 1)
        seen = np.where(np.isnan(self.panel.units[series, past]), 0, self.panel.in_stock[series, past])
        units = np.where(seen > 0, self.panel.units[series, past], 0)
        flag = values[series, past] > 0.5
        shape = dow[:, weekday(self.panel.days[past])] if step == 1 else np.ones_like(units)
        usual = seen * shape * ratio(units.sum(1), seen.sum(1))[:, None]
        usual = np.nan_to_num(usual)
        lifts = []
        for mask in (~flag, flag):
            sold, expected = (units * mask).sum(1), (usual * mask).sum(1)
            whole = sold.sum() / max(expected.sum(), 1e-9) if expected.sum() > 0 else 1.0
            lifts.append((sold + _LIFT_UNITS * whole) / (expected + _LIFT_UNITS))
        recent = flag[:, -periods(28, step) :].mean(1)
        mix = recent * lifts[1] + (1 - recent) * lifts[0]
        chosen = np.where(at > 0.5, lifts[1][:, None], lifts[0][:, None])
        return np.where(np.isnan(at), np.nan, chosen / np.maximum(mix, 1e-6)[:, None])


def _factors(kind: np.ndarray, units: np.ndarray, expected: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """(k, count) units over expected units by kind of day, each pulled by `weight` (k, 1) units to that of all series."""
    cell = (np.arange(len(kind))[:, None] * count + kind).ravel()
    sold, usual = (np.bincount(cell, values.ravel(), len(kind) * count).reshape(-1, count) for values in (units, expected))
    of_all = np.clip(np.nan_to_num(ratio(sold.sum(0), usual.sum(0)), nan=1.0), 0.05, 20)
    return (sold + weight * of_all) / np.maximum(usual + weight, 1e-9)


def _planned(panel: Panel) -> dict[str, np.ndarray]:
    """The columns whose future is known, or asked for without one."""
    length = panel.units.shape[1]
    return {name: values for name, values in panel.known.items() if values.shape[1] == length or not np.isnan(values[:, length:]).all()}


def _told_apart(panel: Panel) -> tuple[str, ...]:
    """The yes/no columns by which days are told apart."""
    return tuple(name for name, values in _planned(panel).items() if name != "price" and _yes_no(values))[:_ALIKE_COLUMNS]


def _kinds(panel: Panel, alike: tuple[str, ...]) -> np.ndarray | None:
    if not alike:
        return None
    return np.sum([(np.nan_to_num(panel.known[name]) > 0.5).astype(np.int16) << bit for bit, name in enumerate(alike)], axis=0)


def _yes_no(values: np.ndarray) -> bool:
    sample = values[:: max(len(values) // 2000, 1)]
    known = sample[~np.isnan(sample)]
    return bool(len(known)) and bool(np.isin(known, (0.0, 1.0)).all()) and bool((known > 0).any())


def _closed(panel: Panel) -> np.ndarray | None:
    """(n, T + H) the cells in which the store's week or a yes/no column tells that nothing can be sold, None without either."""
    closed, length = None, panel.units.shape[1]
    for name, values in panel.known.items():
        if name == "price" or not _yes_no(values):
            continue
        past, known = values[:, :length], ~np.isnan(panel.units)
        for state in (0.0, 1.0):
            here = known & (past == state)
            nothing, elsewhere = panel.units[here] == 0, panel.units[known & (past == 1 - state)] == 0
            if here.sum() >= _CLOSED_CELLS and nothing.mean() >= _CLOSED_SHARE and len(elsewhere) and elsewhere.mean() < 0.5:
                closed = (values == state) if closed is None else closed | (values == state)
    if panel.closed is not None:
        # of the horizon only: the past of such a weekday says what a day without sales looks like; without it the WAPE of
        # Rossmann's stores was .0762 instead of .0734
        coming = np.where(np.arange(panel.closed.shape[1]) < length, False, panel.closed)
        closed = coming if closed is None else closed | coming
    return closed


def _attributes(panel: Panel) -> dict[str, np.ndarray]:
    """Codes of every attribute of store and product, in order of name."""
    columns = {f"{name}_code": frame[name] for frame in (panel.keys, panel.static) for name in frame}
    found = {}
    for name, values in columns.items():
        if not (isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"):
            codes, distinct = pd.factorize(values, sort=True)
            values = pd.Series(np.where(codes < 0, np.nan, codes))
            if len(distinct) > _ATTRIBUTE_VALUES:
                continue
        if values.nunique() > 1:
            found[name] = values.to_numpy(dtype=np.float32)
    return found


def _last_year(panel: Panel) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    if panel.units.shape[1] < periods(364 + 182, panel.step):
        return {}
    exposure = panel.exposure
    own = (np.arange(len(panel.keys)), np.where(exposure > 0, np.nan_to_num(panel.units), 0), exposure)
    groups = {name: (g.codes, g.units, g.exposure) for name, g in panel.groups.items()}
    return {name: (codes, _running(units), _running(seen)) for name, (codes, units, seen) in {"own": own, **groups}.items()}


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)


def _season(units: np.ndarray, seen: np.ndarray, codes: np.ndarray, position: int, target: np.ndarray, step: int) -> np.ndarray:
    """(k, j) mean around the target day a year ago over the mean of the four weeks up to the origin's day a year ago."""
    year, month, half = periods(364, step), periods(28, step), 3 if step == 1 else 1
    if position - year - month + 1 < 0:
        return np.full(target.shape, np.nan)

    def mean(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        row = codes[:, None]
        return ratio(units[row, high + 1] - units[row, low], seen[row, high + 1] - seen[row, low])

    ago = target - year
    end = np.full((len(codes), 1), position - year)
    return mean(np.clip(ago - half, 0, position + 1), np.minimum(ago + half, position)) / np.maximum(mean(end - month + 1, end), 1e-6)
