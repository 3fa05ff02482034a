"""One setting for the endpoint of an S3 store, told to every library under the name that it looks for. Keys are never
settings: each library reads AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an instance's role, by itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.errors import NotReady

if TYPE_CHECKING:
    from minio import Minio

    from infra.settings import Settings

#: who reads which: boto3 and delta-rs, boto3 and Spark's staging, MLflow, Feast's registry
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "FEAST_S3_ENDPOINT_URL")
#: what S3 servers other than Amazon's answer to
REGION = "us-east-1"


def point_clients_at(endpoint: str) -> None:
    """Make the S3 clients of this process and its children use `endpoint` (nothing when it is empty)."""
    if not endpoint:
        return
    os.environ.update(dict.fromkeys(ENDPOINT_VARIABLES, endpoint))
    os.environ.setdefault("AWS_REGION", REGION)
    if endpoint.startswith("http://"):
        os.environ["AWS_ALLOW_HTTP"] = "true"


def hadoop_options(endpoint: str) -> dict[str, str]:
    """Hadoop's S3A options for an endpoint; a bucket is part of the path there, since no DNS knows it."""
    if not endpoint:
        return {}
    return {
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": os.environ.get("AWS_REGION", REGION),
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https://")).lower(),
    }


def make_buckets(settings: Settings) -> list[str]:
    """Make the buckets that the URLs of lake and artifacts name and the store lacks; returns the names made. Raises
    NotReady when the store does not answer or refuses."""
    names = [urlsplit(url).netloc for url in (settings.lake_url, settings.artifacts_url) if url.startswith(("s3a://", "s3://"))]
    if not names:
        return []
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        store = _client(settings.s3_endpoint_url)
        missing = [name for name in dict.fromkeys(names) if not store.bucket_exists(name)]
        for name in missing:
            store.make_bucket(name)
    except (MinioException, HTTPError, ValueError) as error:
        raise NotReady(f"the S3 store at {settings.s3_endpoint_url or 'AWS'} cannot be used ({error}): check it and its keys.") from error
    return missing


def _client(endpoint: str) -> Minio:
    from minio import Minio
    from minio.credentials import ChainedProvider, EnvAWSProvider, IamAwsProvider

    parts = urlsplit(endpoint or "https://s3.amazonaws.com")
    keys = ChainedProvider([EnvAWSProvider(), IamAwsProvider()])
    return Minio(parts.netloc, secure=parts.scheme == "https", credentials=keys, region=os.environ.get("AWS_REGION", REGION))
