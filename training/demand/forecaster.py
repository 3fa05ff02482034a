"""A learned model together with the series that it can tell of: forecasts, and why they are what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from feature_repo.panel import KEYS, Panel
from infra.errors import BadInput
from training.demand import explain
from training.demand.covariates import Covariates
from training.demand.examples import FULL, Rows
from training.demand.history_file import Brought
from training.demand.learning import Learnt, learn, rows_at
from training.demand.model import DemandModel

Progress = Callable[[int, int, str], None]
#: a series younger than this is new, one without a row for so long has ended
_NEW_DAYS, _ENDED_DAYS = 28, 28
#: so long a silence is no chance where the series' own rate of sale explains it less often than this
_SILENCE = 1e-4
#: rows answered and explained at a time: the first bounds the memory of series x horizons, the second tells of its progress
_ROWS, _EXPLAINED_ROWS = 300_000, 20_000
#: origins from which the held-out end is forecast
_HELD_ORIGINS = 4


@dataclass(frozen=True)
class Forecaster:
    """What was `learnt` on the panel of `covariates`; `series` (k,) the numbers of those that are alive; `horizon` in periods."""

    learnt: Learnt
    covariates: Covariates
    series: np.ndarray
    horizon: int

    @classmethod
    def learn(cls, brought: Brought, horizon: int, seed: int = 0, progress: Progress | None = None) -> Forecaster:
        """From what a user brought. Raises BadInput when no series is alive."""
        if not brought.alive.any():
            raise BadInput("history: no series has a row in the 91 days up to the origin; expected at least one that is alive")
        covariates = Covariates.of(brought.panel)
        return cls.of(covariates, np.flatnonzero(brought.alive), horizon, seed, progress)

    @classmethod
    def of(cls, covariates: Covariates, series: np.ndarray, horizon: int, seed: int = 0, progress: Progress | None = None) -> Forecaster:
        """For some series of a panel, learnt on all of them."""
        return cls(learn(covariates, horizon, seed, progress), covariates, series, horizon)

    @property
    def model(self) -> DemandModel:
        """The model that forecasts."""
        return self.learnt.model

    def planning(self, brought: Brought) -> Forecaster:
        """The same model for another plan of the same history's future."""
        return replace(self, covariates=Covariates.of(brought.panel), series=np.flatnonzero(brought.alive))

    def answer(self, levels: Sequence[float], means: np.ndarray | None = None) -> pd.DataFrame:
        """A row a series and step: keys, `ds, origin, units`, a column a quantile, `demand`, `note`. `means` (k, horizon) units stand
        for the model's where they are given."""
        parts, at = [], 0
        for series, rows, closed in self._parts(_ROWS):
            units = self.model.units(rows) if means is None else means[at : at + len(series)].ravel()
            parts.append(self._answered(series, rows, np.where(closed, 0.0, units), levels))
            at += len(series)
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """How the trial forecast the end that it had not seen, from a few origins: (origins, k, steps) mean units, and the
        units of days wholly in stock, NaN elsewhere. `steps` is the horizon, or what a short history could hold out of it; no
        origin where it could hold out nothing."""
        panel = self.covariates.panel
        end, steps = panel.units.shape[1] - 1, min(self.horizon, self.learnt.held)
        first, last = end - self.learnt.held, end - steps
        origins = np.unique(np.linspace(first, last, _HELD_ORIGINS).round().astype(int)) if steps else np.empty(0, dtype=int)
        means, actual = (np.full((len(origins), len(self.series), steps), np.nan) for _ in range(2))
        for at, origin in enumerate(origins):
            parts = [self.learnt.trial.predict(rows) for _, rows, _ in self._parts(_ROWS, origin, steps)]
            means[at] = np.concatenate(parts).reshape(len(self.series), steps)
            ahead = self.series, slice(origin + 1, origin + 1 + steps)
            actual[at] = np.where(panel.in_stock[ahead] >= FULL, panel.units[ahead], np.nan)
        return means, actual

    @property
    def is_judged(self) -> bool:
        """Whether any day of the held-out end, wholly in stock, says how far the forecasts are off."""
        return not np.isnan(self.held_out[1]).all()

    def explanation(self, progress: Progress | None = None) -> pd.DataFrame:
        """A row a series and step: keys, `ds, origin, units`, columns `by_<driver>` that sum to `units`, and `why` in words."""
        say, told = progress or (lambda done, total, label: None), 0
        parts = []
        for series, rows, closed in self._parts(_EXPLAINED_ROWS):
            parts.append(self._explained(series, rows, closed))
            told += len(series)
            say(told, len(self.series), "explaining")
        return pd.concat(parts, ignore_index=True)

    def _parts(self, size: int, origin: int | None = None, steps: int | None = None) -> Iterator[tuple[np.ndarray, Rows, np.ndarray]]:
        """Some series at a time: their numbers, the rows of the `steps` (default: the horizon) from `origin` on (a period's
        number; default: the last), and (m,) on which the shop is closed."""
        steps = self.horizon if steps is None else steps
        whole, chunk = self.covariates.panel, max(size // steps, 1)
        last = whole.units.shape[1] - 1 if origin is None else origin
        panel = whole.upto(last)
        for start in range(0, len(self.series), chunk):
            series = self.series[start : start + chunk]
            ahead = np.tile(np.arange(1, steps + 1), (len(series), 1))
            closed = np.zeros(ahead.size, dtype=bool)
            if self.covariates.closed is not None:
                closed = self.covariates.closed[series][:, last + 1 : last + 1 + steps].ravel()
            yield series, rows_at(self.covariates, panel, series, last, ahead), closed

    def _keyed(self, series: np.ndarray, rows: Rows, units: np.ndarray) -> pd.DataFrame:
        panel = self.covariates.panel
        keys = panel.keys.iloc[np.repeat(series, self.horizon)].reset_index(drop=True)
        return keys[list(KEYS)].assign(ds=rows.ds, origin=panel.origin, units=units)

    def _answered(self, series: np.ndarray, rows: Rows, units: np.ndarray, levels: Sequence[float]) -> pd.DataFrame:
        ahead = np.tile(np.arange(1, self.horizon + 1), len(series))
        quantiles = self.model.quantiles(rows, units, ahead, levels) if levels else np.empty((len(units), 0))
        named = {f"q{level:g}": quantiles[:, at] for at, level in enumerate(levels)}
        note = np.repeat(notes(self.covariates.panel, series), self.horizon)
        return self._keyed(series, rows, units).assign(**named, demand=self.learnt.latent.demand(rows, units), note=note)

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
    unsold, rate = _unsold(units, seen)
    told = {
        "new: no row yet, by similar items": ~known.any(1),
        "never in stock: by similar items": ~seen.any(1),
        "never sold": ~(units > 0).any(1),
        "ended: no row in the last 28 days": silent >= _ENDED_DAYS,
        "ended: no sale in the last 28 days, which were rare before": (unsold * panel.step >= _ENDED_DAYS)
        & ((1 - rate) ** unsold < _SILENCE),
        "new: fewer than 28 days": age < _NEW_DAYS,
    }
    return np.select(list(told.values()), list(told), _unplanned(panel, series))


def _unsold(units: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k,) the periods on offer since each series' last sale, and the share of those before that had one."""
    sold = units > 0
    since = np.cumsum(sold[:, ::-1], axis=1)[:, ::-1] == 0
    before = np.maximum((seen & ~since).sum(1), 1)
    return (seen & since).sum(1), (sold & seen).sum(1) / before


def _unplanned(panel: Panel, series: np.ndarray) -> np.ndarray:
    """(k,) `ok`, or on how many of the coming days nothing is planned of a series where the future file plans anything."""
    if panel.planned is None:
        return np.full(len(series), "ok", dtype=object)
    days = panel.planned.shape[1]
    lacking = days - panel.planned[series].sum(axis=1)
    return np.array(["ok" if not few else f"no row in the future file for {few} of {days} steps" for few in lacking], dtype=object)
