"""A panel: the sales history of many series as arrays, series x periods. Everything that decides is computed on it;
Spark makes one for each group of series, the file verbs make one of the whole file.

What a missing row means is decided in `feature_repo.missing_rows` and nowhere else. A store that writes its zeros leaves out
only what it does not know: a missing row is unknown (NaN). One that does not leaves out what did not sell: a missing row between a
series' first row and the panel's last day is 0. Before its first row a series is NaN. On a weekday that a store never has it is
closed; its past is read like any other, since the week's profile knows such days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from feature_repo import missing_rows

#: periods of history that are kept: older ones say nothing about next week and cost memory
LONGEST_DAYS = 1460
#: what was sold was on offer: the share of a period in which an item that sold in it could be sold, at least
LEAST_EXPOSURE = 0.25

KEYS = ("store_id", "product_id")


@dataclass(frozen=True)
class Group:
    """Sums over the series that share something (a store, a category, a product): series i belongs to `codes[i]`
    (-1: to none); `units` and `exposure` are (groups, T) sums of units sold and of series-periods in stock."""

    codes: np.ndarray
    units: np.ndarray
    exposure: np.ndarray


@dataclass(frozen=True)
class Panel:
    """n series over T periods. `keys`: n rows of store_id, product_id; `days`: the T labels, `step` days apart (1 or 7);
    `units`: (n, T) float32, NaN where not known; `in_stock`: (n, T) float32 in 0..1, share of open hours with stock;
    `known`: (n, T + H) float32 columns whose future is planned (price, promotion, ...), NaN where not known;
    `static`: n rows of attributes; `groups`: sums over related series, by name (store, product, category, all)."""

    keys: pd.DataFrame
    days: pd.DatetimeIndex
    units: np.ndarray
    in_stock: np.ndarray
    step: int = 1
    known: dict[str, np.ndarray] = field(default_factory=dict)
    static: pd.DataFrame = field(default_factory=pd.DataFrame)
    groups: dict[str, Group] = field(default_factory=dict)
    #: (n, H) which coming periods have a row in the plan, None without a plan
    planned: np.ndarray | None = None
    #: (n, T + H) days of the week on which the store is closed, None where there are none
    closed: np.ndarray | None = None

    @property
    def origin(self) -> pd.Timestamp:
        """The last day known: of weeks, which begin on their label, the last day of the last one."""
        return self.day(len(self.days)) - pd.Timedelta(days=1)

    @property
    def exposure(self) -> np.ndarray:
        """(n, T) float32 share of each period in which a sale could happen and would have been seen; 0 where units are unknown."""
        return np.where(np.isnan(self.units), np.float32(0), self.in_stock)

    def position(self, day: object) -> int:
        """Index of a day (or of the period that holds it) in `days`; may lie outside 0..T-1."""
        return int((pd.Timestamp(day) - self.days[0]).days // self.step)  # type: ignore[arg-type]

    def day(self, position: int) -> pd.Timestamp:
        """Label of a period, also of one after the last."""
        return self.days[0] + pd.Timedelta(days=self.step * position)

    def upto(self, position: int) -> Panel:
        """The panel as it was known at the end of a period: later columns dropped, known futures kept. Groups must be
        made again by `with_groups` where wanted; given ones are cut alike."""
        end = position + 1
        groups = {name: Group(g.codes, g.units[:, :end], g.exposure[:, :end]) for name, g in self.groups.items()}
        return replace(self, days=self.days[:end], units=self.units[:, :end], in_stock=self.in_stock[:, :end], groups=groups)

    def rows(self, index: np.ndarray) -> Panel:
        """The panel of some series; its groups still sum over all."""
        groups = {name: Group(g.codes[index], g.units, g.exposure) for name, g in self.groups.items()}
        static = self.static.iloc[index].reset_index(drop=True) if len(self.static) else self.static
        return replace(
            self, keys=self.keys.iloc[index].reset_index(drop=True), units=self.units[index], in_stock=self.in_stock[index],
            known={name: values[index] for name, values in self.known.items()}, static=static, groups=groups,
            planned=None if self.planned is None else self.planned[index], closed=None if self.closed is None else self.closed[index],
        )  # fmt: skip


def frequency(ds: pd.Series) -> int:
    """Days between periods: 7 when all days lie whole weeks apart (and there are at least two), else 1."""
    distinct = pd.DatetimeIndex(ds.unique())
    apart = (distinct - distinct.min()).days
    return 7 if len(distinct) > 1 and not np.any(np.asarray(apart) % 7) else 1


def from_frame(
    history: pd.DataFrame,
    *,
    known: Sequence[str] = (),
    future: pd.DataFrame | None = None,
    last_day: object = None,
    horizon: int = 0,
    static: pd.DataFrame | None = None,
    pairs: pd.DataFrame | None = None,
    writes_zeros: bool | None = None,
    step: int | None = None,
    longest: int | None = LONGEST_DAYS,
) -> Panel:
    """The panel of rows `store_id, product_id, ds, units[, in_stock]` and the numeric columns `known` (each also from
    `future`, up to `horizon` periods past the last day). `last_day` (default: the latest ds) ends the panel: later rows are
    ignored and series whose first row is later are left out. `static`: rows by product_id and/or store_id. `pairs`: keys
    that get a series even without a row (an item that is new), all NaN.
    `writes_zeros` overrides what is inferred about missing rows, closed weekdays included. Of rows more than `longest` days before
    the last none is kept (None: all are). Rows must have unique keys."""
    step = step or frequency(history["ds"])
    end = pd.Timestamp(last_day) if last_day is not None else history["ds"].max()  # type: ignore[arg-type]
    inside = history["ds"].to_numpy() <= end.to_datetime64()
    rows = history if inside.all() else history[inside]
    listed = rows[list(KEYS)] if pairs is None else pd.concat([rows[list(KEYS)], pairs[list(KEYS)]])
    keys, codes = _series(listed)
    codes = codes[: len(rows)]
    # the panel ends on `last_day` even when nothing was sold there
    last = rows["ds"].max() if len(rows) else end
    last = last + pd.Timedelta(days=step * ((end - last).days // step))
    periods = int((last - rows["ds"].min()).days // step) + 1 if len(rows) else 1
    periods = periods if longest is None else min(periods, longest // step)
    days = pd.date_range(end=last, periods=periods, freq=f"{step}D")
    at = _columns(rows["ds"], days[0], step)
    kept = at >= 0
    cells = (codes[kept], at[kept])
    units = _filled(len(keys), periods, cells, rows["units"].to_numpy()[kept])
    in_stock = np.ones((len(keys), periods), dtype=np.float32)
    if "in_stock" in rows:
        given = rows["in_stock"].to_numpy(dtype=np.float32)[kept]
        in_stock[cells] = np.where(np.isnan(given), 1, given)
    closed, written = None, np.full(len(keys), bool(writes_zeros))
    if writes_zeros is None:
        store = pd.factorize(keys["store_id"])[0]
        closed = missing_rows.closed_weekdays(units, store, horizon) if step == 1 else None
        written = missing_rows.writes_zeros(units, store, None if closed is None else closed[:, :periods])
    zero_gaps(units, ~written[:, None])
    columns = {name: _known(rows, future, name, keys, (len(keys), periods, horizon), cells, kept, days[0], step) for name in known}
    attributes = _attributes(keys, static)
    return with_groups(Panel(keys, days, units, in_stock, step, columns, attributes, closed=closed))


def offered(units: np.ndarray, in_stock: np.ndarray) -> np.ndarray:
    """The share of each period in stock, of the same shape and type, where one in which something sold was on offer for some of it,
    whatever the stock file says."""
    return np.where(units > 0, np.maximum(in_stock, in_stock.dtype.type(LEAST_EXPOSURE)), in_stock)


def with_groups(panel: Panel, totals: pd.DataFrame | None = None) -> Panel:
    """The panel with its groups: over its own series, or, when only a part of all series is at hand (a Spark group),
    from `totals`: rows `group` (store, product, category, all), `member`, `ds`, `units`, `exposure`, summed over all."""
    members = {"store": panel.keys["store_id"], "product": panel.keys["product_id"]}
    if "category" in panel.static:
        members["category"] = panel.static["category"].fillna("")
    members["all"] = pd.Series("", index=panel.keys.index)
    make = (lambda name, of: _summed(panel, of)) if totals is None else (lambda name, of: _given(panel, totals, name, of))
    return replace(panel, groups={name: make(name, of) for name, of in members.items()})


def _series(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Distinct keys in sorted order, and for each row the number of its series."""
    store, stores = pd.factorize(rows["store_id"], sort=True)
    product, products = pd.factorize(rows["product_id"], sort=True)
    pair, codes = np.unique(store.astype(np.int64) * max(len(products), 1) + product, return_inverse=True)
    store, product = np.divmod(pair, max(len(products), 1))
    keys = pd.DataFrame({"store_id": np.asarray(stores, object)[store], "product_id": np.asarray(products, object)[product]})
    return keys, codes


