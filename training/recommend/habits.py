"""What each customer's past says about buying a product again: how often, how regularly, how long ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.recommend.purchases import Purchases, distinct

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


def habits(past: Purchases, horizon: int, product_gap: np.ndarray) -> Habits:
    """Habits as known at the end of `past.last_day`; `horizon` (days) is the window that is looked ahead to, and
    `product_gap` each product's typical days between purchases (see `product_gaps`)."""
    columns = _columns(_visits(past), product_gap, _Trips.of(past), horizon)
    pairs = columns.pop("pair")
    return Habits(pairs, np.column_stack([columns[name] for name in FEATURES]).astype(np.float32))


def product_gaps(past: Purchases) -> np.ndarray:
    """Median days between a customer's purchases of each product; the median of all where nobody came back."""
    visits = _visits(past)
    gaps, of_pair = visits.gaps()
    own = _medians(gaps, visits.pair[of_pair] % visits.total, visits.total)
    return np.nan_to_num(own, nan=float(np.median(gaps)) if len(gaps) else 28.0)


@dataclass(frozen=True)
class _Visits:
    """Ages in days of the distinct purchase days of each (customer, product) `pair`, oldest first within a pair:
    those of a pair are `age[start : start + count]`; `total` products."""

    pair: np.ndarray
    age: np.ndarray
    start: np.ndarray
    count: np.ndarray
    total: int

    def gaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Days between successive purchases, and the row of the pair each belongs to."""
        inner = np.ones(len(self.age), dtype=bool)
        inner[self.start] = False
        days = self.age[np.flatnonzero(inner) - 1] - self.age[inner]
        return days.astype(np.float64), np.repeat(np.arange(len(self.pair)), self.count - 1)


def _visits(past: Purchases) -> _Visits:
    total, first_day = len(past.products), int(past.day[0])
    known = (past.customer >= 0) & past.kept
    span = past.span + 1
    pair = past.customer[known].astype(np.int64) * total + past.product[known]
    visit = distinct(pair * span + (past.day[known] - first_day))
    key, age = visit // span, (past.last_day - first_day - visit % span).astype(np.int32)
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, dtype=np.int64)
    return _Visits(key[start], age, start, np.diff(np.r_[start, len(key)]), total)


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
        return cls(distinct(past.customer[known].astype(np.int64) * span + day), span, past.last_day - int(past.day[0]))

    def since(self, customer: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Trips of each customer on days younger than `age`."""
        base = customer.astype(np.int64) * self.span
        high = np.searchsorted(self.code, base + self.span)
        return high - np.searchsorted(self.code, base + self.origin - age, side="right")


def _columns(visits: _Visits, product_gap: np.ndarray, trips: _Trips, horizon: int) -> dict[str, np.ndarray]:
    """FEATURES and `pair`, a row a pair."""
    age, start, count = visits.age, visits.start, visits.count
    customer = visits.pair // visits.total
    last, first = age[start + count - 1], age[start]
    gap, last_gap = _own_gaps(visits, product_gap)
    decay = {h: _sums(2.0 ** (-age / h), start) for h in HALF_LIVES}
    spent = np.bincount(customer, weights=decay[45]) if len(customer) else np.zeros(1)
    since_last, since_first = trips.since(customer, last), trips.since(customer, first) + 1
    trip_share = count / since_first
    return {
        "pair": visits.pair,
        "days_bought": count, "since_last": last, "since_first": first, "gap": gap, "due": last / gap, "last_gap": last_gap,
        "decay_14": decay[14], "decay_45": decay[45], "decay_150": decay[150], "share_45": decay[45] / spent[customer],
        "days_bought_28": _sums(age < 28, start), "days_bought_84": _sums(age < 84, start),
        "trips_since_last": since_last, "trip_share": trip_share, "trip_due": since_last * trip_share,
        "bought_last_season": _sums((age >= 365 - horizon) & (age < 365), start),
    }  # fmt: skip


def _sums(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values.astype(np.float64), start) if len(start) else np.zeros(0)


def _own_gaps(visits: _Visits, product_gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median days between purchases of each pair, drawn towards the product's when the pair has few gaps, and the last
    gap (NaN for a single purchase)."""
    gaps, of_pair = visits.gaps()
    own = np.nan_to_num(_medians(gaps, of_pair, len(visits.pair)))
    weight = visits.count - 1
    blended = (weight * own + _PRIOR_GAPS * product_gap[visits.pair % visits.total]) / (weight + _PRIOR_GAPS)
    last = np.full(len(visits.pair), np.nan)
    many = visits.count > 1
    ends = visits.start[many] + visits.count[many] - 1
    last[many] = visits.age[ends - 1] - visits.age[ends]
    return blended, last


def _medians(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """The lower median of each group, NaN where a group has no value."""
    order = np.lexsort((values, group))
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    out = np.full(groups, np.nan)
    out[count > 0] = values[order][(start + (count - 1) // 2)[count > 0]]
    return out
