"""The feature store of an environment: its registry, its online store, and, where Spark runs, its offline store."""

from __future__ import annotations

import importlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from feature_repo.definitions import PROJECT, definitions
from infra.errors import NotReady
from infra.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

#: seconds after which a running service reads the registry again
REGISTRY_SECONDS = 60


def registry_path(settings: Settings) -> Path:
    """The file that lists entities, views and services."""
    return settings.home / "feast" / "registry.db"


def _sqlite(url: str) -> dict[str, Any]:
    return {"type": "sqlite", "path": url.removeprefix("sqlite:///")}


def _redis(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    fields = {
        "db": parts.path.strip("/"),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        **{name: values[-1] for name, values in parse_qs(parts.query).items() if name != "cluster"},
    }
    options = ",".join(f"{name}={value}" for name, value in fields.items() if value)
    address = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    return {
        "type": "redis",
        "redis_type": "redis_cluster" if "cluster" in parse_qs(parts.query, keep_blank_values=True) else "redis",
        "connection_string": ",".join(filter(None, (address, options))),
        # without it Feast's Redis store ignores a corrected row of a day that it already holds
        "skip_dedup": True,
    }


_QUOTED_REGEX = "spark.sql.parser.quotedRegexColumnNames"

#: the online store's configuration by the scheme of its URL
_ONLINE: dict[str, Callable[[str], dict[str, Any]]] = {"sqlite": _sqlite, "redis": _redis}


def online_feature_store(settings: Settings) -> FeatureStore:
    """The store as a service sees it: registry and online store only, nothing that imports pyspark. Raises NotReady
    when no features were ever applied."""
    if not registry_path(settings).is_file():
        raise NotReady(f"there is no feature registry at {registry_path(settings)}: run `shelfcast features` first.")
    return _feature_store(settings, registry_path(settings), {"type": "dask"})


def offline_feature_store(settings: Settings) -> FeatureStore:
    """The store as training sees it, over the active Spark session; raises NotReady when nothing was ever applied."""
    if not registry_path(settings).is_file():
        raise NotReady(f"there is no feature registry at {registry_path(settings)}: run `shelfcast features` first.")
    return _feature_store(settings, registry_path(settings), {"type": "spark"})


def applied(settings: Settings) -> set[str]:
    """Names of the entities, views and services that the registry knows; none where there is no registry."""
    if not registry_path(settings).is_file():
        return set()
    store = online_feature_store(settings)
    known: list[Any] = [*store.list_entities(), *store.list_feature_views(), *store.list_feature_services()]
    return {each.name for each in known}


def apply(settings: Settings) -> list[str]:
    """Make the registry and the online store hold what `definitions` declares; returns the names. The registry file
    appears whole, by a rename: Feast itself writes it in place."""
    target = registry_path(settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    if target.is_file():
        shutil.copyfile(target, partial)
    _silence_experimental_warnings()
    declared: list[Any] = [*definitions(settings)]
    try:
        with session_settings_kept():
            _feature_store(settings, partial, {"type": "spark"}).apply(declared)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return [each.name for each in declared]


@contextmanager
def session_settings_kept() -> Iterator[None]:
    """Put back what Feast's Spark store sets in the active session: that quoted column names are regular expressions,
    under which Delta can no longer plan a filtered read."""
    from pyspark.sql import SparkSession

    importlib.import_module("feast.infra.offline_stores.contrib.spark_offline_store.spark")
    _silence_experimental_warnings()
    conf = SparkSession.active().conf
    before = conf.get(_QUOTED_REGEX, "false") or "false"
    try:
        yield
    finally:
        conf.set(_QUOTED_REGEX, before)


def _silence_experimental_warnings() -> None:
    """Feast calls its Spark parts experimental whenever one is made, although a registry cannot be read without. Its
    modules turn such warnings on again as they are imported: first they are, then it is said."""
    importlib.import_module("feast")
    warnings.filterwarnings("ignore", message="The spark .*experimental feature in alpha", category=RuntimeWarning)


def _feature_store(settings: Settings, registry: Path, offline: dict[str, Any]) -> FeatureStore:
    from feast import FeatureStore, RepoConfig

    _silence_experimental_warnings()
    scheme = settings.online_url.split("://", 1)[0]
    config = RepoConfig(
        project=PROJECT,
        provider="local",
        registry={"path": str(registry), "cache_ttl_seconds": REGISTRY_SECONDS},
        online_store=_ONLINE[scheme](settings.online_url),
        offline_store=offline,
        entity_key_serialization_version=3,
        repo_path=None,
    )
    return FeatureStore(config=config)
