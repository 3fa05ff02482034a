"""The stack as a whole: up, down, status, logs. What it is (ports, keys) is kept in its folder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.errors import BadInput, NotReady
from infra.jars import resolve_jars
from infra.java import find_java
from infra.settings import Settings
from infra.stack.process import Process
from infra.stack.services import Place, Ports, processes, variables

#: seconds that all services together have to become healthy
PATIENCE_SECONDS = 180.0
#: done, total, what is being done
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class State:
    """How one service stands."""

    name: str
    state: str
    port: int
    pid: int | None
    log: Path


@dataclass(frozen=True)
class Stack:
    """The services below one folder."""

    place: Place

    @classmethod
    def at(cls, settings: Settings, ports: Ports | None = None, chosen: Mapping[str, int] | None = None) -> Stack:
        """The stack below `<home>/stack`: with the ports and keys of its last start, or new ones (`ports`, then some of
        them `chosen`), which it remembers. Raises NotReady when ports are to change under running services."""
        folder = settings.home / "stack"
        known = _remembered(folder / "stack.json")
        now = (ports or (Ports(**known["ports"]) if known else Ports())).but(chosen or {})
        key, secret = (known["s3_key"], known["s3_secret"]) if known else ("shelfcast", secrets.token_urlsafe(24))
        place = Place(folder, now, key, secret, settings.jars, find_java(settings.java_home), settings.jars.parent / "bin")
        if known and Ports(**known["ports"]) != now:
            running = [each.name for each in processes(place) if each.running()]
            if running:
                raise NotReady(f"{', '.join(running)} run on other ports: `shelfcast stack down` first.")
        _remember(folder / "stack.json", {"ports": asdict(now), "s3_key": key, "s3_secret": secret})
        return cls(place)

    @property
    def variables(self) -> dict[str, str]:
        """What to export, so that every verb works on this stack."""
        return variables(self.place)

    def up(self, progress: Progress | None = None) -> list[State]:
        """Start what does not run, and return when everything is healthy; raises NotReady naming what is not."""
        say = progress or (lambda done, total, label: None)
        say(0, 1, "stack: jars and programs")
        resolve_jars(self.place.jars, ["broker"], str(self.place.java_home))
        every = processes(self.place)
        for each in every:
            each.start()
        for done, each in enumerate(every):
            say(done, len(every), f"stack: waiting for {each.name}")
            each.wait(PATIENCE_SECONDS)
        say(len(every), len(every), "stack: all healthy")
        return self.status()

    def down(self) -> list[str]:
        """End what `up` started and still runs, last started first; returns the names. Data stays."""
        return [each.name for each in reversed(processes(self.place)) if each.stop()]

    def status(self) -> list[State]:
        """How each service stands."""
        return [_state(each) for each in processes(self.place)]

    def process(self, name: str) -> Process:
        """The process of a service; raises BadInput with the known names."""
        found = {each.name: each for each in processes(self.place)}
        if name not in found:
            raise BadInput(f"there is no service {name!r}: expected one of {', '.join(found)}")
        return found[name]


def _state(process: Process) -> State:
    found = process.running()
    state = "down" if found is None else "healthy" if process.healthy() else "not answering"
    return State(process.name, state, process.port, found.pid if found else None, process.log)


def _remembered(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _remember(path: Path, said: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(said))
    partial.replace(path)
