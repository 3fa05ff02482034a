"""The real servers, started once for the run: Kafka, MinIO, Redis, MLflow and a Spark cluster, on free ports."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.s3 import hadoop_options, make_buckets
from infra.settings import Settings, load_settings
from infra.stack.programs import find_minio
from infra.stack.services import Ports
from infra.stack.stack import Stack

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running stack; one that runs below SHELFCAST_TEST_STACK is used as it is, and left running. Skipped where
    MinIO can neither be found nor built, unless CI is set: then that is a failure."""
    kept = os.environ.get("SHELFCAST_TEST_STACK")
    settings = load_settings(home=Path(kept) if kept else tmp_path_factory.mktemp("stack"))
    found = Stack.at(settings, None if kept else Ports.free())
    if find_minio(found.place.cache) is None and shutil.which("go") is None:
        said = f"MinIO is not in {found.place.cache}, and there is no Go to build it"
        pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.variables.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        # what a settings object exports for the S3 clients is taken back at the end
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "FEAST_S3_ENDPOINT_URL", "AWS_ALLOW_HTTP"):
            patch.setenv(name, "")
            os.environ.pop(name)
        found.up()
        yield found
        if not kept:
            found.down()


@pytest.fixture
def on_stack(stack: Stack, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings on the stack with topics, lake prefix and home of their own; the embedded warehouse; local Spark."""

    def make(**more: Any) -> Settings:
        own = uuid.uuid4().hex[:8]
        urls = {name.removeprefix("SHELFCAST_").lower(): value for name, value in stack.variables.items() if name.startswith("SHELFCAST_")}
        urls |= {"events_url": f"{urls['events_url']}.{own}?partitions=2", "lake_url": f"s3a://shelfcast/{own}/lake",
                 "artifacts_url": f"s3://shelfcast/{own}/artifacts", "spark_url": "local[2]"}  # fmt: skip
        settings = load_settings(**{"home": tmp_path / own, **urls, **more})
        make_buckets(settings)
        return settings

    return make


@pytest.fixture
def settings(on_stack: Callable[..., Settings]) -> Settings:
    """Settings on the stack."""
    return on_stack()


@pytest.fixture
def spark(spark: SparkSession, stack: Stack) -> SparkSession:
    """The run's one session, told where the stack's S3 is."""
    place = stack.place
    options = {
        **hadoop_options(f"http://127.0.0.1:{place.ports.minio}", "us-east-1"),
        "fs.s3a.access.key": place.s3_key,
        "fs.s3a.secret.key": place.s3_secret,
    }
    for name, value in options.items():
        spark.sparkContext._jsc.hadoopConfiguration().set(name, value)
    return spark
