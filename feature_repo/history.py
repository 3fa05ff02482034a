"""Features as they were known: the point-in-time join of a spine with a feature service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feature_repo.definitions import service_features, service_key, service_references, service_views
from feature_repo.keys import Key
from feature_repo.snapshots import KNOWN_AT
from feature_repo.store import offline_feature_store, session_settings_kept
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: the name by which Feast finds the time of a spine row
_EVENT_TIMESTAMP = "event_timestamp"


def history(spark: SparkSession, settings: Settings, spine: DataFrame, service: str) -> DataFrame:
    """`spine` with the features of `service` as they were known at each row's `known_at` (a timestamp, the label of a day as
    `snapshots.known_at` makes it; the entity's key columns beside it), null where nothing was known. Every row of the spine comes
    back once, equal rows too.

    The answer is cached, since it is counted here and read again by who asked: `unpersist` it when done. Raises
    BadInput naming a column that the spine lacks or has in common with the features."""
    key = service_key(service)
    _check_columns(spine, key, service)
    held = spine.is_cached
    asked = spine.persist()
    moments = _moments(asked, key).persist()
    at_once = _rows_of_the_moment(spark, settings, moments, service).persist()
    rest = moments.join(at_once, [*key.columns, KNOWN_AT], "left_anti").persist()
    # counted, so that it lies in the cache before Feast asks for its range of times
    known = at_once.unionByName(_latest_rows(settings, rest, key, service)) if rest.count() else at_once
    found = asked.join(known, [*key.columns, KNOWN_AT], "left").persist()
    before, after = asked.count(), found.count()
    for used in (moments, at_once, rest, *([] if held else [asked])):
        used.unpersist()
    if before != after:
        raise AssertionError(f"the point-in-time join of {service} made {after} rows of {before}")
    return found


def _check_columns(spine: DataFrame, key: Key, service: str) -> None:
    for name in (*key.columns, KNOWN_AT):
        if name not in spine.columns:
            raise BadInput(f"the spine of {service}: column {name!r} is missing; it has {', '.join(spine.columns)}")
    for name in service_features(service):
        if name in spine.columns:
            raise BadInput(f"the spine of {service}: column {name!r} is the name of a feature; rename it")


def _moments(spine: DataFrame, key: Key) -> DataFrame:
    """The distinct keys and times of the spine, as Feast takes them.

    The time goes without a zone: Feast collects the range of times as local time of this process, which for a
    timestamp with zone is hours off the session's UTC wherever the machine's clock is not on UTC."""
    from pyspark.sql import functions as F

    distinct = spine.select(*key.columns, KNOWN_AT).dropna().distinct()
    timed = distinct.withColumn(_EVENT_TIMESTAMP, F.col(KNOWN_AT).cast("timestamp_ntz"))
    return timed if key.join_key in key.columns else timed.withColumn(key.join_key, key.spark())


def _rows_of_the_moment(spark: SparkSession, settings: Settings, moments: DataFrame, service: str) -> DataFrame:
    """Key columns, `known_at` and features of those moments at which every view has a row that became known just then: of a
    point-in-time join that row is the answer. Training asks for nothing else, and Feast would compare each moment with all
    the rows of its key within the view's age."""
    from pyspark.sql import functions as F

    lake, on = Lake(settings.lake_url), [*service_key(service).columns, KNOWN_AT]
    first, last = moments.agg(F.min(KNOWN_AT), F.max(KNOWN_AT)).collect()[0]
    found = moments.select(*on)
    for view, names in service_views(service):
        rows = lake.read(spark, view.table).select(*on, *names)
        found = found.join(rows.where(F.col(KNOWN_AT).between(F.lit(first), F.lit(last))), on)
    return found


def _latest_rows(settings: Settings, moments: DataFrame, key: Key, service: str) -> DataFrame:
    """Key columns, `known_at` and the service's features for each of `moments`, by Feast."""
    # Feast's Spark store takes and gives Spark frames, which its signatures do not say
    entity_frame: Any = moments
    with session_settings_kept():
        job: Any = offline_feature_store(settings).get_historical_features(entity_frame, service_references(service))
        return job.to_spark_df().select(*key.columns, KNOWN_AT, *service_features(service))
