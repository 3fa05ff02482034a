"""A pooled learner of the coming weeks' level: boosted trees over all pairs, on week blocks, relative to each pair's own
level, so that slow and fast pairs, daily and weekly files share what they know (season, trend, what follows a spike).

The trees are refitted once a month of origins and remembered in the process by the content they were fitted on, so a
caller that plans period by period pays for a fit now and then, and gets the same numbers as one who plans once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training.stock.panel import Panel

#: weeks of history below which nothing is learned, and examples at most
LEAST_WEEKS, LEAST_EXAMPLES, MOST_EXAMPLES = 40, 1500, 60_000
#: weeks ahead that are learned each by itself, and pairs learned from, at most
MOST_STEPS, MOST_PAIRS = 6, 2000
#: weeks between fits
REFIT_WEEKS = 4
#: share of the learner in the mean, the rest is the plain level
SHARE = 0.8
#: this and what follows: the cheapest on the year before the one that benchmarks/stock.py scores
_LEVEL_WEEKS = 10.0
_ROUNDS = 70
_PARAMETERS = {
    "objective": "reg:tweedie", "tweedie_variance_power": 1.3, "max_depth": 3, "eta": 0.09, "subsample": 0.7,
    "colsample_bytree": 0.6, "min_child_weight": 20, "tree_method": "hist", "max_bin": 64, "seed": 7, "nthread": 1,
}  # fmt: skip
_FITTED: OrderedDict[str, Any] = OrderedDict()


@dataclass(frozen=True)
class Blocks:
    """Weeks ending at the panel's last period: `units` and `exposure` (pairs, weeks), exposure 0..1, `last` day."""

    units: np.ndarray
    exposure: np.ndarray
    last: pd.Timestamp


def blocks(panel: Panel) -> Blocks:
    """The panel by weeks counted back from its last period; days that make no whole week at the start are dropped."""
    weeks = panel.units.shape[1] // panel.season
    skip = panel.units.shape[1] - weeks * panel.season
    shape = (len(panel.units), weeks, panel.season)
    return Blocks(panel.units[:, skip:].reshape(shape).sum(axis=2), panel.exposure[:, skip:].reshape(shape).mean(axis=2), panel.last)


def weekly_means(panel: Panel, weeks_ahead: int) -> np.ndarray | None:
    """Expected units of each of the coming weeks (pairs, weeks_ahead), or None where there is too little to learn from."""
    # all origins of a stretch of weeks share the fit of its first day
    lag = (panel.last - pd.Timestamp("2000-01-03")).days % (7 * REFIT_WEEKS) // panel.days
    periods = panel.units.shape[1] - lag
    if periods < LEAST_WEEKS * panel.season or panel.exposure[:, :periods].sum() < LEAST_EXAMPLES * panel.season:
        return None
    steps = min(weeks_ahead, MOST_STEPS)
    model = _fitted(blocks(panel.until(periods)), steps)
    known = blocks(panel)
    means = []
    for step in range(1, steps + 1):
        rows, level = features(known, known.units.shape[1], step)
        means.append(np.maximum(model.inplace_predict(rows), 0.0) * level)
    # what lies farther ahead goes on as the last week that was learned
    return np.stack(means + means[-1:] * (weeks_ahead - steps), axis=1)


