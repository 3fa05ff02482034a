"""A learned model together with the series that it can tell of: forecasts, and why they are what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS, Panel
from infra.errors import BadInput
from training.demand import explain
from training.demand.covariates import Covariates
from training.demand.examples import Rows
from training.demand.history_file import Brought
from training.demand.learning import learn, rows_at
from training.demand.model import DemandModel

Progress = Callable[[int, int, str], None]
#: a series younger than this is new, one without a row for so long has ended
_NEW_DAYS, _ENDED_DAYS = 28, 28
#: rows answered and explained at a time: the first bounds the memory of series x horizons, the second tells of its progress
_ROWS, _EXPLAINED_ROWS = 300_000, 20_000


@dataclass(frozen=True)
class Forecaster:
    """`model` learnt on the panel of `covariates`; `series` (k,) the numbers of those that are alive; `horizon` in periods."""

    model: DemandModel
    covariates: Covariates
    series: np.ndarray
    horizon: int

    @classmethod
    def learnt(cls, brought: Brought, horizon: int, seed: int = 0, progress: Progress | None = None) -> Forecaster:
        """From what a user brought. Raises BadInput when no series is alive."""
        if not brought.alive.any():
            raise BadInput("history: no series has a row in the 91 days up to the origin; expected at least one that is alive")
        covariates = Covariates.of(brought.panel)
        return cls(learn(covariates, horizon, seed, progress), covariates, np.flatnonzero(brought.alive), horizon)

    def planning(self, brought: Brought) -> Forecaster:
        """The same model for another plan of the same history's future."""
        return replace(self, covariates=Covariates.of(brought.panel), series=np.flatnonzero(brought.alive))

    def answer(self, levels: Sequence[float]) -> pd.DataFrame:
        """A row a series and step: keys, `ds, origin, units`, a column a quantile, `note`."""
        return pd.concat([self._answered(*part, levels) for part in self._parts(_ROWS)], ignore_index=True)

    def explanation(self, progress: Progress | None = None) -> pd.DataFrame:
        """A row a series and step: keys, `ds, origin, units`, columns `by_<driver>` that sum to `units`, and `why` in words."""
        say, told = progress or (lambda done, total, label: None), 0
        parts = []
        for series, rows, closed in self._parts(_EXPLAINED_ROWS):
            parts.append(self._explained(series, rows, closed))
            told += len(series)
            say(told, len(self.series), "explaining")
        return pd.concat(parts, ignore_index=True)

    def _parts(self, size: int) -> Iterator[tuple[np.ndarray, Rows, np.ndarray]]:
        """Some series at a time: their numbers, the rows of every step, and (m,) on which the shop is closed."""
        panel, chunk = self.covariates.panel, max(size // self.horizon, 1)
        last = panel.units.shape[1] - 1
        for start in range(0, len(self.series), chunk):
            series = self.series[start : start + chunk]
            ahead = np.tile(np.arange(1, self.horizon + 1), (len(series), 1))
            closed = np.zeros(ahead.size, dtype=bool)
            if self.covariates.closed is not None:
                closed = self.covariates.closed[series][:, last + 1 :].ravel()
            yield series, rows_at(self.covariates, panel, series, last, ahead), closed

    def _keyed(self, series: np.ndarray, rows: Rows, units: np.ndarray) -> pd.DataFrame:
        panel = self.covariates.panel
        keys = panel.keys.iloc[np.repeat(series, self.horizon)].reset_index(drop=True)
        return keys[list(KEYS)].assign(ds=rows.ds, origin=panel.days[-1], units=units)

    def _answered(self, series: np.ndarray, rows: Rows, closed: np.ndarray, levels: Sequence[float]) -> pd.DataFrame:
        units = np.where(closed, 0.0, self.model.units(rows))
        ahead = np.tile(np.arange(1, self.horizon + 1), len(series))
        quantiles = self.model.quantiles(rows, units, ahead, levels) if levels else np.empty((len(units), 0))
        named = {f"q{level:g}": quantiles[:, at] for at, level in enumerate(levels)}
        return self._keyed(series, rows, units).assign(**named, note=np.repeat(notes(self.covariates.panel, series), self.horizon))

    def _explained(self, series: np.ndarray, rows: Rows, closed: np.ndarray) -> pd.DataFrame:
        parts = explain.explained(self.model, rows, explain.drivers(rows.names, self.covariates.panel.known, self.covariates.alike))
        if closed.any():
            parts[explain.CLOSED] = np.where(closed, -np.sum(list(parts.values()), axis=0), 0.0)
        units = np.where(closed, 0.0, self.model.units(rows))
        by = {f"by_{name}": values for name, values in parts.items()}
        return self._keyed(series, rows, units).assign(**by, why=explain.sentences(parts))


def notes(panel: Panel, series: np.ndarray) -> np.ndarray:
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
