"""The models that serve: follows the registry's aliases without a restart. A version is loaded beside the serving one,
checked, and only then swapped in, by one assignment; a version that fails its check is refused and the old one serves on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from infra.errors import one_line
from infra.registry import CHALLENGER, CHAMPION, PREVIOUS
from serving.contract import kind_of
from serving.metrics import Metrics
from serving.predict import response_rows
from training.family import Card
from training.portable import Portable, load_portable

#: seconds after which a refused version is tried again: its files may have been out of reach for a moment
RETRY_SECONDS = 60.0
#: served rows kept a family, on which a new version proves itself
RECENT_ROWS = 64
EXAMPLE = "input_example.json"

log = logging.getLogger("shelfcast.serving")


class Versions(Protocol):
    """What is asked of `infra.registry.Registry`."""

    def version(self, family: str, alias: str) -> str | None: ...

    def folder(self, family: str, version: str) -> Path: ...


@dataclass(frozen=True)
class Loaded:
    """A version in memory that has passed its check."""

    version: str
    model: Portable
    loaded_at: str


@dataclass(frozen=True)
class Refused:
    """A version that did not pass; `until` is the monotonic second of the next try."""

    version: str
    why: str
    until: float


@dataclass(frozen=True)
class Seat:
    """A family's place in the service: who serves, who shadows, and who was refused, by alias."""

    card: Card
    champion: Loaded | None = None
    challenger: Loaded | None = None
    refused: Mapping[str, Refused] = field(default_factory=dict)


