"""One setting for the endpoint of an S3 store, told to every library under the name that it looks for. Keys are never
settings: each library reads AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an instance's role, by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.errors import NotReady

if TYPE_CHECKING:
    from minio import Minio

    from infra.settings import Settings

#: who reads which: boto3 and delta-rs, boto3 and Spark's staging, MLflow, Feast's registry
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "FEAST_S3_ENDPOINT_URL")


def point_clients_at(endpoint: str, region: str) -> None:
    """Make the S3 clients of this process and its children use `endpoint` in `region` (nothing when it is empty)."""
    if not endpoint:
        return
    plain = {"AWS_ALLOW_HTTP": "true"} if endpoint.startswith("http://") else {}
    os.environ.update({**dict.fromkeys(ENDPOINT_VARIABLES, endpoint), "AWS_REGION": region, **plain})


def hadoop_options(endpoint: str, region: str) -> dict[str, str]:
    """Hadoop's S3A options for an endpoint; a bucket is part of the path there, since no DNS knows it."""
    if not endpoint:
        return {}
    return {
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": region,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https://")).lower(),
    }


def make_buckets(settings: Settings) -> list[str]:
    """Make the buckets that the URLs of lake and artifacts name and the store lacks; returns the names made. Raises
    NotReady when the store does not answer or refuses."""
    with _reached(settings) as store:
        missing = [name for name in _buckets(settings) if not store.bucket_exists(name)]
        for name in missing:
            store.make_bucket(name)
    return missing


def require_buckets(settings: Settings) -> list[str]:
    """The buckets that the URLs of lake and artifacts name. Raises NotReady when one is not there, or as `make_buckets` does."""
    with _reached(settings) as store:
        if missing := [name for name in _buckets(settings) if not store.bucket_exists(name)]:
            raise NotReady(f"the S3 store at {settings.s3_endpoint_url or 'AWS'} has no bucket {', '.join(missing)}.")
    return _buckets(settings)


def _buckets(settings: Settings) -> list[str]:
    urls = (settings.lake_url, settings.artifacts_url)
    return list(dict.fromkeys(urlsplit(url).netloc for url in urls if url.startswith(("s3a://", "s3://"))))


@contextmanager
def _reached(settings: Settings) -> Iterator[Minio]:
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        yield _client(settings)
    except (MinioException, HTTPError, ValueError) as error:
        raise NotReady(f"the S3 store at {settings.s3_endpoint_url or 'AWS'} cannot be used ({error}): check it and its keys.") from error


def _client(settings: Settings) -> Minio:
    from minio import Minio
    from minio.credentials import ChainedProvider, EnvAWSProvider, IamAwsProvider

    parts = urlsplit(settings.s3_endpoint_url or "https://s3.amazonaws.com")
    keys = ChainedProvider([EnvAWSProvider(), IamAwsProvider()])
    return Minio(parts.netloc, secure=parts.scheme == "https", credentials=keys, region=settings.s3_region)
