"""Forecasts of sums: by store, by category, of everything. Higher levels are the sums of the series (bottom-up), so that
means are coherent whatever made them; their quantiles are calibrated on how the sums of a held-out end came out, since
what series have in common does not average out.

`reconciled` moves the series toward forecasts that were made of the sums themselves, in proportion to how uncertain each is
(MinT with a diagonal of error variances, known as WLS: Wickramasuriya, Athanasopoulos and Hyndman 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse

from feature_repo.panel import KEYS, Panel, with_groups
from infra.errors import BadInput
from training.demand.calibration import Calibration
from training.demand.covariates import Covariates
from training.demand.error import level_shift
from training.demand.forecaster import Forecaster
from training.files import words_of

TOTAL = "total"
#: joins the columns of a level, and the values of a member
_AND = "+"
#: sums that may be reconciled at once: what is solved grows with their square
MOST_SUMS = 4000
#: held-out days from which a sum's error is known, and the variance of one that is not
_LEAST_CELLS, _NEVER = 14, 1e15


@dataclass(frozen=True)
class Level:
    """Groups of series: `members` (g,) names, `codes` (k,) the group of each series; a blank attribute is a group too."""

    name: str
    members: np.ndarray
    codes: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(..., g, H) sums of (..., k, H) values."""
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(len(self.members)))
        return np.add.reduceat(values[..., order, :], starts, axis=-2)


def levels_of(text: str, panel: Panel, series: np.ndarray) -> list[Level]:
    """The levels of a list such as `total,store_id,store_id+category`, over the `series` (k,) of a panel. Raises BadInput."""
    facts = pd.concat([panel.keys, panel.static], axis=1).iloc[series]
    return [_level(name, facts) for name in dict.fromkeys(part.strip() for part in text.split(","))]


def _level(name: str, facts: pd.DataFrame) -> Level:
    if name == TOTAL:
        return Level(name, np.array([TOTAL], dtype=object), np.zeros(len(facts), dtype=np.int64))
    columns = name.split(_AND)
    for column in columns:
        if columns.count(column) > 1:
            raise BadInput(f"levels: {name!r} names {column!r} twice; expected each column once")
        if column not in facts:
            known = ", ".join(map(str, facts.columns))
            raise BadInput(f"levels: there is no {column!r}; expected {TOTAL}, or one or more of {known}, joined by {_AND}")
    words = facts[columns].apply(words_of).fillna("")
    codes = words.groupby(columns, sort=True).ngroup().to_numpy()
    members = words.iloc[np.unique(codes, return_index=True)[1]].agg(_AND.join, axis=1)
    return Level(name, members.to_numpy(dtype=object), codes)


def summed(
    forecaster: Forecaster, levels: Sequence[Level], means: np.ndarray, quantiles: Sequence[float]
) -> pd.DataFrame:  # fmt: skip
    """Rows `level, member, ds, origin, units` and a column a quantile, for each member and step. `means` (k, horizon) are the
    forecasts of the series, as they will be read beside these."""
    held, actual = forecaster.held_out
    held = np.where(np.isnan(actual), 0.0, held)
    actual = np.nan_to_num(actual)
    panel = forecaster.covariates.panel
    days = pd.date_range(panel.day(panel.units.shape[1]), periods=forecaster.horizon, freq=f"{panel.step}D")
    parts = []
    for level in levels:
        calibration = _calibrated(level.sums(held), level.sums(actual))
        parts.append(_rows(level, level.sums(means), calibration, quantiles, days, panel))
    return pd.concat(parts, ignore_index=True)


def _calibrated(mean: np.ndarray, actual: np.ndarray) -> Calibration:
    """Of one level, from its held-out sums, (origins, g, steps). What the whole level was off by, to one side, the next time
    it may be off by to the other: each sum counts twice, once with the shift and once with its inverse."""
    shift = level_shift(mean, actual)
    ahead = np.broadcast_to(np.arange(1, mean.shape[-1] + 1), mean.shape)
    twice = np.concatenate([mean.ravel(), mean.ravel() * shift**2])
    known = twice > 0
    unknown = np.full(int(known.sum()), np.nan)
    return Calibration.fit(twice[known], np.tile(actual.ravel(), 2)[known], unknown, np.tile(ahead.ravel(), 2)[known])


def _rows(
    level: Level, means: np.ndarray, calibration: Calibration, quantiles: Sequence[float], days: pd.DatetimeIndex, panel: Panel
) -> pd.DataFrame:  # fmt: skip
    count, horizon = means.shape
    units = means.ravel()
    found = calibration.quantiles(units, np.full(len(units), np.nan), np.tile(np.arange(1, horizon + 1), count), quantiles)
    frame = pd.DataFrame(
        {
            "level": level.name,
            "member": np.repeat(level.members, horizon),
            "ds": np.tile(days, count),
            "origin": panel.origin,
            "units": units,
        }
    )
    # a day on which nothing can be sold has no spread
    found[units <= 0] = 0.0
    return frame.assign(**{f"q{at:g}": found[:, index] for index, at in enumerate(quantiles)})