def _columns(ds: pd.Series, first: pd.Timestamp, step: int) -> np.ndarray:
    return (ds.to_numpy().astype("datetime64[D]") - np.datetime64(first, "D")).astype(np.int64) // step


def _filled(n: int, periods: int, cells: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> np.ndarray:
    filled = np.full((n, periods), np.nan, dtype=np.float32)
    filled[cells] = values
    return filled


def zero_gaps(units: np.ndarray, where: np.ndarray) -> None:
    """Nothing sold, in place, where a row is missing after a series' first one; `where`: (n, 1) or (n, T), which are filled so."""
    started = np.maximum.accumulate(~np.isnan(units), axis=1)
    units[started & np.isnan(units) & where] = 0


def _known(
    rows: pd.DataFrame, future: pd.DataFrame | None, name: str, keys: pd.DataFrame, shape: tuple[int, int, int],
    cells: tuple[np.ndarray, np.ndarray], kept: np.ndarray, first: pd.Timestamp, step: int,
) -> np.ndarray:  # fmt: skip
    """(n, T + H) values of one column from the history and, past the last day, from the future."""
    n, periods, horizon = shape
    values = np.full((n, periods + horizon), np.nan, dtype=np.float32)
    if name in rows:
        values[cells] = rows[name].to_numpy(dtype=np.float32)[kept]
    if future is not None and name in future:
        codes = pd.MultiIndex.from_frame(keys).get_indexer(pd.MultiIndex.from_frame(future[list(KEYS)]))
        at = _columns(future["ds"], first, step)
        inside = (codes >= 0) & (at >= periods) & (at < periods + horizon)
        values[codes[inside], at[inside]] = future[name].to_numpy(dtype=np.float32)[inside]
    return values


def _attributes(keys: pd.DataFrame, static: pd.DataFrame | None) -> pd.DataFrame:
    if static is None:
        return pd.DataFrame(index=keys.index)
    on = [name for name in KEYS if name in static.columns]
    # pandas' own types, of categories or of numbers that may be absent, hold no value of another type
    own = {name: kind for name, kind in static.dtypes.items() if not isinstance(kind, np.dtype)}
    plain = static.astype({name: float if pd.api.types.is_numeric_dtype(kind) else object for name, kind in own.items()})
    return keys.merge(plain.drop_duplicates(on), on=on, how="left").drop(columns=list(KEYS))


def _summed(panel: Panel, members: pd.Series) -> Group:
    codes, distinct = pd.factorize(members)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(distinct)))
    exposure = panel.exposure
    sold = np.where(exposure > 0, np.nan_to_num(panel.units), np.float32(0))
    sums = [np.add.reduceat(values[order], starts, axis=0, dtype=np.float64) for values in (sold, exposure)]
    return Group(codes, sums[0], sums[1])


