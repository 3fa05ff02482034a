"""How alive a unit (a product, or a store-product pair) is at an origin: recency, frequency, gaps, trend, season, price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

WINDOWS = (7, 28, 56, 91, 182, 364)
#: a unit is alive at an origin when it sold within so many days
ALIVE_DAYS = 365


@dataclass(frozen=True)
class Ledger:
    """Sales of n units over T periods of `step` days from `first` on. `sale_days`, `units` are (n, T + 1) running totals;
    `day`, `squares`, `longest` list each unit's sale days (from `start[i]` on), the running sum of squared gaps and the
    longest gap so far, in periods on offer; `groups` are running totals of sale days of related units (their number, members'
    code, totals)."""

    keys: pd.DataFrame
    first: pd.Timestamp
    step: int
    sale_days: np.ndarray
    units: np.ndarray
    start: np.ndarray
    day: np.ndarray
    squares: np.ndarray
    longest: np.ndarray
    price: np.ndarray | None
    groups: dict[str, tuple[np.ndarray, np.ndarray]]
    #: (n, T + 1) running totals of periods in which the unit was on offer for no hour; None where nobody tells
    absent: np.ndarray | None = None

    @property
    def periods(self) -> int:
        """Number of periods known."""
        return self.sale_days.shape[1] - 1

    def sales(self, since: int | np.ndarray, until: int | np.ndarray) -> np.ndarray:
        """Sale days of each unit in periods since+1 .. until (0 before the history), the same for all or of each its own (n,)."""
        return _upto(self.sale_days, until) - _upto(self.sale_days, since)

    def shown(self, at: int) -> np.ndarray:
        """(n,) the last period up to `at` in which each unit was on offer: what it did not sell later says nothing of it."""
        if self.absent is None:
            return np.full(len(self.keys), at)
        there = np.diff(self.absent[:, : at + 2], axis=1) == 0
        return np.where(there.any(axis=1), at - there[:, ::-1].argmax(axis=1), at)

    def clock(self, period: np.ndarray) -> np.ndarray:
        """(n,) periods of each unit up to its own `period` (n,) in which it was on offer: silence is counted in these."""
        return period if self.absent is None else period + 1 - _upto(self.absent, period)

    def offered(self, since: int, until: int) -> np.ndarray:
        """(n,) whether each unit was on offer in at least half of the periods since+1 .. until."""
        if self.absent is None:
            return np.ones(len(self.keys), dtype=bool)
        return 2 * (_upto(self.absent, until) - _upto(self.absent, since)) <= until - since


def _upto(totals: np.ndarray, period: int | np.ndarray) -> np.ndarray:
    """Running totals (n, T + 1) at the end of a period, or of each row's own."""
    at = np.maximum(np.asarray(period) + 1, 0)
    return totals[np.arange(len(totals)), np.broadcast_to(at, len(totals))]


