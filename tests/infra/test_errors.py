"""What a disk refuses is told as that, and what a server refuses is not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from py4j.protocol import Py4JError

from infra.errors import refused_by_storage


@pytest.mark.parametrize(
    ("error", "begin"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "a disk that SHELFCAST_HOME or SHELFCAST_LAKE_URL lies on is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/lake/a"), "/lake/a cannot be written to"),
        (PermissionError(errno.EACCES, "Failed to open local file '/lake/a'. Detail: [errno 13] Permission denied"), "/lake/a cannot"),
        (OSError("Generic LocalFileSystem error: Unable to create dir /lake/a: Permission denied (os error 13)"), "/lake/a cannot"),
        (Exception("Caused by: java.io.FileNotFoundException: /lake/a (Permission denied)"), "/lake/a cannot be written to"),
        (Exception("java.io.IOException: Mkdirs failed to create file:/lake/a (exists=false)"), "/lake/a cannot be written to"),
        (Py4JError("terminated with exception: /lake/a: Read-only file system"), "/lake/a cannot be written to"),
        (Py4JError("[STREAM_FAILED] terminated with exception: No space left on device"), "a disk that SHELFCAST_HOME"),
        (Exception("Code: 76. DB::ErrnoException: Cannot open file /wh/x: , errno: 13, strerror: Permission denied"), "/wh/x cannot"),
        (Exception("PermissionError: [Errno 13] Permission denied: '/home/x'"), "/home/x cannot be written to"),
    ],
)
def test_what_a_disk_refuses_is_told_with_its_place(error: Exception, begin: str) -> None:
    said = refused_by_storage(error)
    assert said is not None and str(said).startswith(begin), said


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("INTERNAL_ERROR: (psycopg2.errors.InsufficientPrivilege) permission denied for table runs"),
        RuntimeError("POST http://mlflow:5000/api/2.0/runs: permission denied for schema public"),
        RuntimeError("could not extend file base/16384: No space left on device"),
        PermissionError("permission denied by policy"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ],
)
def test_what_a_server_refuses_is_not_blamed_on_a_disk(error: Exception) -> None:
    assert refused_by_storage(error) is None


def test_a_port_that_may_not_be_taken_is_no_folder() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")  # what binding a port below 1024 raises
    assert refused_by_storage(denied) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_real_refusal_is_told() -> None:
    with pytest.raises(OSError) as full, Path("/dev/full").open("wb") as out:
        out.write(b"x" * 2**20)
    said = refused_by_storage(full.value)
    assert said is not None and "is full" in str(said)
