"""A long-running process of the stack: started once, found again by its id *and* its start time, stopped with its
children. A process id that the system has given to somebody else meanwhile is never touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.errors import NotReady

#: seconds that a process has to end by itself before it is killed
GRACE_SECONDS = 20.0
#: two start times by the clock closer than this are one: the clock may have been set meanwhile
_SAME_SECONDS = 2.0


@dataclass(frozen=True)
class Process:
    """A service's process: what starts it (asked for when it starts: a program may have to be fetched first), and how it
    says that it is ready. `folder` holds its data, log and id."""

    name: str
    port: int
    folder: Path
    command: Callable[[], Sequence[str]]
    healthy: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What it writes to standard output and error."""
        return self.folder / f"{self.name}.log"

    @property
    def _note(self) -> Path:
        return self.folder / f"{self.name}.pid.json"

    def running(self) -> psutil.Process | None:
        """The process that `start` started, if it still runs."""
        if not self._note.is_file():
            return None
        said = json.loads(self._note.read_text())
        try:
            found = psutil.Process(said["pid"])
            same = _is_noted(found, said) and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None

    def start(self) -> bool:
        """Start it unless it runs; returns whether it was started. Its id is written down at once."""
        if self.running():
            return False
        if _taken(self.port):
            raise NotReady(f"port {self.port} is taken by another process: choose one for {self.name} by `--port {self.name}=NUMBER`.")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                list(self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env={**os.environ, **self.env},
            )  # fmt: skip
        note = {"pid": child.pid, "started": psutil.Process(child.pid).create_time(), "ticks": _ticks(child.pid)}
        partial = self._note.with_suffix(".partial")
        partial.write_text(json.dumps(note))
        partial.replace(self._note)
        return True

    def wait(self, seconds: float) -> None:
        """Return when it is healthy; raises NotReady with the end of its log when it died or the time is over."""
        deadline, pause = time.monotonic() + seconds, 0.1
        while not self.healthy():
            if not self.running():
                raise NotReady(f"{self.name} ended by itself; the end of {self.log}:\n{self.tail(8)}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} was not healthy after {seconds:.0f} s; the end of {self.log}:\n{self.tail(8)}")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> bool:
        """End it and its children; returns whether it ran."""
        found = self.running()
        if found is None:
            if self._note.is_file() and not psutil.pid_exists(json.loads(self._note.read_text())["pid"]):
                self._note.unlink(missing_ok=True)
            return False
        family = [found, *found.children(recursive=True)]
        for each in family:
            _signal(each, how)
        _, stubborn = psutil.wait_procs(family, timeout=GRACE_SECONDS)
        for each in stubborn:
            _signal(each, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=GRACE_SECONDS)
        self._note.unlink(missing_ok=True)
        return True

    def tail(self, lines: int) -> str:
        """The last lines of its log."""
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _is_noted(process: psutil.Process, said: Mapping[str, Any]) -> bool:
    ticks = _ticks(process.pid)
    if ticks is not None and said.get("ticks") is not None:
        return ticks == said["ticks"]
    return abs(process.create_time() - said["started"]) < _SAME_SECONDS


def _ticks(pid: int) -> int | None:
    """When a process started, in the ticks of the machine since its boot, which no setting of the clock moves; None where
    there is no /proc to tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the 22nd field; the second, the program's name, may have blanks and brackets in it
    return int(stat.rpartition(")")[2].split()[19])


def _signal(process: psutil.Process, how: signal.Signals) -> None:
    try:
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return  # it ended by itself meanwhile


def _taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
