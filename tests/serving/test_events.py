"""The prediction log: whole lines only, everything accepted is written, a full queue is counted and never waited for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.app import Refusal, items_of
from serving.events import Line, PredictionLog, delete_oldest, line_of, prediction_events, write_batch


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


def test_what_waits_is_bounded_in_bytes_and_what_comes_on_top_is_dropped_and_counted_without_waiting(tmp_path: Path) -> None:
    lost: list[int] = []
    log = PredictionLog(tmp_path, waiting_bytes=10 * len(line_of(_event(1)).text) + 9, dropped=lost.append)
    assert log.add(_event(i % 10) for i in range(25)) == 15
    assert log.add([{**_event(1), "item": "x" * 10_000}]) == 1, "of what does not fit, nothing is taken"
    assert lost == [15, 1]
    log.start()
    log.stop()
    assert _numbers(tmp_path) == list(range(10))


def _log_of(folder: Path, **bounds: Any) -> PredictionLog:
    log = PredictionLog(folder, flush_seconds=0.01, **bounds)
    log.start()
    return log


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came true")


def test_what_was_written_makes_room_in_the_queue_again(tmp_path: Path) -> None:
    size = len(line_of(_event(1)).text)
    log = _log_of(tmp_path, waiting_bytes=5 * size)
    for start in range(0, 50, 5):
        _until(lambda: log.add([]) == 0 and log._waiting == 0)
        assert log.add(_event(start % 10 + i % 5) for i in range(5)) == 0
    log.stop()
    assert len(_numbers(tmp_path)) == 50


def test_the_oldest_files_go_first_when_the_disk_s_share_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deleted: list[int] = []
    partial = tmp_path / "2024-01-01" / ".killed.jsonl.partial"
    partial.parent.mkdir()
    partial.write_bytes(b"x" * 5000)
    log = _log_of(tmp_path, disk_bytes=100_000, deleted=deleted.append)
    for day in range(1, 31):
        before = len(list(tmp_path.glob("2024-03-*/*.jsonl")))
        log.add([{**_event(day, f"2024-03-{day:02d}"), "item": "x" * 9_000}])
        _until(lambda before=before: log._waiting == 0 and (sum(deleted) > 0 or len(list(tmp_path.glob("2024-03-*/*.jsonl"))) > before))
    log.stop()
    kept = _numbers(tmp_path)
    assert kept == list(range(kept[0], 31)), "the newest, without a gap"
    assert sum(file.stat().st_size for file in tmp_path.glob("*/*")) <= 100_000
    assert not partial.exists() and sum(deleted) >= 5000 + (30 - len(kept)) * 9_000
    assert len([record for record in caplog.records if "oldest predictions are deleted" in record.message]) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 200))
def test_a_folder_is_cut_to_its_share_and_by_no_more_than_the_newest_file_that_had_to_go(blocks: list[int], share: int) -> None:
    with TemporaryDirectory() as name:
        folder, size = Path(name), {}
        for at, count in enumerate(blocks):
            (file,) = write_batch(folder, [Line(f"2024-03-{at + 1:02d}", b"x" * 4096 * count)])
            size[file] = max(file.stat().st_size, file.stat().st_blocks * 512)
        delete_oldest(folder, share * 4096)
        kept = [file for file in size if file.exists()]
        assert kept == list(size)[len(size) - len(kept) :]
        left = sum(size[file] for file in kept)
        assert left <= share * 4096
        assert len(kept) == len(size) or left + size[list(size)[-len(kept) - 1]] > share * 4096


def test_a_disk_that_refuses_is_counted_and_does_not_end_the_log(tmp_path: Path) -> None:
    lost: list[int] = []
    blocked = tmp_path / "predictions"
    blocked.write_text("a file where the folder should be")
    log = _log_of(blocked, dropped=lost.append)
    log.add([_event(1), _event(2)])
    _until(lambda: sum(lost) == 2)
    blocked.unlink()
    log.add([_event(3)])
    log.stop()
    assert sum(lost) == 2
    assert _numbers(blocked) == [3]


def test_events_of_two_days_go_to_two_folders(tmp_path: Path) -> None:
    written = write_batch(tmp_path, map(line_of, [_event(1), _event(2, "2024-03-02"), _event(3)]))
    assert [path.parent.name for path in written] == ["2024-03-01", "2024-03-02"]
    assert write_batch(tmp_path, []) == []


def test_only_answered_items_become_events_with_their_position() -> None:
    answers = [{"ok": False, "error": "no."}, {"ok": True, "results": [{"total": 1.0}]}]
    (event,) = prediction_events("sum", "3", "champion", [{}, {"units": 1}], answers, "r")
    assert (event["position"], event["item"], event["answer"]) == (1, {"units": 1}, {"results": [{"total": 1.0}]})


def test_an_answer_that_is_no_json_is_counted_and_does_not_end_the_log(tmp_path: Path) -> None:
    lost: list[int] = []
    log = _log_of(tmp_path / "predictions", dropped=lost.append)
    assert log.add([{**_event(1), "request": float("inf")}, _event(2)]) == 1
    log.stop()
    assert sum(lost) == 1 and _numbers(tmp_path / "predictions") == [2]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_json_does_not_have_is_refused(number: str) -> None:
    with pytest.raises(Refusal) as refused:
        items_of(f'{{"items": [{{"basket": [{number}]}}]}}'.encode())
    assert refused.value.status == 400
