"""What the service answered, by version, and how far each challenger was from the champion that it shadowed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitoring.served import served_sentences
from serving.events import line_of, prediction_events, write_batch


def told(folder: Path, family: str, version: str, role: str, request: str, **result: Any) -> None:
    answers = [{"ok": True, "results": [result]}]
    write_batch(folder, map(line_of, prediction_events(family, version, role, [{}], answers, request)))


def test_each_challenger_is_compared_with_the_champion_that_it_shadowed_by_what_has_one_scale(tmp_path: Path) -> None:
    for request, champion, challenger, units in (("r", "1", "2", 3.0), ("s", "2", "3", 1.0)):
        told(tmp_path, "demand", champion, "champion", request, units=2.0)
        told(tmp_path, "demand", challenger, "challenger", request, units=units)
        told(tmp_path, "recommend", champion, "champion", request, rank=1, score=0.1)
        told(tmp_path, "recommend", challenger, "challenger", request, rank=1, score=90.0)
    assert served_sentences(tmp_path, datetime.now(UTC).date()) == [
        "The service answered 1 items by demand version 1 in the last 7 days.",
        "The service answered 1 items by demand version 2 in the last 7 days.",
        "The service answered 1 items by recommend version 1 in the last 7 days.",
        "The service answered 1 items by recommend version 2 in the last 7 days.",
        "In the shadow, demand version 2 was 50.0% away from version 1 over 1 items.",
        "In the shadow, demand version 3 was 50.0% away from version 2 over 1 items.",
    ]


def test_what_is_not_all_that_was_answered_is_said(tmp_path: Path) -> None:
    for request in ("r", "s", "t"):
        told(tmp_path, "demand", "1", "champion", request, units=2.0)
    (said,) = served_sentences(tmp_path, datetime.now(UTC).date(), at_most=2)
    assert said == "The service answered 2 items by demand version 1 among the newest 2 predictions."