class Champions:
    """Seats by family, brought up to date by `poll`; reading a seat is one dictionary look-up and never waits."""

    def __init__(self, versions: Versions, cards: Mapping[str, Card], metrics: Metrics) -> None:
        self.seats: dict[str, Seat] = {name: Seat(card) for name, card in cards.items()}
        self.problem = ""
        #: whether the registry was ever read: before that nobody knows who should serve
        self.ready = False
        self._versions = versions
        self._metrics = metrics
        self._recent: dict[str, deque[pd.DataFrame]] = {name: deque(maxlen=RECENT_ROWS) for name in cards}
        self._stopped = threading.Event()

    def follow(self, every_seconds: float) -> None:
        """Poll now, so that the service starts with its models, and then by a thread until `stop`."""
        self.poll()
        threading.Thread(target=self._poll_on, args=(every_seconds,), name="champions", daemon=True).start()

    def stop(self) -> None:
        """End following."""
        self._stopped.set()

    def remember(self, family: str, frame: pd.DataFrame) -> None:
        """Keep a served row for the check of the versions to come."""
        if not frame.empty:
            self._recent[family].append(frame.iloc[[0]])

    def poll(self) -> None:
        """Bring every seat up to date with the registry; when it is out of reach the models in memory serve on."""
        try:
            for name, seat in list(self.seats.items()):
                for alias in (CHAMPION, CHALLENGER):
                    seat = self._seated(seat, alias, self._versions.version(name, alias))
                self.seats[name] = self._with_predecessor(seat)
            self.problem, self.ready = "", True
        except Exception as error:  # the registry may fail in any way: say so and keep serving
            problem = f"the registry is out of reach: {type(error).__name__}: {one_line(error)}"
            if problem != self.problem:
                log.warning(problem)
            self.problem = problem
        self._metrics.registry_reachable(not self.problem)

    def _poll_on(self, every_seconds: float) -> None:
        while not self._stopped.wait(every_seconds):
            self.poll()

    def _seated(self, seat: Seat, alias: str, version: str | None) -> Seat:
        current: Loaded | None = getattr(seat, alias)
        if version == (current.version if current else None):
            return self._without_refusal(seat, alias)
        if version is None:
            # a champion alias that vanished is a registry in trouble, not a wish to stop serving
            if alias == CHAMPION:
                return seat
            if current:
                self._metrics.gone(seat.card.name, alias, current.version)
            return self._without_refusal(replace(seat, challenger=None), alias)
        if _waits(seat, alias, version):
            return seat
        return self._try(seat, alias, version)

    def _with_predecessor(self, seat: Seat) -> Seat:
        """A family whose champion is refused is served by the champion before it, as where that had been in memory; one that is
        refused as well is tried again as a champion is."""
        refused = seat.refused.get(CHAMPION)
        if seat.champion is not None or refused is None:
            return self._without_refusal(seat, PREVIOUS)
        version = self._versions.version(seat.card.name, PREVIOUS)
        if version in (None, refused.version) or _waits(seat, PREVIOUS, version):
            return seat
        found = self._try(seat, CHAMPION, version)
        if found.champion:
            return self._without_refusal(replace(found, refused=seat.refused), PREVIOUS)
        return replace(seat, refused={**seat.refused, PREVIOUS: found.refused[CHAMPION]})

    def _try(self, seat: Seat, alias: str, version: str) -> Seat:
        name = seat.card.name
        try:
            loaded = self._load(seat.card, version)
        except Exception as error:  # whatever is wrong with a version, the service must outlive it
            why = f"{type(error).__name__}: {one_line(error)}"
            log.warning("%s version %s was refused as %s: %s", name, version, alias, why)
            self._metrics.refused(name, version)
            refusal = Refused(version, why, time.monotonic() + RETRY_SECONDS)
            return replace(seat, refused={**seat.refused, alias: refusal})
        log.info("%s version %s serves as %s", name, version, alias)
        old: Loaded | None = getattr(seat, alias)
        self._metrics.serving(name, alias, old.version if old else None, version)
        return self._without_refusal(_placed(seat, alias, loaded), alias)

    def _load(self, card: Card, version: str) -> Loaded:
        folder = self._versions.folder(card.name, version)
        model = load_portable(folder)
        for frame in self._proofs(card, folder):
            response_rows(card, frame, model.predict(frame.reset_index(drop=True)))
        return Loaded(version, model, datetime.now(UTC).isoformat(timespec="seconds"))

    def _proofs(self, card: Card, folder: Path) -> list[pd.DataFrame]:
        """Frames that a version must be able to answer: its own input example, and what was served lately."""
        example = [input_example(card, folder / EXAMPLE)] if (folder / EXAMPLE).is_file() else []
        recent = list(self._recent[card.name])
        return example + ([pd.concat(recent, ignore_index=True)] if recent else [])

    def _without_refusal(self, seat: Seat, alias: str) -> Seat:
        return replace(seat, refused={a: r for a, r in seat.refused.items() if a != alias}) if alias in seat.refused else seat


def input_example(card: Card, file: Path) -> pd.DataFrame:
    """The input example that MLflow saved with a model, its days read as days."""
    told = json.loads(file.read_text())
    frame = pd.DataFrame(told["data"], columns=told.get("columns"))
    for name in frame.columns:
        if kind_of(card.request.get(name, "")).base == "date" or name in ("ds", "origin"):
            frame[name] = pd.to_datetime(frame[name])
    return frame


def described(seat: Seat) -> dict[str, Any]:
    """A seat in JSON, for `/v1/models`."""
    return {
        "family": seat.card.name,
        "endpoint": seat.card.endpoint,
        "champion": _told(seat.champion),
        "challenger": _told(seat.challenger),
        "refused": [{"alias": alias, "version": r.version, "why": r.why} for alias, r in seat.refused.items()],
    }


def _waits(seat: Seat, alias: str, version: str | None) -> bool:
    """Whether a version was refused as `alias` a moment ago."""
    refused = seat.refused.get(alias)
    return refused is not None and refused.version == version and time.monotonic() < refused.until


def _told(loaded: Loaded | None) -> dict[str, str] | None:
    return {"version": loaded.version, "loaded_at": loaded.loaded_at} if loaded else None


def _placed(seat: Seat, alias: str, loaded: Loaded) -> Seat:
    return replace(seat, champion=loaded) if alias == CHAMPION else replace(seat, challenger=loaded)
