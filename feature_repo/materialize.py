"""From the lake to the online store: the latest row of every key.

Feast's own materialisation with the Spark store pulls a time range, sorts all its rows by a window, and keeps the last
interval in the registry, so that a corrected day inside a finished interval never arrives. Here Spark keeps one row a
key out of the rows that are not too old (a bounded scan), and Feast's write path stores them: seconds for thousands of
keys, the same result however often it is run."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.definitions import VIEWS, View
from feature_repo.keys import STORED_UNTIL
from feature_repo.snapshots import KNOWN_AT
from feature_repo.store import online_feature_store
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore
    from pyspark.sql import DataFrame, SparkSession

#: rows handed to the online store at once
CHUNK_ROWS = 5_000
#: about as many rows are on the driver at once, of millions of keys
COLLECTED_ROWS = 200_000


def materialize(spark: SparkSession, settings: Settings, until: date) -> dict[str, int]:
    """Store the latest row of every key that was known when the day `until` had closed; returns rows by view. Rows older
    than the view's `max_age` are left out; those that are online already stay there, and `STORED_UNTIL` tells their reader how
    old they are. A repetition, or a later correction, replaces what is there."""
    store = online_feature_store(settings)
    lake = Lake(settings.lake_url)
    written = {}
    for view in VIEWS:
        # last: a kill before it leaves new rows under the old moment, which makes none of them stale
        stored = pd.DataFrame({view.key.join_key: [STORED_UNTIL], KNOWN_AT: [pd.Timestamp(_closing(until), tz="UTC")]})
        written[view.name] = _store(store, view, latest_rows(lake.read(spark, view.table), view, until), stored)
    return written


def _store(store: FeatureStore, view: View, latest: DataFrame, final: pd.DataFrame) -> int:
    """Write the rows of `latest`, part by part, then the row `final`; returns how many `latest` has."""
    kept = latest.persist()
    count = kept.count()
    parts = max(-(-count // COLLECTED_ROWS), 1)
    numbers = {name: float for name in view.features if view.types[name] == "double"}
    for part in range(parts):
        rows = kept.where(f"pmod(hash({view.key.join_key}), {parts}) = {part}").toPandas()
        # what was UTC in Spark is without a zone in pandas; the Feast store wants it said
        rows[KNOWN_AT] = pd.to_datetime(rows[KNOWN_AT]).dt.tz_localize("UTC")
        if part == parts - 1:
            rows = pd.concat([rows, final.reindex(columns=rows.columns)], ignore_index=True)
        rows = rows.astype(numbers)
        for start in range(0, len(rows), CHUNK_ROWS):
            store.write_to_online_store(view.name, df=rows.iloc[start : start + CHUNK_ROWS].reset_index(drop=True))
    kept.unpersist()
    return count


def latest_rows(frame: DataFrame, view: View, until: date) -> DataFrame:
    """Join key, `known_at` and features of each key's last row known at the end of `until` and not older than the
    view's `max_age`."""
    from pyspark.sql import functions as F

    closed = _closing(until)
    # the day is what the files are partitioned and pruned by
    recent = frame.where(F.col("ds").between(F.lit(until - view.max_age), F.lit(until)))
    fresh = recent.where(F.col(KNOWN_AT) <= F.lit(closed.isoformat()).cast("timestamp"))
    values = F.struct(KNOWN_AT, *view.features)
    last = fresh.groupBy(view.key.join_key).agg(F.max_by(values, KNOWN_AT).alias("last"))
    return last.select(view.key.join_key, "last.*")


def _closing(day: date) -> datetime:
    """When a day has closed, UTC."""
    return datetime.combine(day + timedelta(days=1), time())
