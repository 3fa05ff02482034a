"""Waiting for services: a verb goes on when a server comes back, and says meanwhile what it waits for.

Every step of Shelfcast may be repeated without harm, so a step that failed while a service was away is run again when
the service answers. The clients' own retries (Kafka's, S3's, MLflow's) come first; a watch says what they wait for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from infra.errors import BadInput, NotReady, Unanswered, without_credentials
from infra.settings import Settings

T = TypeVar("T")
#: says one sentence to whoever looks
Tell = Callable[[str], None]

#: seconds that a service may be away before the verb gives up
PATIENCE_SECONDS = 900.0
#: how often a step is repeated although every service answers: one may have been away for a moment
RETRIES = 3
#: seconds between two looks: the first, and the longest
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0

_PORTS = {
    "kafka": 9092,
    "redis": 6379,
    "http": 80,
    "https": 443,
    "clickhouse": 8123,
    "clickhouses": 8443,
    "spark": 7077,
    "postgresql": 5432,
}

#: what errors of clients say when a server was away
_AWAY = ("connection refused", "connection reset", "connection aborted", "connection error", "connecttimeout", "could not connect",
         "failed to connect", "timed out", "timeout", "max retries exceeded", "no route to host", "broken pipe", "nobrokersavailable",
         "server disconnected", "disconnect", "503", "serviceunavailable", "endpointconnectionerror", "closed by server",
         "unable to execute http request", "not_leader", "coordinator")  # fmt: skip


@dataclass(frozen=True)
class Service:
    """A server that the settings name, by the (host, port) of each of its machines: any of them answers for all."""

    name: str
    machines: tuple[tuple[str, int], ...]

    @property
    def place(self) -> str:
        """Its machines as a URL lists them."""
        return ",".join(f"{host}:{port}" for host, port in self.machines)

    def answers(self) -> bool:
        """Whether something listens there."""
        return any(_listens(host, port) for host, port in self.machines)

    def __str__(self) -> str:
        return f"{self.name} at {self.place}"


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def services(settings: Settings) -> list[Service]:
    """The servers of some settings; none of the embedded ones."""
    s3 = settings.s3_endpoint_url if "s3" in settings.lake_url[:3] + settings.artifacts_url[:3] else ""
    named = {"Kafka": settings.events_url, "S3": s3, "ClickHouse": settings.warehouse_url, "Redis": settings.online_url,
             "MLflow": settings.tracking_url, "Spark": settings.spark_url}  # fmt: skip
    return [found for name, url in named.items() if (found := _service(name, url))]


def _service(name: str, url: str) -> Service | None:
    scheme, _, rest = url.partition("://")
    if scheme not in _PORTS:
        return None
    several = urlsplit(f"//{rest}").netloc.rpartition("@")[2].split(",")
    machines = [urlsplit(f"//{machine}") for machine in several]
    return Service(name, tuple((machine.hostname or "localhost", machine.port or _PORTS[scheme]) for machine in machines))


def persevere(settings: Settings, step: Callable[[], T], tell: Tell, patience_seconds: float = PATIENCE_SECONDS) -> T:
    """What `step` returns, which must be repeatable: it is run again, after a growing pause, when it failed because a
    service was away. Raises NotReady naming the services that stay away, and what the step raises for other reasons.

    What is raised on purpose says whether a server was behind it; of anything else that comes while a service is away
    (a JVM tells a broken connection in many words) the service is taken for the cause."""
    retries, pause = 0, _FIRST_PAUSE
    with watched(services(settings), tell):
        while True:
            try:
                return step()
            except BadInput:
                raise
            except Exception as error:
                if isinstance(error, NotReady) and not was_away(error):
                    raise
                away = [service for service in services(settings) if not service.answers()]
                if not away and (retries >= RETRIES or not services(settings) or not was_away(error)):
                    raise
                retries = 0 if away else retries + 1
                wait_for(away, tell, patience_seconds)
                tell(f"once more: {without_credentials(_first_line(error))}")
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


def wait_for(away: list[Service], tell: Tell, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Return when all of `away` answer; raises NotReady naming those that do not in time."""
    deadline, pause = time.monotonic() + patience_seconds, _FIRST_PAUSE
    while missing := [service for service in away if not service.answers()]:
        names = ", ".join(map(str, missing))
        if time.monotonic() > deadline:
            raise Unanswered(f"{names} did not answer for {patience_seconds:.0f} s: see that it runs, then repeat; nothing is lost.")
        tell(f"waiting for {names}")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


@contextmanager
def watched(every: list[Service], tell: Tell) -> Iterator[None]:
    """Say which services go away and come back while the block works: its clients wait in silence."""
    if not every:
        yield
        return
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(every, tell, done), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(every: list[Service], tell: Tell, done: threading.Event) -> None:
    away: set[Service] = set()
    while not done.wait(_FIRST_PAUSE):
        for service in every:
            there = service.answers()
            if there and service in away:
                away.discard(service)
                tell(f"{service} answers again")
            elif not there and service not in away:
                away.add(service)
                tell(f"waiting for {service}")


def was_away(error: BaseException) -> bool:
    """Whether an error, or one that caused it, speaks of a server that could not be reached."""
    seen: BaseException | None = error
    while seen is not None:
        said = f"{type(seen).__name__} {seen}".lower()
        if isinstance(seen, (ConnectionError, TimeoutError, Unanswered)) or any(word in said for word in _AWAY):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def absence(settings: Settings, error: BaseException) -> Unanswered | None:
    """One sentence for an error that servers which do not answer are behind; None for any other."""
    away = [service for service in services(settings) if not service.answers()] if was_away(error) else []
    if not away:
        return None
    return Unanswered(f"{', '.join(map(str, away))} does not answer: see that it runs, then repeat; nothing is lost.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
