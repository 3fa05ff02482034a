"""The BentoML service, and `serve`, which runs it. `bentoml serve serving.service:SERVICE` works too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

from infra.errors import BadInput
from infra.settings import PREFIX, Settings, load_settings
from serving.auth import BearerTokens, is_loopback, tokens_of

if TYPE_CHECKING:
    import bentoml

    from serving.desk import Desk
    from training.family import Card

TARGET = "serving.service:SERVICE"
#: no usage reports to anyone, no progress bars in the log
_QUIET = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
#: who asks a registry that is out of reach waits seconds, not the minutes of MLflow's own defaults: the poll comes again
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
#: seconds a request may take before BentoML answers 504
_TIMEOUT_SECONDS = 60
#: requests that may be at the service at once; BentoML answers 429 to more
_AT_ONCE = 64


def build(settings: Settings, cards: Mapping[str, Card], desk: Callable[[], Desk]) -> bentoml.Service:
    """The service with a route for each card; `desk` is called, and its models loaded, when a worker starts."""
    import bentoml

    from serving.app import http_app

    desks: list[Desk] = []

    class Shelfcast:
        def __init__(self) -> None:
            desks[:] = [desk()]
            desks[0].start(settings.serve_poll_seconds)

        def __is_ready__(self) -> bool:
            return bool(desks) and desks[0].champions.ready

        @bentoml.on_shutdown
        def close(self) -> None:
            desks[0].stop()

    options: Any = {
        "workers": 1,
        "traffic": {"timeout": _TIMEOUT_SECONDS, "max_concurrency": _AT_ONCE},
        "metrics": {"enabled": True},
        "logging": {"access": {"enabled": False}},
    }
    service: bentoml.Service = bentoml.service(name="shelfcast", **options)(Shelfcast)
    service.mount_asgi_app(http_app(cards, lambda: desks[0], _TIMEOUT_SECONDS), path="/", name="shelfcast")
    service.add_asgi_middleware(BearerTokens, tokens=tokens_of(settings.serve_tokens))
    return service


def serve(settings: Settings) -> int:
    """Serve until Ctrl-C or TERM; returns the exit code, 128 + the signal where the process that answers was killed by another's.
    Raises BadInput for a host that others reach without a token."""
    check_reach(settings)
    command = [sys.executable, "-m", "bentoml", "serve", TARGET, "--host", settings.serve_host, "--port", str(settings.serve_port)]
    process = subprocess.Popen(command, env=child_environment(settings, dict(os.environ)))
    told: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        told.append(number)
        # the terminal tells the child of Ctrl-C too; it finishes its requests and writes its events
        if number == signal.SIGTERM:
            process.terminate()

    # who ends us by TERM, as systemd and containers do, means the process that answers
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    code = process.wait()
    if code < 0:
        return 0 if -code in told else 128 - code
    return code


def check_reach(settings: Settings) -> None:
    """Raise BadInput when the service would answer strangers without a token."""
    if not tokens_of(settings.serve_tokens) and not is_loopback(settings.serve_host):
        raise BadInput(
            f"{PREFIX}SERVE_HOST is {settings.serve_host!r}: expected a loopback address such as 127.0.0.1, "
            f"or tokens in {PREFIX}SERVE_TOKENS."
        )


def child_environment(settings: Settings, inherited: dict[str, str]) -> dict[str, str]:
    """The environment of BentoML's process: `settings` as variables, BentoML's own files below the home, no usage
    reports to anyone, and little patience with the registry where `inherited` says nothing of it."""
    told = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**_IMPATIENT, **inherited, **told, "BENTOML_HOME": str(settings.home / "bentoml"), **_QUIET}


@cache
def _service() -> bentoml.Service:
    from serving.desk import make_desk, online_reader
    from training.family import family_names, load_card

    settings = load_settings()
    cards = {name: load_card(name) for name in family_names()}
    return build(settings, cards, lambda: make_desk(settings, cards, online_reader(settings)))


def __getattr__(name: str) -> Any:
    # BentoML's workers import `serving.service:SERVICE`; made when asked for, so that importing does nothing
    if name == "SERVICE":
        return _service()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
