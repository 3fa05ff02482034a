"""A sales history as arrays: pairs x periods, with what was on offer when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_repo.panel import offered
from infra.errors import BadInput
from training.files import require_recent, require_unbroken

PAIR = ["store_id", "product_id"]

#: longest history that is used, in days: three years say all that the level, the season and the learner ask
LONGEST_DAYS = 1096


@dataclass(frozen=True)
class Panel:
    """`pairs`: one row a series with its keys. `units` and `exposure` have shape (pairs, periods); exposure is the share of
    the period in which the item could be sold (0 before a series begins). `last` is the day that labels the last
    period, `days` the length of a period (1, or 7 with Monday labels). `price`: last known price, NaN where none."""

    pairs: pd.DataFrame
    units: np.ndarray
    exposure: np.ndarray
    last: pd.Timestamp
    days: int
    price: np.ndarray

    @property
    def season(self) -> int:
        """Periods in a week."""
        return 7 // self.days

    def take(self, rows: np.ndarray) -> Panel:
        """The panel of some of its rows."""
        return Panel(
            self.pairs.iloc[rows].reset_index(drop=True), self.units[rows], self.exposure[rows], self.last, self.days, self.price[rows]
        )

    def until(self, periods: int) -> Panel:
        """The panel as it was after its first `periods` periods."""
        last = self.last - pd.Timedelta(days=self.days * (self.units.shape[1] - periods))
        return Panel(self.pairs, self.units[:, :periods], self.exposure[:, :periods], last, self.days, self.price)


def period_days(ds: pd.Series) -> int:
    """7 when every day is the same weekday (a week is labelled by its Monday, any other single weekday is read alike) and
    there is more than one; else 1."""
    days = np.unique(ds.to_numpy("datetime64[D]").astype("int64"))
    return 7 if len(days) > 1 and np.all((days - days[0]) % 7 == 0) else 1


def panel(history: pd.DataFrame, as_of: pd.Timestamp | None = None, pairs: pd.DataFrame | None = None, where: str = "history") -> Panel:
    """Rows `store_id, product_id, ds, units` (and `in_stock`, `price` where known) up to `as_of` as arrays, in the order of
    `pairs` (default: those of the history, sorted). A period without a row after a series' first one is a period with no
    sale; pairs without history are rows of exposure 0. Raises BadInput when nothing is known by `as_of`."""
    days = period_days(history["ds"])
    last = pd.Timestamp(history["ds"].max() if as_of is None else as_of).normalize()
    ends = history["ds"].max()
    require_recent(ends, last, "as_of", where)
    require_unbroken(history["ds"], where, last, placeholders=True)
    if days == 7:
        # as_of may be any day of the last known week
        last = last - pd.Timedelta(days=int((last - history["ds"].iloc[0]).days % 7))
    # the start moves by whole months of weeks, so that what was learned from it stays valid for a while
    start = last - pd.Timedelta(days=LONGEST_DAYS + int((last - pd.Timestamp("2000-01-03")).days % 28))
    known = history[(history["ds"] <= last) & (history["ds"] > start)]
    if known.empty:
        begins = history["ds"].min()
        days_known = f"its days are {begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
        raise BadInput(f"{where}: no row has a ds in the {LONGEST_DAYS} days up to as_of {last:%Y-%m-%d}; {days_known}")
    if pairs is None:
        pairs = known[PAIR].drop_duplicates().sort_values(PAIR).reset_index(drop=True)
    row = _rows(known, pairs)
    known, row = known[row >= 0], row[row >= 0]
    periods = int((last - known["ds"].min()).days // days) + 1 if len(known) else 1
    column = periods - 1 - ((last - known["ds"]).dt.days // days).to_numpy()
    return _fill(pairs, known, row, column, periods, last, days)


def _rows(known: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """For each row of `known` its position in `pairs`, -1 where it is not there."""
    codes = np.zeros(len(pairs) + len(known), dtype=np.int64)
    for name in PAIR:
        part, distinct = pd.factorize(pd.concat([pairs[name], known[name]], ignore_index=True))
        codes = codes * len(distinct) + part
    # the pairs are distinct: a row is the pair whose code is its own
    order = np.argsort(codes[: len(pairs)])
    mine, theirs = codes[: len(pairs)][order], codes[len(pairs) :]
    place = np.minimum(np.searchsorted(mine, theirs), len(pairs) - 1)
    return np.where(mine[place] == theirs, order[place], -1)


def _fill(
    pairs: pd.DataFrame, known: pd.DataFrame, row: np.ndarray, column: np.ndarray, periods: int, last: pd.Timestamp, days: int
) -> Panel:
    shape = (len(pairs), periods)
    units, exposure = np.zeros(shape), np.ones(shape)
    sold = known["units"].to_numpy(float)
    np.add.at(units, (row, column), sold)
    if "in_stock" in known:
        share = known["in_stock"].astype(float).fillna(1.0).clip(0, 1).to_numpy()
        exposure[row, column] = offered(sold, share)
    first = np.full(len(pairs), periods)
    np.minimum.at(first, row, column)
    exposure[np.arange(periods)[None, :] < first[:, None]] = 0.0
    return Panel(pairs.reset_index(drop=True), units, exposure, last, days, _last_price(known, row, column, len(pairs)))


def _last_price(known: pd.DataFrame, row: np.ndarray, column: np.ndarray, count: int) -> np.ndarray:
    price = np.full(count, np.nan)
    if "price" in known:
        value = known["price"].to_numpy(float)
        order = np.argsort(column, kind="stable")
        # a price of 0 is a line that was given away or not priced, not what the item sells for
        order = order[np.isfinite(value[order]) & (value[order] > 0)]
        price[row[order]] = value[order]
    return price