def reconciled(forecaster: Forecaster, levels: Sequence[Level], means: np.ndarray, seed: int = 0) -> np.ndarray:
    """(k, horizon) means of the series, moved toward forecasts of the sums of `levels`, never below 0; a series closed or at 0
    stays there. A sum that the held-out end says too little of, for it was hardly ever wholly in stock, moves nothing, nor does
    any where no forecast could be judged (`Forecaster.is_judged`)."""
    count = sum(len(level.members) for level in levels)
    above = Forecaster.of(Covariates.of(_panel_of_sums(forecaster, levels)), np.arange(count), forecaster.horizon, seed)
    if not (forecaster.is_judged and above.is_judged):
        return means
    own = above.answer([])["units"].to_numpy().reshape(count, -1)
    spread, cells = _variance(forecaster)
    usual = np.median(spread[cells > 0]) if (cells > 0).any() else 1.0
    spread_above, cells_above = _variance(above)
    trusted = cells_above >= min(_LEAST_CELLS, above.held_out[0][:, 0].size)
    return adjusted(means, own, matrix(levels), np.where(cells > 0, spread, usual), np.where(trusted, spread_above, _NEVER))


def check_reconcilable(levels: Sequence[Level]) -> None:
    """Raise BadInput when there are more sums than can be reconciled."""
    count = sum(len(level.members) for level in levels)
    if count > MOST_SUMS:
        raise BadInput(f"levels: {count:,} sums are too many to reconcile; expected at most {MOST_SUMS:,}")


def matrix(levels: Sequence[Level]) -> sparse.csr_matrix:
    """(g, k) which series each sum is of."""
    size = len(levels[0].codes)
    rows = [sparse.csr_matrix((np.ones(size), (level.codes, np.arange(size))), (len(level.members), size)) for level in levels]
    return sparse.vstack(rows).tocsr()


def adjusted(means: np.ndarray, above: np.ndarray, sums: sparse.csr_matrix, spread: np.ndarray, spread_above: np.ndarray) -> np.ndarray:
    """(k, H) bottom means with the least sum of squared moves over variance, of themselves and of the sums: `means` (k, H) with
    variance `spread` (k,), `above` (g, H) with `spread_above` (g,)."""
    weighted = sums.multiply(spread[None, :]).tocsr()
    inner = (weighted @ sums.T).toarray() + np.diag(spread_above)
    moves = weighted.T @ np.linalg.solve(inner, above - sums @ means)
    return np.where(means > 0, np.maximum(means + moves, 0.0), means)


def _variance(forecaster: Forecaster) -> tuple[np.ndarray, np.ndarray]:
    """(k,) mean squared error of each series over the held-out end, and the number of its days wholly in stock there."""
    means, actual = forecaster.held_out
    known = ~np.isnan(actual)
    count = known.sum(axis=(0, 2))
    error = np.where(known, (np.nan_to_num(actual) - means) ** 2, 0).sum(axis=(0, 2)) / np.maximum(count, 1)
    return np.maximum(error, 1e-9), count


def _panel_of_sums(forecaster: Forecaster, levels: Sequence[Level]) -> Panel:
    """The sums as series of their own. A period partly out of stock counts by the share of the usual sales that were on offer;
    planned columns are the mean of the members', by their usual sales."""
    panel = forecaster.covariates.panel.rows(forecaster.series)
    exposure, started = panel.exposure, np.maximum.accumulate(~np.isnan(panel.units), axis=1)
    sold = np.where(exposure > 0, np.nan_to_num(panel.units), 0)
    usual = (sold.sum(axis=1) / np.maximum(exposure.sum(axis=1), 1e-9) + 1e-6)[:, None]
    which = matrix(levels)
    closed = None if panel.closed is None else which @ (~panel.closed).astype(np.int32) == 0
    whole = which @ (usual * started)
    units = np.where(whole > 0, which @ sold, np.nan)
    in_stock = np.divide(which @ (usual * exposure), whole, out=np.zeros_like(whole), where=whole > 0)
    # rounding leaves a share of 0.9999999 of a day wholly in stock
    in_stock = np.where(in_stock > 1 - 1e-6, 1.0, in_stock)
    known = {}
    for name, values in panel.known.items():
        told = ~np.isnan(values)
        weight = which @ (usual * told)
        known[name] = np.divide(which @ (usual * np.nan_to_num(values)), weight, out=np.full(weight.shape, np.nan), where=weight > 0)
    keys = pd.DataFrame({KEYS[0]: np.repeat([level.name for level in levels], [len(level.members) for level in levels]),
                         KEYS[1]: np.concatenate([level.members for level in levels])})  # fmt: skip
    series = {name: values.astype(np.float32) for name, values in known.items()}
    bare = replace(
        panel, keys=keys, units=units.astype(np.float32), in_stock=in_stock.astype(np.float32), known=series,
        static=pd.DataFrame(index=keys.index), groups={}, closed=closed,
    )  # fmt: skip
    return with_groups(bare)