def _given(panel: Panel, totals: pd.DataFrame, name: str, members: pd.Series) -> Group:
    codes, distinct = pd.factorize(members)
    rows = totals[totals["group"] == name]
    at = _columns(rows["ds"], panel.days[0], panel.step)
    of = pd.Index(distinct).get_indexer(pd.Index(rows["member"]))
    inside = (of >= 0) & (at >= 0) & (at < len(panel.days))
    cells = (of[inside], at[inside])
    sums = [np.zeros((len(distinct), len(panel.days))) for _ in range(2)]
    for values, column in zip(sums, ("units", "exposure"), strict=True):
        np.add.at(values, cells, rows[column].to_numpy(dtype=float)[inside])
    return Group(codes, sums[0], sums[1])


def group_totals(panel: Panel) -> pd.DataFrame:
    """The panel's groups as the rows that `with_groups` reads: `group, member, ds, units, exposure`."""
    named: Mapping[str, pd.Series] = {
        "store": panel.keys["store_id"], "product": panel.keys["product_id"], "all": pd.Series("", index=panel.keys.index),
        **({"category": panel.static["category"].fillna("")} if "category" in panel.static else {}),
    }  # fmt: skip
    parts = []
    for name, members in named.items():
        group = panel.groups[name]
        distinct = pd.Series(members.to_numpy()).groupby(group.codes).first()
        grid = pd.MultiIndex.from_product([distinct, panel.days], names=["member", "ds"]).to_frame(index=False)
        parts.append(grid.assign(group=name, units=group.units.ravel(), exposure=group.exposure.ravel()))
    return pd.concat(parts, ignore_index=True)[["group", "member", "ds", "units", "exposure"]]
