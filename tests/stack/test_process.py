"""A process of the stack: found again by its id and its start time, and nothing else is ever ended."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import psutil
import pytest

from infra.errors import NotReady
from infra.stack.process import Process


def sleeper(folder: Path, port: int = 0, ready: bool = True) -> Process:
    return Process(
        "sleeper", port, folder, lambda: [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"], lambda: ready
    )


def test_it_starts_once_and_is_stopped_with_its_children(tmp_path) -> None:
    shell = Process("shell", 0, tmp_path, lambda: ["sh", "-c", "sleep 60 & wait"], lambda: True)
    assert shell.start() and not shell.start()
    shell.wait(10)
    found = shell.running()
    assert found is not None
    while not (children := found.children()):
        pass
    assert shell.stop() and not shell.stop()
    assert shell.running() is None and not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_process_that_got_the_id_later_is_left_alone(tmp_path) -> None:
    other = sleeper(tmp_path / "other")
    other.start()
    mine, running = sleeper(tmp_path / "mine"), other.running()
    assert running is not None
    (tmp_path / "mine").mkdir()
    for wrong in ({"started": running.create_time() - 5}, {"started": running.create_time(), "ticks": 1}):
        note = json.dumps({"pid": running.pid, **wrong})
        (tmp_path / "mine" / "sleeper.pid.json").write_text(note)
        assert mine.running() is None and mine.stop() is False
        # who looks after the machine can still read which process that was
        assert (tmp_path / "mine" / "sleeper.pid.json").read_text() == note
    assert other.running() is not None
    other.stop()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a start time apart from the clock is told by /proc")
def test_a_clock_that_is_set_loses_no_process(tmp_path) -> None:
    mine, note = sleeper(tmp_path), tmp_path / "sleeper.pid.json"
    mine.start()
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "started": said["started"] - 3600}))
    assert mine.running() is not None and not mine.start()
    assert mine.stop() and not psutil.pid_exists(said["pid"]) and not note.exists()


def test_what_is_wrong_is_told(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NotReady, match=rf"port {port} is taken .*--port sleeper=NUMBER"):
            sleeper(tmp_path, port).start()
    dead = Process("dead", 0, tmp_path / "dead", lambda: ["sh", "-c", "echo no licence; exit 1"], lambda: False)
    dead.start()
    with pytest.raises(NotReady, match=r"(?s)dead ended by itself.*no licence"):
        dead.wait(20)
