"""The real parts that tests share: one Spark session for the whole run, and a home of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


#: what is built or started once in a session, beside Spark, which every worker has
_SHARED = ("built", "stack")


# before xdist's hook of this name, which reads the marks
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, tests that share a costly fixture run on one: those of a run's fixture, or of a module's. The others go
    where there is time."""
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str | None:
    fixtures = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    shared = next((name for name in _SHARED if name in fixtures), None)
    of_module = any(found[-1].scope == "module" for found in fixtures.values())
    return shared or (str(item.path) if of_module else None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Embedded settings with every store below this test's own folder."""
    return load_settings(home=tmp_path / "home")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of the run: two cores, Delta, and the connectors of the stack tests."""
    from infra.spark import session

    home = tmp_path_factory.mktemp("spark")
    # the URLs only choose the jars: nothing is opened before a test does
    urls = {"events_url": "kafka://127.0.0.1:1/none", "lake_url": "s3a://none"}
    active = session(load_settings(home=home, spark_url="local[2]", spark_memory="3g", **urls), "shelfcast-tests")
    yield active
    active.stop()


@pytest.fixture(autouse=True)
def _nothing_stays_cached() -> Iterator[None]:
    """Frames that a test left cached are let go with the plans that made them: a run of hundreds would fill the heap."""
    yield
    if "pyspark.sql" in sys.modules and (active := sys.modules["pyspark.sql"].SparkSession.getActiveSession()):
        active.catalog.clearCache()
