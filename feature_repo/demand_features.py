"""What is known about a series' demand at the end of a period (its origin): levels over in-stock days, spread,
intermittency, the week's profile, trends, price, and the same of its store, category and product.

Windows are named by days and hold days/step periods, so `mean_28` of a weekly panel is the mean of four weeks, per week.
Means are exposure means: units sold / share of time in stock, so that a day without stock says nothing and half a day
counts half. Nothing after the origin is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from feature_repo.calendar import weekday
from feature_repo.panel import Group, Panel

WINDOWS = (7, 14, 28, 56, 91, 182, 364)
#: days over which the week's profile, sizes and gaps are learnt
PROFILE_DAYS = 182
#: the weight of related series in a profile, in units sold
PROFILE_UNITS = 20.0
#: the weight of related series in a level, in days
LEVEL_DAYS = 2.0
#: days that must have been heard of before a weekday without one on offer is a closed one
CLOSED_AFTER_DAYS = 28

_DOW = range(7)
_MEANS = tuple(f"mean_{k}" for k in WINDOWS)
_GROUPS = ("store", "category", "product", "all")

#: the fixed list; units-valued ones are named in UNIT_FEATURES
ORIGIN_FEATURES: tuple[str, ...] = (
    "origin_day", "level", "prior_level", "age_days", *_MEANS,
    "median_28", "q90_91", "max_28", "std_28", "std_91", "zero_share_28", "zero_share_91", "days_in_stock_since_sale",
    "adi", "cv2", "dispersion",
    *(f"dow_{d}" for d in _DOW), *(f"recent_dow_{d}" for d in _DOW), *(f"last_{k}" for k in range(1, 8)),
    "trend_7_28", "trend_28_91", "year_ago_trend", "in_stock_28",
    "price", "price_ratio", "promotion", "promotion_28",
    *(f"{g}_{name}" for g in _GROUPS for name in ("mean_28", "trend_7_28", "year_ago_trend")),
)  # fmt: skip

#: features in units of sale: divided by the level they become free of scale
UNIT_FEATURES: tuple[str, ...] = (
    "level", "prior_level", *_MEANS, "median_28", "q90_91", "max_28", "std_28", "std_91", *(f"recent_dow_{d}" for d in _DOW),
    *(f"last_{k}" for k in range(1, 8)), *(f"{g}_mean_28" for g in _GROUPS),
)  # fmt: skip


def origin_features(panel: Panel, positions: Sequence[int]) -> np.ndarray:
    """(n, len(positions), len(ORIGIN_FEATURES)) float32: each series as known at the end of each period of `positions`
    (indexes into `panel.days`); NaN where there is no such thing yet. The panel's groups must be made (`with_groups`)."""
    exposure = panel.exposure
    sold = np.where(exposure > 0, np.nan_to_num(panel.units), np.float32(0))
    shares = {name: _group_columns(group, panel, positions) for name, group in panel.groups.items()}
    found = np.empty((len(panel.keys), len(positions), len(ORIGIN_FEATURES)), dtype=np.float32)
    for at, position in enumerate(positions):
        related = {name: {key: values[:, at] for key, values in of.items()} for name, of in shares.items()}
        columns = _at_origin(panel, sold, exposure, position, related)
        for index, name in enumerate(ORIGIN_FEATURES):
            found[:, at, index] = columns[name]
    return found


