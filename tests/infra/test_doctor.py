"""The doctor tells what it found, and no password."""

from __future__ import annotations

from infra.doctor import _tried
from infra.errors import NotReady


def test_what_was_found_is_told_without_passwords() -> None:
    def look() -> str:
        raise NotReady("http://bob:hunter2@store:9000/ cannot be used")

    assert _tried("buckets", look, "check it").found == "http://store:9000/ cannot be used"