def features(known: Blocks, origin: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """What is known of each pair after its first `origin` weeks about the week `step` after them: (pairs, features) float32
    relative to the pair's level (pairs,), units a week. Uses nothing from week `origin` on."""
    units, shown = known.units[:, :origin], known.exposure[:, :origin]
    level = np.maximum(_recent(units, shown, _LEVEL_WEEKS), 0.05)
    columns = [level]
    columns += [_recent(units, shown, half) / level for half in (2.0, 5.0, 10.0, 40.0)]
    columns += [units[:, -lag] / level for lag in (1, 2, 3, 4)]
    columns += [units[:, -4:].mean(axis=1) / level, units[:, -13:].mean(axis=1) / level, units[:, -13:].max(axis=1) / level]
    columns += [shown[:, -1], shown[:, -4:].mean(axis=1), shown[:, -13:].mean(axis=1), (units[:, -13:] <= 0).mean(axis=1)]
    columns += [units[:, -26:].std(axis=1) / level, _weeks_without_sale(units)]
    columns += _year_ago(units, origin + step - 1, level)
    target = known.last + pd.Timedelta(weeks=origin - known.units.shape[1] + step)
    columns += [np.full(len(level), float((target.dayofyear - 1) // 7)), np.full(len(level), float(step))]
    return np.column_stack(columns).astype(np.float32), level


def _recent(units: np.ndarray, shown: np.ndarray, half_life: float) -> np.ndarray:
    window = min(units.shape[1], int(8 * half_life))
    weight = 0.5 ** (np.arange(window)[::-1] / half_life)
    return (units[:, -window:] @ weight + 1e-3) / (shown[:, -window:] @ weight + 1e-2)


def _weeks_without_sale(units: np.ndarray) -> np.ndarray:
    sold = np.concatenate([units[:, ::-1] > 0, np.ones((len(units), 1), bool)], axis=1)
    return sold.argmax(axis=1)


def _year_ago(units: np.ndarray, target: int, level: np.ndarray) -> list[np.ndarray]:
    """The same week last year, three and fifteen weeks around it, and how all pairs moved then; NaN before there was one."""
    week = target - 52
    if week < 1:
        return [np.full(len(level), np.nan)] * 5
    total, now = units.mean(axis=0), units.shape[1] - 1 - 52
    around = units[:, max(week - 7, 0) : week + 8].mean(axis=1)
    pooled = total[week] / max(float(total[max(week - 4, 0) : week + 4].mean()), 1e-9)
    moved = total[week] / max(float(total[now]), 1e-9) if now >= 0 else np.nan
    same = [units[:, week] / level, units[:, max(week - 1, 0) : week + 2].mean(axis=1) / level, around / level]
    return [*same, np.full(len(level), pooled), np.full(len(level), moved)]


def _fitted(shown: Blocks, steps: int) -> Any:
    digest = hashlib.blake2b(np.ascontiguousarray(shown.units).tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(shown.exposure).tobytes())
    key = f"{digest.hexdigest()} {shown.last} {steps}"
    if key not in _FITTED:
        _FITTED[key] = _fit(shown, steps)
    _FITTED.move_to_end(key)
    while len(_FITTED) > 8:
        _FITTED.popitem(last=False)
    return _FITTED[key]


def _fit(shown: Blocks, steps: int) -> Any:
    import xgboost as xgb

    rows, target, weight = examples(shown, steps)
    return xgb.train(_PARAMETERS, xgb.DMatrix(rows, target, weight=weight), _ROUNDS)


def examples(shown: Blocks, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, demand relative to the level, and weight of past origins and steps: recent origins, faster pairs and weeks
    that were on offer weigh more. At most MOST_EXAMPLES rows, drawn by a fixed seed."""
    draw = np.random.default_rng(11)
    some = np.sort(draw.permutation(len(shown.units))[:MOST_PAIRS])
    shown = Blocks(shown.units[some], shown.exposure[some], shown.last)
    pairs, weeks = shown.units.shape
    origins = range(26, weeks)
    pace = min(1.0, MOST_EXAMPLES / (pairs * len(origins) * steps))
    parts = []
    for origin in origins:
        for step in range(1, min(steps, weeks - origin) + 1):
            rows, level = features(shown, origin, step)
            week = origin + step - 1
            weight = shown.exposure[:, week] * (shown.exposure[:, :origin].sum(axis=1) > 4)
            weight = weight * np.sqrt(level) * 0.5 ** ((weeks - origin) / 52.0)
            take = (draw.random(pairs) < pace) & (weight > 0)
            goal = np.minimum(shown.units[:, week] / np.maximum(shown.exposure[:, week], 0.1) / level, 15.0)
            parts.append((rows[take], goal[take], weight[take]))
    rows, target, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, target, weight