def periods(days: int, step: int) -> int:
    """A window's length in periods, at least one."""
    return max(days // step, 1)


def last(values: np.ndarray, position: int, count: int) -> np.ndarray:
    """The `count` columns up to and including `position`, fewer at the start."""
    return values[:, max(position + 1 - count, 0) : position + 1]


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Elementwise quotient, NaN where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(under > 0, over / under, np.nan)


def _at_origin(panel: Panel, sold: np.ndarray, exposure: np.ndarray, position: int, related: dict) -> dict[str, Any]:
    """All columns of ORIGIN_FEATURES at one origin, each of length n (or a scalar)."""
    step = panel.step
    means = {k: _mean(sold, exposure, position, periods(k, step)) for k in WINDOWS}
    prior = _prior_level(means[364], related)
    weights = _shrunk(sold, exposure, position, periods(28, step), prior, LEVEL_DAYS)
    spread = _spread(panel.units, exposure, position, step)
    columns = {
        "origin_day": float((panel.day(position) - _EPOCH).days), "level": weights, "prior_level": prior,
        "age_days": _age(panel.units, position) * step,
        **{f"mean_{k}": mean for k, mean in means.items()}, **spread,
        **_week(panel, sold, exposure, position, related, means[182]), **_last(panel.units, exposure, position),
        "trend_7_28": ratio(means[7], means[28]), "trend_28_91": ratio(means[28], means[91]),
        "year_ago_trend": _year_ago(sold, exposure, position, step),
        "in_stock_28": _in_stock(panel, position), **_prices(panel, position),
    }  # fmt: skip
    for name in _GROUPS:
        for key in ("mean_28", "trend_7_28", "year_ago_trend"):
            columns[f"{name}_{key}"] = related[name][key] if name in related else np.nan
    return columns


def _mean(sold: np.ndarray, exposure: np.ndarray, position: int, count: int) -> np.ndarray:
    return ratio(last(sold, position, count).sum(1), last(exposure, position, count).sum(1))


def _shrunk(sold: np.ndarray, exposure: np.ndarray, position: int, count: int, prior: np.ndarray, weight: float) -> np.ndarray:
    """Mean pulled to the prior as if that had been seen for `weight` periods."""
    units, seen = last(sold, position, count).sum(1), last(exposure, position, count).sum(1)
    return (units + weight * prior) / (seen + weight)


def _prior_level(own: np.ndarray, related: dict) -> np.ndarray:
    """What a new series would sell: its product's mean, else its category's, scaled by how its store sells; own long mean
    where there is one."""
    whole = related["all"]["mean_364"]
    store = np.nan_to_num(ratio(related["store"]["mean_364"], whole), nan=1.0)
    category = related["category"]["mean_364"] if "category" in related else whole
    category = np.where(np.isnan(category), whole, category)
    product = related["product"]["mean_364"]
    new = np.where(np.isnan(product), category, product) * np.clip(store, 0.2, 5)
    return np.nan_to_num(np.where(np.isnan(own), new, own))


def _spread(units: np.ndarray, exposure: np.ndarray, position: int, step: int) -> dict[str, np.ndarray]:
    """Quantiles, deviations, zeros and intermittency over days fully in stock."""
    count = periods(PROFILE_DAYS, step)
    seen = np.where(last(exposure, position, count) > 0.999, last(units, position, count), np.nan)
    month, quarter = seen[:, -periods(28, step) :], seen[:, -periods(91, step) :]
    sizes = np.where(seen > 0, seen, 0)
    sales = (seen > 0).sum(1)
    mean_size = ratio(sizes.sum(1), sales)
    var_size = ratio((sizes**2).sum(1), sales) - mean_size**2
    mean_91, std_91 = _moments(quarter)
    ordered = np.sort(quarter, axis=1)
    return {
        "median_28": _ranked(np.sort(month, axis=1), 0.5), "q90_91": _ranked(ordered, 0.9), "max_28": _ranked(np.sort(month, axis=1), 1.0),
        "std_28": _moments(month)[1], "std_91": std_91,
        "zero_share_28": ratio((month == 0).sum(1), (~np.isnan(month)).sum(1)),
        "zero_share_91": ratio((quarter == 0).sum(1), (~np.isnan(quarter)).sum(1)),
        "days_in_stock_since_sale": _since_sale(units, exposure, position) * step, "dispersion": ratio(std_91**2, mean_91),
        "adi": ratio((~np.isnan(seen)).sum(1), sales), "cv2": ratio(np.maximum(var_size, 0), mean_size**2),
    }  # fmt: skip


def _moments(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the known entries of each row."""
    known = ~np.isnan(seen)
    count = known.sum(1)
    mean = ratio(np.where(known, seen, 0).sum(1), count)
    square = ratio(np.where(known, (seen - mean[:, None]) ** 2, 0).sum(1), count)
    return mean, np.sqrt(square)


def _ranked(ordered: np.ndarray, level: float) -> np.ndarray:
    """The `level` quantile (lower of two) of rows sorted with NaN last."""
    count = (~np.isnan(ordered)).sum(1)
    at = np.maximum(np.ceil(level * count).astype(int) - 1, 0)
    return np.where(count > 0, ordered[np.arange(len(ordered)), at], np.nan)


def _since_sale(units: np.ndarray, exposure: np.ndarray, position: int) -> np.ndarray:
    """Periods in stock since the last one with a sale (0: this one); NaN when there never was one. An empty shelf does not
    say that nobody asks."""
    positive = units[:, : position + 1] > 0
    latest = position - positive[:, ::-1].argmax(1)
    silent = np.arange(position + 1) > latest[:, None]
    return np.where(positive.any(1), np.einsum("nt,nt->n", exposure[:, : position + 1], silent), np.nan)


def _age(units: np.ndarray, position: int) -> np.ndarray:
    """Periods from the first known one on, counting it; NaN before."""
    known = ~np.isnan(units[:, : position + 1])
    return np.where(known.any(1), position + 1 - known.argmax(1), np.nan)


def _week(panel: Panel, sold: np.ndarray, exposure: np.ndarray, position: int, related: dict, mean: np.ndarray) -> dict[str, np.ndarray]:
    """`dow_d`: the share of the level on weekday d (0 on weekdays on which the store is closed, mean 1 over the others), own
    sales blended with the related series'; `recent_dow_d`: the mean of the last four such weekdays. Weekly panels have a
    flat profile."""
    if panel.step != 1:
        return {**{f"dow_{d}": np.ones(len(sold)) for d in _DOW}, **{f"recent_dow_{d}": np.full(len(sold), np.nan) for d in _DOW}}
    kept = last(sold, position, PROFILE_DAYS)
    days = weekday(panel.days[max(position + 1 - PROFILE_DAYS, 0) : position + 1])
    onehot = np.eye(7, dtype=np.float32)[days]
    units, seen = kept @ onehot, last(exposure, position, PROFILE_DAYS) @ onehot
    usual = np.nan_to_num(mean)[:, None]
    closed = related["store"]["closed"]
    usually = np.where(closed, 0.0, _related_profile(related))
    profile = (units + PROFILE_UNITS * usually) / (usual * seen + PROFILE_UNITS)
    profile *= ((~closed).sum(1) / profile.sum(1))[:, None]
    recent = ratio(kept[:, -28:] @ onehot[-28:], last(exposure, position, 28) @ onehot[-28:])
    return {**{f"dow_{d}": profile[:, d] for d in _DOW}, **{f"recent_dow_{d}": recent[:, d] for d in _DOW}}


def _related_profile(related: dict) -> np.ndarray:
    """(n, 7): the store's profile times the category's over all's, where known."""
    profile = related["store"]["dow"]
    if "category" in related:
        # a category that never sold has no week of its own
        known = ~np.isnan(related["category"]["mean_364"])[:, None]
        profile = profile * np.where(known, related["category"]["dow"] / related["all"]["dow"], 1.0)
    return profile


def _last(units: np.ndarray, exposure: np.ndarray, position: int) -> dict[str, np.ndarray]:
    """The last seven periods' units, NaN where unknown or not in stock all day; last_1 is the origin's own."""
    seen = np.where(last(exposure, position, 7) > 0.999, last(units, position, 7), np.nan)
    padded = np.pad(seen, ((0, 0), (7 - seen.shape[1], 0)), constant_values=np.nan)
    return {f"last_{k}": padded[:, -k] for k in range(1, 8)}


def _year_ago(sold: np.ndarray, exposure: np.ndarray, position: int, step: int) -> np.ndarray:
    """Mean of the four weeks that followed the same day last year over that of the four weeks up to it."""
    year, month = periods(364, step), periods(28, step)
    if position - year < 0:
        return np.full(len(sold), np.nan)
    after = _mean(sold, exposure, position - year + month, month)
    return ratio(after, _mean(sold, exposure, position - year, month))


def _in_stock(panel: Panel, position: int) -> np.ndarray:
    kept = last(panel.in_stock, position, periods(28, panel.step))
    known = ~np.isnan(last(panel.units, position, periods(28, panel.step)))
    return ratio(np.where(known, kept, 0).sum(1), known.sum(1))


def _prices(panel: Panel, position: int) -> dict[str, np.ndarray]:
    """Price at the origin (the last one known), its ratio to its mean over 91 days, promotion now and its share of 28 days."""
    nothing = np.full(len(panel.keys), np.nan)
    found = {"price": nothing, "price_ratio": nothing, "promotion": nothing, "promotion_28": nothing}
    if "price" in panel.known:
        price = last(panel.known["price"], position, periods(91, panel.step))
        now = _latest(price)
        found |= {"price": now, "price_ratio": ratio(now, _moments(price)[0])}
    if "promotion" in panel.known:
        promotion = last(panel.known["promotion"], position, periods(28, panel.step))
        found |= {"promotion": np.nan_to_num(promotion[:, -1]), "promotion_28": np.nan_to_num(promotion).mean(1)}
    return found


def _latest(values: np.ndarray) -> np.ndarray:
    """The last known entry of each row, NaN when there is none."""
    known = ~np.isnan(values)
    at = values.shape[1] - 1 - known[:, ::-1].argmax(1)
    return np.where(known.any(1), values[np.arange(len(values)), at], np.nan)


def _group_columns(group: Group, panel: Panel, positions: Sequence[int]) -> dict[str, np.ndarray]:
    """A group's mean_28, mean_364, trend_7_28, year_ago_trend (n, P), dow profile and closed weekdays (n, P, 7), spread to its
    series."""
    step, sums, seen = panel.step, group.units, group.exposure
    rows = []
    for position in positions:
        means = {k: _mean(sums, seen, position, periods(k, step)) for k in (7, 28, 364)}
        rows.append((means[28], means[364], ratio(means[7], means[28]), _year_ago(sums, seen, position, step)))
    stacked = np.array(rows)
    names = ("mean_28", "mean_364", "trend_7_28", "year_ago_trend")
    found = {name: stacked[:, index].T[group.codes] for index, name in enumerate(names)}
    weeks = [_group_week(sums, seen, panel, position) for position in positions]
    profiles, closed = (np.stack(parts, axis=1)[group.codes] for parts in zip(*weeks, strict=True))
    return {**found, "dow": profiles, "closed": closed}


def _group_week(sums: np.ndarray, seen: np.ndarray, panel: Panel, position: int) -> tuple[np.ndarray, np.ndarray]:
    """(groups, 7) share of the mean on each weekday, pulled to flat by PROFILE_UNITS, and whether nothing of the group was on
    offer on any such weekday although it was on others."""
    if panel.step != 1:
        return np.ones((len(sums), 7)), np.zeros((len(sums), 7), dtype=bool)
    onehot, shown = np.eye(7)[weekday(panel.days[max(position + 1 - PROFILE_DAYS, 0) : position + 1])], last(seen, position, PROFILE_DAYS)
    units, exposure = last(sums, position, PROFILE_DAYS) @ onehot, shown @ onehot
    usual = np.nan_to_num(ratio(units.sum(1), exposure.sum(1)))[:, None]
    profile = (units + PROFILE_UNITS) / (usual * exposure + PROFILE_UNITS)
    heard = np.where((shown > 0).any(1), shown.shape[1] - (shown > 0).argmax(1), 0)
    return profile / profile.mean(1, keepdims=True), (exposure == 0) & (heard >= CLOSED_AFTER_DAYS)[:, None]


_EPOCH = pd.Timestamp("1970-01-01")
