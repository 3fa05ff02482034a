"""Stores that have shut. Nothing is forecast for them and nothing is ordered: on the days that a store is closed nothing is
learnt of what it would sell, so that its newest features are those of the time when it was open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from data_ingest.tables import STORE_DAYS
from infra.lake import Lake

#: a store that was closed on every day of so many has shut
SHUT_DAYS = 28


def shut_stores(lake: Lake, days: Sequence[date]) -> pd.DataFrame:
    """`store_id, ds`, a row for each of `days` (ds) by which a store had shut: of the last SHUT_DAYS up to it those that
    were heard of were closed. A store of which nothing was heard has not shut; its feed is missing. Needs no JVM."""
    since = [day - timedelta(days=SHUT_DAYS - 1) for day in days]
    known = lake.read_pandas(STORE_DAYS, filters=[("ds", ">=", min(since))])
    found = []
    for first, day in zip(since, days, strict=True):
        heard = known[(known["ds"] >= first) & (known["ds"] <= day) & (known["status"] != "feed_missing")]
        closed = (heard["status"] == "closed").groupby(heard["store_id"]).all()
        found.append(pd.DataFrame({"store_id": closed.index[closed].astype(object), "ds": day}))
    return pd.concat(found, ignore_index=True)
