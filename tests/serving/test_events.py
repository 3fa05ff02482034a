"""The prediction log: whole lines only, everything accepted is written, a full queue is counted and never waited for."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from serving.app import Refusal, items_of
from serving.events import PredictionLog, prediction_events, write_batch


def _event(number: int, day: str = "2024-03-01") -> dict:
    return {"at": f"{day}T10:00:00.000+00:00", "number": number}


def _numbers(folder: Path) -> list[int]:
    return sorted(json.loads(line)["number"] for file in folder.glob("*/[!.]*.jsonl") for line in file.read_text().splitlines())


def test_what_was_accepted_from_many_threads_is_written_once_when_the_service_stops(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, flush_seconds=0.02)
    log.start()
    threads = [threading.Thread(target=lambda start=start: log.add(_event(start + i) for i in range(500))) for start in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.stop()
    assert _numbers(tmp_path) == list(range(4000))
    assert not list(tmp_path.glob("*/.*"))


def test_a_full_queue_drops_and_counts_without_waiting(tmp_path: Path) -> None:
    lost: list[int] = []
    log = PredictionLog(tmp_path, waiting_at_most=10, dropped=lost.append)
    assert log.add(_event(i) for i in range(25)) == 15
    assert lost == [15]
    log.start()
    log.stop()
    assert _numbers(tmp_path) == list(range(10))


def test_a_disk_that_refuses_is_counted_and_does_not_end_the_log(tmp_path: Path) -> None:
    lost: list[int] = []
    blocked = tmp_path / "predictions"
    blocked.write_text("a file where the folder should be")
    log = PredictionLog(blocked, flush_seconds=0.01, dropped=lost.append)
    log.start()
    log.add([_event(1), _event(2)])
    for _ in range(500):
        if sum(lost) == 2:
            break
        threading.Event().wait(0.01)
    blocked.unlink()
    log.add([_event(3)])
    log.stop()
    assert sum(lost) == 2
    assert _numbers(blocked) == [3]


def test_events_of_two_days_go_to_two_folders(tmp_path: Path) -> None:
    written = write_batch(tmp_path, [_event(1), _event(2, "2024-03-02"), _event(3)])
    assert [path.parent.name for path in written] == ["2024-03-01", "2024-03-02"]
    assert write_batch(tmp_path, []) == []


def test_only_answered_items_become_events_with_their_position() -> None:
    answers = [{"ok": False, "error": "no."}, {"ok": True, "results": [{"total": 1.0}]}]
    (event,) = prediction_events("sum", "3", "champion", [{}, {"units": 1}], answers, "r")
    assert (event["position"], event["item"], event["answer"]) == (1, {"units": 1}, {"results": [{"total": 1.0}]})


def test_an_answer_that_is_no_json_is_counted_and_does_not_end_the_log(tmp_path: Path) -> None:
    lost: list[int] = []
    log = PredictionLog(tmp_path / "predictions", flush_seconds=0.01, dropped=lost.append)
    log.start()
    log.add([{**_event(1), "request": float("inf")}])
    for _ in range(500):
        if lost:
            break
        threading.Event().wait(0.01)
    log.add([_event(2)])
    log.stop()
    assert sum(lost) == 1 and _numbers(tmp_path / "predictions") == [2]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_json_does_not_have_is_refused(number: str) -> None:
    with pytest.raises(Refusal) as refused:
        items_of(f'{{"items": [{{"basket": [{number}]}}]}}'.encode())
    assert refused.value.status == 400
