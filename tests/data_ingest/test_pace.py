"""A pace holds events back, and changes nothing about them."""

from __future__ import annotations

import time

from data_ingest.pace import paced
from infra.event_log import LandingFolder


def test_events_leave_no_faster_than_told_and_as_they_are(tmp_path) -> None:
    plain, log = LandingFolder(tmp_path / "plain"), LandingFolder(tmp_path / "paced")
    lines = [str(number).encode() for number in range(400)]
    plain.write("sales", lines, "week")
    held = paced(log, rate=1_000)
    started = time.monotonic()
    assert held.write("sales", lines, "week") == 400 and held.has("sales", "week")
    # the last beat of 50 events leaves after those before it; sleeping never ends early
    assert time.monotonic() - started >= 350 / 1_000
    assert (tmp_path / "paced" / "sales" / "week.jsonl").read_bytes() == (tmp_path / "plain" / "sales" / "week.jsonl").read_bytes()


def test_without_a_rate_the_log_is_itself(tmp_path) -> None:
    log = LandingFolder(tmp_path)
    assert paced(log, None) is log
