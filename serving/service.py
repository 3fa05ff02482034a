"""The BentoML service, and `serve`, which runs it. `bentoml serve serving.service:SERVICE` works too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
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
#: seconds a request may take before BentoML answers 504
_TIMEOUT_SECONDS = 60


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
        "traffic": {"timeout": _TIMEOUT_SECONDS},
        "metrics": {"enabled": True},
        "logging": {"access": {"enabled": False}},
    }
    service: bentoml.Service = bentoml.service(name="shelfcast", **options)(Shelfcast)
    service.mount_asgi_app(http_app(cards, lambda: desks[0]), path="/", name="shelfcast")
    service.add_asgi_middleware(BearerTokens, tokens=tokens_of(settings.serve_tokens))
    return service


def serve(settings: Settings) -> int:
    """Serve until Ctrl-C; returns the exit code. Raises BadInput for a host that others reach without a token."""
    check_reach(settings)
    command = [sys.executable, "-m", "bentoml", "serve", TARGET, "--host", settings.serve_host, "--port", str(settings.serve_port)]
    process = subprocess.Popen(command, env=child_environment(settings, dict(os.environ)))
    # who ends us by TERM, as systemd and containers do, means the process that answers
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return max(process.wait(), 0)
        except KeyboardInterrupt:
            # the terminal has told the child too; it finishes its requests and writes its events
            continue


def check_reach(settings: Settings) -> None:
    """Raise BadInput when the service would answer strangers without a token."""
    if not tokens_of(settings.serve_tokens) and not is_loopback(settings.serve_host):
        raise BadInput(
            f"{PREFIX}SERVE_HOST is {settings.serve_host!r}: expected a loopback address such as 127.0.0.1, "
            f"or tokens in {PREFIX}SERVE_TOKENS."
        )


def child_environment(settings: Settings, inherited: dict[str, str]) -> dict[str, str]:
    """The environment of BentoML's process: `settings` as variables, BentoML's own files below the home, no usage
    reports to anyone."""
    told = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**inherited, **told, "BENTOML_HOME": str(settings.home / "bentoml"), **_QUIET}


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
