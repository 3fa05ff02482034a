"""The doctor: what the platform stands on, checked one by one, each with the way to mend it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from infra.errors import BadInput, NotReady, without_credentials
from infra.jars import missing_jars, resolve_jars, spark_sets
from infra.java import find_java
from infra.patience import Service, services
from infra.s3 import require_buckets
from infra.settings import Settings
from infra.tracking import connect
from infra.warehouse import Warehouse, redacted

#: free disk below which a full run may not fit
NEEDED_GIB = 5


@dataclass(frozen=True)
class Check:
    """One thing examined: what was found, and what mends it when it is broken."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def examine(settings: Settings, fix: bool = False) -> list[Check]:
    """Every check in the order in which they depend on each other; `fix` resolves missing jars and makes folders."""
    if fix:
        settings.home.mkdir(parents=True, exist_ok=True)
        resolve_jars(settings.jars, spark_sets(settings), settings.java_home)
    listening = [_listens(service) for service in services(settings)]
    away = {check.name for check in listening if not check.ok}
    # a client would wait for one that nobody answers at
    asked = {"ClickHouse": _warehouse, "MLflow": _tracking, "S3": _buckets}
    told = [look(settings) for name, look in asked.items() if name not in away]
    return [_java(settings), _jars(settings), _home(settings), _disk(settings), *listening, *told]


def _java(settings: Settings) -> Check:
    return _tried("java", lambda: str(find_java(settings.java_home)), "run `make setup`, or install Java 17 or 21 and set JAVA_HOME")


def _jars(settings: Settings) -> Check:
    missing = missing_jars(settings.jars, spark_sets(settings))
    found = f"{settings.jars}: {', '.join(missing) + ' missing' if missing else 'complete'}"
    return Check("jars", not missing, found, "run `shelfcast doctor --fix`" if missing else "")


def _home(settings: Settings) -> Check:
    nearest = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    ok = os.access(nearest, os.W_OK)
    return Check("home", ok, str(settings.home), "" if ok else f"make {nearest} writable, or set SHELFCAST_HOME to a folder that is")


def _disk(settings: Settings) -> Check:
    nearest = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(nearest).free / 2**30
    return Check(
        "disk",
        free >= NEEDED_GIB,
        f"{free:.0f} GiB free",
        "" if free >= NEEDED_GIB else f"free {NEEDED_GIB} GiB, or set SHELFCAST_HOME elsewhere",
    )


def _listens(service: Service) -> Check:
    ok = service.answers()
    mend = f"see that {service.name} runs, and check its SHELFCAST_*_URL: nothing listens at {service.place}"
    return Check(service.name, ok, service.place, "" if ok else mend)


def _buckets(settings: Settings) -> Check:
    return _tried(
        "buckets",
        lambda: ", ".join(require_buckets(settings)) or "none are needed",
        "run `shelfcast bootstrap`, and check the store's keys",
    )


def _warehouse(settings: Settings) -> Check:
    said = f"check SHELFCAST_WAREHOUSE_URL ({redacted(settings.warehouse_url)}) and that the server is up"
    return _tried("warehouse", lambda: f"ClickHouse {Warehouse(settings.warehouse_url).query('select version() as v')['v'][0]}", said)


def _tracking(settings: Settings) -> Check:
    said = f"check SHELFCAST_TRACKING_URL ({redacted(settings.tracking_url)}) and that the server is up"
    return _tried("mlflow", lambda: f"{len(connect(settings).search_registered_models())} registered models", said)


def _tried(name: str, look: Callable[[], str], mend: str) -> Check:
    from clickhouse_connect.driver.exceptions import ClickHouseError
    from mlflow.exceptions import MlflowException

    try:
        return Check(name, True, look())
    except (NotReady, BadInput, ClickHouseError, MlflowException, OSError) as error:
        return Check(name, False, without_credentials(str(error)), mend)
