"""Features as they were known: the point-in-time join of a spine with a feature service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feature_repo.definitions import service_features, service_key, service_references, service_types
from feature_repo.keys import Key
from feature_repo.snapshots import KNOWN_AT
from feature_repo.store import offline_feature_store, session_settings_kept
from infra.errors import BadInput
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: the name by which Feast finds the time of a spine row
_EVENT_TIMESTAMP = "event_timestamp"


def history(spark: SparkSession, settings: Settings, spine: DataFrame, service: str) -> DataFrame:
    """`spine` with the features of `service` as they were known at each row's `known_at` (a timestamp; the entity's key
    columns beside it), null where nothing was known. Every row of the spine comes back once, equal rows too.

    The answer is cached, since it is counted here and read again by who asked: `unpersist` it when done. Raises
    BadInput naming a column that the spine lacks or has in common with the features."""
    key = service_key(service)
    _check_columns(spine, key, service)
    held = spine.is_cached
    asked = spine.persist()
    moments = _moments(asked, key).persist()
    known = _known_features(spark, settings, moments, key, service)
    found = asked.join(known, [*key.columns, KNOWN_AT], "left").persist()
    before, after = asked.count(), found.count()
    moments.unpersist()
    if not held:
        asked.unpersist()
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


def _known_features(spark: SparkSession, settings: Settings, moments: DataFrame, key: Key, service: str) -> DataFrame:
    """Key columns, `known_at` and the service's features for each of `moments`."""
    names = service_features(service)
    # counted, so that it lies in the cache before Feast asks for its range of times
    if moments.count() == 0:
        return spark.createDataFrame([], moments.select(*key.columns, KNOWN_AT).schema).selectExpr("*", *_no_values(service))
    # Feast's Spark store takes and gives Spark frames, which its signatures do not say
    entity_frame: Any = moments
    with session_settings_kept():
        job: Any = offline_feature_store(settings).get_historical_features(entity_frame, service_references(service))
        return job.to_spark_df().select(*key.columns, KNOWN_AT, *names)


def _no_values(service: str) -> list[str]:
    return [f"CAST(NULL AS {kind}) AS `{name}`" for name, kind in service_types(service).items()]
