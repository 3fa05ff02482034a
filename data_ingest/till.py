"""What happens around sale lines at the store: purchases as the shelf filled them, simulated returns, opening hours and
foot traffic, as events."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.chance import keys_of, uniform
from data_ingest.producers import SIMULATED, event_table, joined, names_of
from data_ingest.shelf import CLOSE_HOUR, OPEN_HOUR
from data_ingest.shelf_events import local_times

#: share of sold lines of which something comes back, one to seven days later
RETURN_SHARE = 0.006
#: people who come in and buy nothing, for each expected basket
BROWSERS = 2.5

LINE_COLUMNS = ("pair", "basket_id", "customer_id", "line", "units", "unit_price", "discount", "promotion_id", "day", "second", "sold")


def purchases(lines: pd.DataFrame, pairs: pd.DataFrame, prefix: str, source: str, first: date, utc_offset_hours: float) -> pa.Table:
    """Purchase events of the LINE_COLUMNS rows that the shelf filled at least in part; the discount shrinks with the
    units. `customer_id` and `promotion_id` may be null."""
    rows = lines[lines["sold"] > 0]
    codes = rows["pair"].to_numpy()
    return event_table(
        "purchase", source,
        event_id=joined(prefix, "p", rows["basket_id"].to_numpy(), rows["line"].to_numpy()),
        occurred_at=local_times(first, rows["day"], rows["second"], utc_offset_hours),
        store_id=names_of(codes, pairs["store_id"]), product_id=names_of(codes, pairs["product_id"]),
        basket_id=_text(rows["basket_id"]), customer_id=_text(rows["customer_id"]), line=rows["line"].to_numpy(),
        units=rows["sold"].to_numpy(), unit_price=rows["unit_price"].to_numpy(),
        discount=(rows["discount"] * rows["sold"] / rows["units"]).round(6).to_numpy(), promotion_id=_text(rows["promotion_id"]),
    )  # fmt: skip


def returns(lines: pd.DataFrame, pairs: pd.DataFrame, prefix: str, first: date, days: int, utc_offset_hours: float, seed: int) -> pa.Table:
    """Simulated return events: of RETURN_SHARE of the filled lines one unit (or what was sold, if less) comes back between
    noon and six on one of the next seven days, paid back at the price paid; what would come after the run is dropped.
    Goods that come back do not return to the shelf."""
    key = keys_of(lines["basket_id"].astype(str), lines["line"].astype(str)) if len(lines) else np.empty(0, np.uint64)
    day = lines["day"].to_numpy() + 1 + np.floor(7 * uniform(seed, "retday", key)).astype(int)
    back = (lines["sold"].to_numpy() > 0) & (uniform(seed, "return", key) < RETURN_SHARE) & (day < days)
    rows, codes = lines[back], lines["pair"].to_numpy()[back]
    second = 12 * 3600 + np.floor(6 * 3600 * uniform(seed, "retsec", key[back])).astype(int)
    return event_table(
        "return", SIMULATED,
        event_id=joined(prefix, "return", rows["basket_id"].to_numpy(), rows["line"].to_numpy()),
        occurred_at=local_times(first, day[back], second, utc_offset_hours),
        store_id=names_of(codes, pairs["store_id"]), product_id=names_of(codes, pairs["product_id"]),
        basket_id=_text(rows["basket_id"]), customer_id=_text(rows["customer_id"]), units=np.minimum(rows["sold"].to_numpy(), 1.0),
        unit_price=(rows["unit_price"] - rows["discount"] / rows["units"]).clip(lower=0).round(4).to_numpy(),
        reason=pa.repeat("changed mind", len(rows)),
    )  # fmt: skip


def store_days(store: np.ndarray, day: np.ndarray, second: np.ndarray, stores: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Opening and closing second of each store-day with any line, stores x days, NaN when there is none: the usual hours,
    stretched to the first and last line."""
    at = store * days + day
    opens, closes = np.full(stores * days, np.inf), np.full(stores * days, -np.inf)
    np.minimum.at(opens, at, second)
    np.maximum.at(closes, at, second)
    open_any = np.isfinite(opens)
    opens = np.where(open_any, np.minimum(opens, OPEN_HOUR * 3600), np.nan)
    closes = np.where(open_any, np.minimum(np.maximum(closes + 60, CLOSE_HOUR * 3600), 86399), np.nan)
    return opens.reshape(stores, days), closes.reshape(stores, days)


def opening_feed(opens: np.ndarray, closes: np.ndarray, stores: np.ndarray, prefix: str, first: date, utc_offset_hours: float) -> pa.Table:
    """store_opened events of the store-days that are not NaN, and store_closed ones of all: a store that stays closed says so,
    or its feed would count as missing. The hours are assumed, hence simulated."""
    told = []
    for kind, second in (("store_opened", opens), ("store_closed", np.where(np.isnan(closes), CLOSE_HOUR * 3600, closes))):
        store, day = np.nonzero(~np.isnan(second))
        names = names_of(store, stores)
        at = local_times(first, day, second[store, day], utc_offset_hours)
        told.append(event_table(kind, SIMULATED, event_id=joined(prefix, kind, names, day), store_id=names, occurred_at=at))
    return pa.concat_tables(told)


def visit_feed(
    baskets: np.ndarray,
    opens: np.ndarray,
    closes: np.ndarray,
    stores: np.ndarray,
    prefix: str,
    first: date,
    utc_offset_hours: float,
    seed: int,
) -> pa.Table:
    """A visit_count event for each store-day that was open. `baskets` is stores x days x 24 (distinct baskets by local
    hour): each of them visited, and browsers come on top in Poisson numbers around the store's usual day and hours."""
    days = baskets.shape[1]
    usual = baskets.sum(2).mean(1, keepdims=True) * (
        0.7 + 0.6 * uniform(seed, "traffic", keys_of(stores)[:, None], np.arange(days)[None, :])
    )
    # the store's own hours: a store's visits do not depend on which other stores are replayed
    by_hour = baskets.sum(1) + 1e-9
    visits = np.empty(baskets.shape, dtype=np.int32)
    for row, key in enumerate(keys_of(stores)):
        chance = np.random.Generator(np.random.Philox(key=[seed, int(key)]))
        visits[row] = baskets[row] + chance.poisson(BROWSERS * usual[row][:, None] * (by_hour[row] / by_hour[row].sum()))
    store, day = np.nonzero(~np.isnan(opens))
    counted = visits[store, day]
    names = names_of(store, stores)
    return event_table(
        "visit_count", SIMULATED, event_id=joined(prefix, "visits", names, day), store_id=names,
        occurred_at=local_times(first, day, np.minimum(closes[store, day] + 300, 86399), utc_offset_hours),
        visits=pa.ListArray.from_arrays(np.arange(0, counted.size + 1, 24, dtype=np.int32), counted.ravel()),
        ds=pa.array(np.datetime64(first, "D") + day.astype("timedelta64[D]")),
    )  # fmt: skip


def baskets_by_hour(store: np.ndarray, basket: np.ndarray, day: np.ndarray, second: np.ndarray, stores: int, days: int) -> np.ndarray:
    """Distinct baskets, stores x days x 24, each in the hour of its first line."""
    order = np.lexsort((second, basket))
    firsts = order[np.flatnonzero(np.diff(pd.factorize(basket[order])[0], prepend=-1))]
    at = (store[firsts] * days + day[firsts]) * 24 + second[firsts] // 3600
    return np.bincount(at, minlength=stores * days * 24).reshape(stores, days, 24)


def _text(column: pd.Series) -> pa.Array:
    array = pa.array(column, from_pandas=True)
    return array.cast(pa.string())
