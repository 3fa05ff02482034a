"""Stores that have shut and pairs that have left the shelf. Nothing is forecast for them and nothing is ordered: on the days that
a store is closed or a shelf is empty nothing is learnt of what would sell, so that the newest features are those of before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from data_ingest.tables import STORE_DAYS
from infra.lake import Lake

#: a store that was closed on every day of so many has shut
SHUT_DAYS = 28
#: days of them that must have been heard of: a word or two among weeks of silence is of a feed that is missing
LEAST_HEARD_DAYS = 14
#: a pair that was on offer for no hour of so many days has left the shelf
OFF_SHELF_DAYS = 91


def shut_stores(lake: Lake, days: Sequence[date]) -> pd.DataFrame:
    """`store_id, ds`, a row for each of `days` (ds) by which a store had shut: of the last SHUT_DAYS up to it those that
    were heard of, LEAST_HEARD_DAYS or more, were closed. Of a store of which less was heard the feed is missing. Needs no JVM."""
    first, last = min(days) - timedelta(days=SHUT_DAYS - 1), max(days)
    known = lake.read_pandas(STORE_DAYS, filters=[("ds", ">=", first), ("ds", "<=", last)])
    heard = known[known["status"] != "feed_missing"]
    stores, names = pd.factorize(heard["store_id"])
    at = (pd.to_datetime(heard["ds"]) - pd.Timestamp(first)).dt.days.to_numpy()
    ends = np.array([(day - first).days + 1 for day in days])

    def within(counted: np.ndarray) -> np.ndarray:
        """(stores, days) how many of the SHUT_DAYS up to each day count."""
        so_far = np.zeros((len(names), (last - first).days + 2))
        np.add.at(so_far, (stores, at + 1), counted)
        so_far = so_far.cumsum(axis=1)
        return so_far[:, ends] - so_far[:, ends - SHUT_DAYS]

    open_days, heard_days = within((heard["status"] != "closed").to_numpy(dtype=float)), within(np.ones(len(heard)))
    store, day = np.nonzero((open_days == 0) & (heard_days >= LEAST_HEARD_DAYS))
    return pd.DataFrame({"store_id": names[store].astype(object), "ds": pd.Series([days[each] for each in day.tolist()], dtype=object)})


def off_shelf(features: pd.DataFrame) -> pd.Series:
    """Whether each row of demand features (`mean_91`, `age_days`) is of a pair that has left the shelf; a new one has not yet."""
    return features["mean_91"].isna() & (features["age_days"] >= OFF_SHELF_DAYS)


def sold(features: pd.DataFrame) -> pd.Series:
    """Whether each row of demand features is of a pair that is sold: its store has not shut, and it has not left the shelf."""
    return (features["store_shut"] == 0) & ~off_shelf(features)
