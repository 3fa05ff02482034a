"""What each customer's past says about buying a product again: how often, how regularly, how long ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.recommend.purchases import Purchases

#: half-lives in days of the decayed purchase counts
HALF_LIVES = (14, 45, 150)
#: gaps that a product's typical gap counts for when a customer's own are few
_PRIOR_GAPS = 2.0

FEATURES = (
    "days_bought", "since_last", "since_first", "gap", "due", "last_gap", "decay_14", "decay_45", "decay_150", "share_45",
    "days_bought_28", "days_bought_84", "trips_since_last", "trip_share", "trip_due", "bought_last_season",
)  # fmt: skip


@dataclass(frozen=True)
class Habits:
    """One row a (customer, product) ever bought and kept, sorted by `key` = customer x products + product;
    `values` has the columns FEATURES (days, counts, shares)."""

    key: np.ndarray
    values: np.ndarray

    def of(self, key: np.ndarray) -> np.ndarray:
        """FEATURES of the asked pairs (rows x columns), NaN for pairs without a purchase."""
        out = np.full((len(key), len(FEATURES)), np.nan, dtype=np.float32)
        at = np.minimum(np.searchsorted(self.key, key), max(len(self.key) - 1, 0))
        found = self.key[at] == key if len(self.key) else np.zeros(len(key), dtype=bool)
        out[found] = self.values[at[found]]
        return out

    def column(self, name: str) -> np.ndarray:
        """One feature of all pairs."""
        return self.values[:, FEATURES.index(name)]


def habits(past: Purchases, horizon: int) -> Habits:
    """Habits as known at the end of `past.last_day`; `horizon` (days) is the window that is looked ahead to."""
    total = len(past.products)
    known = (past.customer >= 0) & past.kept
    origin, first_day = past.last_day, int(past.day[0])
    span = past.span + 1
    pair = past.customer[known].astype(np.int64) * total + past.product[known]
    visit = np.unique(pair * span + (past.day[known] - first_day))
    key, age = visit // span, (origin - first_day - visit % span).astype(np.int32)
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, dtype=np.int64)
    count = np.diff(np.r_[start, len(key)])
    trips = _Trips.of(past)
    pairs = key[start]
    columns = _columns(age, start, count, pairs, total, trips, horizon)
    return Habits(pairs, np.column_stack([columns[name] for name in FEATURES]).astype(np.float32))


@dataclass(frozen=True)
class _Trips:
    """Sorted distinct (customer, day of purchase): `code` = customer x span + day since the first."""

    code: np.ndarray
    span: int
    origin: int

    @classmethod
    def of(cls, past: Purchases) -> _Trips:
        known = past.customer >= 0
        span = past.span + 1
        day = past.day[known].astype(np.int64) - int(past.day[0])
        return cls(np.unique(past.customer[known] * span + day), span, past.last_day - int(past.day[0]))

    def since(self, customer: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Trips of each customer on days younger than `age`."""
        base = customer.astype(np.int64) * self.span
        high = np.searchsorted(self.code, base + self.span)
        return high - np.searchsorted(self.code, base + self.origin - age, side="right")


def _columns(age: np.ndarray, start: np.ndarray, count: np.ndarray, pairs: np.ndarray, total: int, trips: _Trips,
             horizon: int) -> dict[str, np.ndarray]:  # fmt: skip
    """FEATURES from the ages in days of every pair's purchase days, oldest first within a pair."""
    customer = pairs // total
    last, first = age[start + count - 1], age[start]
    gap, last_gap = _gaps(age, start, count, pairs % total, total)
    decay = {h: _sums(2.0 ** (-age / h), start) for h in HALF_LIVES}
    spent = np.bincount(customer, weights=decay[45]) if len(pairs) else np.zeros(1)
    since_last, since_first = trips.since(customer, last), trips.since(customer, first) + 1
    trip_share = count / since_first
    return {
        "days_bought": count, "since_last": last, "since_first": first, "gap": gap, "due": last / gap, "last_gap": last_gap,
        "decay_14": decay[14], "decay_45": decay[45], "decay_150": decay[150], "share_45": decay[45] / spent[customer],
        "days_bought_28": _sums(age < 28, start), "days_bought_84": _sums(age < 84, start),
        "trips_since_last": since_last, "trip_share": trip_share, "trip_due": since_last * trip_share,
        "bought_last_season": _sums((age >= 365 - horizon) & (age < 365), start),
    }  # fmt: skip


def _sums(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values.astype(np.float64), start) if len(start) else np.zeros(0)


def _gaps(age: np.ndarray, start: np.ndarray, count: np.ndarray, product: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Median days between purchases of each pair, drawn towards the product's median when the pair has few gaps, and
    the last gap (NaN for a single purchase)."""
    of_gap = np.repeat(np.arange(len(start)), np.maximum(count - 1, 0))
    inner = np.ones(len(age), dtype=bool)
    inner[start] = False
    gaps = (age[np.flatnonzero(inner) - 1] - age[inner]).astype(np.float64)
    own = _medians(gaps, of_gap, len(start))
    overall = float(np.median(gaps)) if len(gaps) else 28.0
    of_product = np.nan_to_num(_medians(gaps, product[of_gap], total), nan=overall)
    weight = np.maximum(count - 1, 0)
    blended = (weight * np.nan_to_num(own) + _PRIOR_GAPS * of_product[product]) / (weight + _PRIOR_GAPS)
    last = np.full(len(start), np.nan)
    many = count > 1
    ends = start[many] + count[many] - 1
    last[many] = age[ends - 1] - age[ends]
    return blended, last


def _medians(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """The lower median of each group, NaN where a group has no value."""
    order = np.lexsort((values, group))
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    out = np.full(groups, np.nan)
    out[count > 0] = values[order][(start + (count - 1) // 2)[count > 0]]
    return out
