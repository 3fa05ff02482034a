"""What happens to one request between HTTP and the models: the serving champion answers, the answer becomes an event,
a challenger shadows."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from infra.errors import NotReady
from infra.registry import CHAMPION, PREVIOUS, Registry
from infra.settings import Settings
from serving.champions import Champions, Loaded, Seat, described
from serving.events import PredictionLog, prediction_events
from serving.metrics import Metrics
from serving.predict import ReadOnline, answer
from serving.shadow import Shadow
from training.family import Card

log = logging.getLogger("shelfcast.serving")


@dataclass(frozen=True)
class Desk:
    """Everything an endpoint needs; one a process."""

    champions: Champions
    read_online: ReadOnline
    log: PredictionLog
    metrics: Metrics
    shadow: Shadow

    def start(self, poll_seconds: float) -> None:
        """Load the champions, then follow them; open the online features; begin to write events."""
        self.champions.follow(poll_seconds)
        self._warm()
        self.log.start()

    def stop(self) -> None:
        """End what was started; accepted events are written."""
        self.champions.stop()
        self.shadow.stop()
        self.log.stop()

    def answer(self, family: str, items: list[Any], until: float = math.inf) -> dict[str, Any]:
        """The response body of a request; raises NotReady when the family has no champion or features cannot be read, and past
        the monotonic second `until`: what nobody received must not be told as answered."""
        started = time.perf_counter()
        seat = self.champions.seats[family]
        try:
            if seat.champion is None:
                raise NotReady(_without_champion(seat, self.champions.problem))
            _require_waiting(until)
            answers, frame = self._ask(seat, seat.champion, items)
            _require_waiting(until)
        except NotReady:
            self.metrics.unanswered(family, len(items))
            raise
        request_id = uuid.uuid4().hex
        self.log.add(prediction_events(family, seat.champion.version, "champion", items, answers, request_id))
        self.champions.remember(family, frame)
        if seat.challenger is not None:
            challenger = seat.challenger
            self.shadow.offer(lambda: self._shadow(seat, challenger, items, request_id))
        if "known_at" in frame and not frame.empty:
            self.metrics.features_of(family, frame["known_at"].max().timestamp())
        good = sum(a["ok"] for a in answers)
        self.metrics.answered(family, time.perf_counter() - started, good, len(answers) - good)
        return {"model_version": seat.champion.version, "items": answers}

    def models(self) -> dict[str, Any]:
        """Who serves, shadows and was refused, by family."""
        seats = [described(seat) for _, seat in sorted(self.champions.seats.items())]
        return {"models": seats, "registry": self.champions.problem or "ok"}

    def _warm(self) -> None:
        """Read each feature service once, of a key that nobody has: the first read takes seconds, no request should wait for it."""
        for card in (seat.card for seat in self.champions.seats.values() if seat.card.feature_service):
            try:
                self.read_online(card.feature_service, pd.DataFrame({name: ["-"] for name in card.entity}))
            except NotReady as missing:
                log.warning("%s: %s", card.name, missing)

    def _ask(self, seat: Seat, loaded: Loaded, items: list[Any]) -> tuple[list[dict[str, Any]], pd.DataFrame]:
        return answer(seat.card, loaded.model, self.read_online, items)

    def _shadow(self, seat: Seat, challenger: Loaded, items: list[Any], request_id: str) -> None:
        answers, _ = self._ask(seat, challenger, items)
        self.log.add(prediction_events(seat.card.name, challenger.version, "challenger", items, answers, request_id))
        good = sum(a["ok"] for a in answers)
        self.metrics.shadowed(seat.card.name, good, len(answers) - good)


def make_desk(settings: Settings, cards: Mapping[str, Card], read_online: ReadOnline) -> Desk:
    """A desk over the settings' registry and home; once a process, since its metrics have their names once."""
    metrics = Metrics()
    log = PredictionLog(
        settings.home / "predictions",
        disk_bytes=settings.serve_log_megabytes * 2**20,
        dropped=metrics.dropped,
        deleted=metrics.deleted,
    )
    champions = Champions(Registry(settings), cards, metrics)
    return Desk(champions, read_online, log, metrics, Shadow(settings.serve_shadow_share))


def online_reader(settings: Settings) -> ReadOnline:
    """Reads online features, opened at the first need; raises NotReady when they are out of reach."""
    from threading import Lock

    opened: dict[str, Any] = {}
    lock = Lock()

    def read(service: str, keys: pd.DataFrame) -> pd.DataFrame:
        from feature_repo.online import OnlineFeatures

        try:
            with lock:
                features = opened.setdefault("features", None) or OnlineFeatures(settings)
                opened["features"] = features
                return in_time(features.read(service, keys), settings.serve_age_days, datetime.now(UTC))
        except NotReady:
            raise
        except Exception as error:  # the store's client has exceptions of its own; the cause is told
            raise NotReady(f"online features of {service} cannot be read ({type(error).__name__}): check `shelfcast doctor`.") from error

    return read


def in_time(features: pd.DataFrame, age_days: float, now: datetime) -> pd.DataFrame:
    """Rows of features, not `found` where they were known more than `age_days` before `now`; 0: however long ago."""
    if not age_days:
        return features
    oldest = pd.Timestamp(now).tz_localize(None) - pd.Timedelta(days=age_days)
    return features.assign(found=features["found"] & (features["known_at"] >= oldest))


def _require_waiting(until: float) -> None:
    if time.monotonic() > until:
        raise NotReady("nobody waits for this answer any more.")


def _without_champion(seat: Seat, problem: str) -> str:
    name = seat.card.name
    if problem:
        return f"{name} has no model in memory, and {problem}."
    refused = [seat.refused[alias] for alias in (CHAMPION, PREVIOUS) if alias in seat.refused]
    if refused:
        told = ", and before it ".join(f"version {each.version}, was refused ({each.why})" for each in refused)
        mend = f"see to the cause, or run `shelfcast train {name}`, then `shelfcast promote {name} --why ...`"
        return f"{name}'s champion, {told}: {mend}."
    return f"{name} has no champion yet: run `shelfcast train {name}` and `shelfcast promote {name}` first."