def ledger(history: pd.DataFrame, keys: list[str], origin: pd.Timestamp, step: int, category: pd.Series | None = None) -> Ledger:
    """The ledger of the rows up to `origin`; `category` by product_id adds a group. Periods without a row sold nothing; one whose row
    has `in_stock` 0 and no sale is none in which anything could have been sold."""
    known = history[history["ds"] <= origin]
    first = known["ds"].min()
    sold = known[known["units"] > 0].sort_values([*keys, "ds"])
    at = ((sold["ds"] - first).dt.days // step).to_numpy()
    codes = sold.groupby(keys, sort=True).ngroup().to_numpy()
    names = sold[keys].drop_duplicates().reset_index(drop=True)
    periods = int((origin - first).days // step) + 1
    cells = np.zeros((2, len(names), periods + 1), dtype=np.float32)
    cells[0, codes, at + 1] = 1
    np.add.at(cells[1], (codes, at + 1), sold["units"].to_numpy())
    totals = cells.cumsum(axis=2)
    absent = _absent(known, keys, names, (known["ds"] - first).dt.days // step, periods) if "in_stock" in known else None
    clock = at if absent is None else at - absent[codes, at + 1]
    gap = np.diff(clock, prepend=0) * np.r_[False, codes[1:] == codes[:-1]] if len(at) else at
    by = pd.Series(gap).groupby(codes)
    price = _price(sold)
    squares = pd.Series(gap.astype(float) ** 2).groupby(codes).cumsum().to_numpy()
    start, groups = np.searchsorted(codes, np.arange(len(names))), _groups(names, totals[0], category)
    return Ledger(names, first, step, totals[0], totals[1], start, at, squares, by.cummax().to_numpy(), price, groups, absent)


def _absent(known: pd.DataFrame, keys: list[str], names: pd.DataFrame, period: pd.Series, periods: int) -> np.ndarray:
    gone = (known["in_stock"] <= 0).to_numpy() & ~(known["units"] > 0).to_numpy()
    unit = pd.MultiIndex.from_frame(names).get_indexer(pd.MultiIndex.from_frame(known.loc[gone, keys]))
    found = np.zeros((len(names), periods + 1), dtype=np.int32)
    found[unit[unit >= 0], period[gone].to_numpy()[unit >= 0] + 1] = 1
    return found.cumsum(axis=1, dtype=np.int32)


def _price(sold: pd.DataFrame) -> np.ndarray | None:
    if "price" in sold:
        return sold["price"].to_numpy(dtype=float)
    if "revenue" in sold:
        return (sold["revenue"] / sold["units"]).to_numpy(dtype=float)
    return None


def _groups(names: pd.DataFrame, totals: np.ndarray, category: pd.Series | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    members = {"all": pd.Series("", index=names.index)}
    if "store_id" in names:
        members |= {"product": names["product_id"], "store": names["store_id"]}
    if category is not None:
        members["category"] = names["product_id"].map(category).fillna("")
    out = {}
    for name, of in members.items():
        code = pd.factorize(of)[0]
        sums = np.zeros((code.max(initial=0) + 1, totals.shape[1]))
        np.add.at(sums, code, totals)
        out[name] = (code, sums)
    return out


def features(book: Ledger, at: int, horizon: int) -> pd.DataFrame:
    """Features of every unit at the end of period `at`, from earlier periods only; `horizon` in periods. A row per unit of
    the ledger, also of those that are not alive. What a unit itself did is told as of the last period in which it was on offer."""
    days, when = book.step, book.shown(at)
    count = _upto(book.sale_days, when).astype(float)
    last_row = book.start + np.maximum(count.astype(int) - 1, 0)
    first_day, last_day = book.day[book.start], book.day[last_row]
    since, begun, now = (book.clock(period) for period in (last_day, first_day, when))
    recency, age = (now - since) * float(days), (now - begun) * float(days)
    out: dict[str, np.ndarray] = {"recency": recency, "age": age, "sales": count}
    for window in WINDOWS:
        out[f"sales_{window}"] = book.sales(when - max(window // days, 1), when)
    for window in (28, 91, 182):
        out[f"units_{window}"] = _upto(book.units, when) - _upto(book.units, when - window // days)
    gaps = np.maximum(count - 1, 1)
    mean = np.where(count > 1, (since - begun) * days / gaps, np.nan)
    square = book.squares[last_row] * days**2 / gaps
    out["gap"], out["gap_cv"] = mean, np.sqrt(np.maximum(square - mean**2, 0)) / mean
    out["late"] = recency / mean
    out["late_longest"] = recency / np.maximum(book.longest[last_row] * days, days)
    out["trend"] = np.log((out["sales_28"] * 3 + 1) / (out["sales_91"] + 1))
    out["trend_long"] = np.log((out["sales_91"] * 2 + 1) / (out["sales_182"] + 1))
    year = 364 // days
    covered = when - year >= first_day
    out["season"] = np.where(covered, book.sales(when - year, np.minimum(when - year + horizon, when)), np.nan)
    out["season_before"] = np.where(covered, book.sales(when - year - horizon, when - year), np.nan)
    own = book.sales(at - max(28 // days, 1), at)
    for name, (code, sums) in book.groups.items():
        out |= _group(name, code, sums, own, at, days)
    if book.price is not None:
        out["price_ratio"] = _price_ratio(book, count, last_row)
    return pd.DataFrame(out)


def _group(name: str, code: np.ndarray, sums: np.ndarray, own: np.ndarray, at: int, days: int) -> dict[str, np.ndarray]:
    """Sale days of the group in the last 28 days beyond the unit's own, and how they compare with the 84 days before."""
    now, before, early = (sums[:, max(at + 1 - k // days, 0)] for k in (0, 28, 112))
    recent, past = now - before, (before - early) / 3
    ratio = np.log((recent + 5) / (past + 5))
    return {f"{name}_trend": ratio[code]} if name == "all" else {f"{name}_others": recent[code] - own, f"{name}_trend": ratio[code]}


def _price_ratio(book: Ledger, count: np.ndarray, last_row: np.ndarray) -> np.ndarray:
    """The price of the last sale over the mean of all so far."""
    assert book.price is not None
    total = np.concatenate([[0.0], np.nancumsum(book.price)])
    mean = (total[last_row + 1] - total[book.start]) / np.maximum(count, 1)
    return np.where(mean > 0, book.price[last_row] / np.where(mean > 0, mean, 1), np.nan)


def alive(book: Ledger, at: int) -> np.ndarray:
    """Which units sold within ALIVE_DAYS up to the end of period `at`."""
    return book.sales(at - ALIVE_DAYS // book.step, at) > 0


def silent(book: Ledger, at: int, horizon: int) -> np.ndarray:
    """The label: no sale in the `horizon` periods after `at`, which must lie inside the ledger."""
    return (book.sales(at, at + horizon) == 0).astype(int)
