"""The feature store of an environment: what its URL means, and a registry that appears whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from feature_repo.definitions import KEYS, SERVICES, VIEWS, service_features, service_references, service_types
from feature_repo.store import _ONLINE, apply, online_feature_store, registry_path
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(
    ("url", "kind", "connection"),
    [
        ("redis://cache:6380", "redis", "cache:6380"),
        ("redis://cache/2", "redis", "cache:6379,db=2"),
        ("redis://us%40er:p%40ss@cache:6380/0?ssl=true", "redis", "cache:6380,db=0,username=us@er,password=p@ss,ssl=true"),
        ("redis://cache:6380?cluster", "redis_cluster", "cache:6380"),
    ],
)
def test_a_redis_url_becomes_feasts_connection_string(url: str, kind: str, connection: str) -> None:
    made = _ONLINE["redis"](url)
    assert (made["redis_type"], made["connection_string"]) == (kind, connection)


def test_the_registry_holds_what_is_declared(spark: SparkSession, built: Settings) -> None:
    store = online_feature_store(built)
    assert {entity.name for entity in store.list_entities()} - {"__dummy"} == {key.name for key in KEYS}
    views = {view.name: view for view in store.list_feature_views()}
    for view in VIEWS:
        assert [field.name for field in views[view.name].features] == view.features
        assert views[view.name].entities == [view.key.name]
    assert {service.name for service in store.list_feature_services()} == set(SERVICES)


def test_applying_again_changes_nothing_and_leaves_no_partial_file(spark: SparkSession, built: Settings) -> None:
    names = apply(built)
    assert names == [*(key.name for key in KEYS), *(view.name for view in VIEWS), *SERVICES]
    assert [path.name for path in registry_path(built).parent.iterdir()] == [registry_path(built).name]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_names_each_feature_once(service: str) -> None:
    names = service_features(service)
    assert len(set(names)) == len(names) == len(service_references(service)) == len(service_types(service))
    assert service_references(service) is not service_references(service)
