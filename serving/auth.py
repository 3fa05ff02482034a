"""Who may ask: bearer tokens when the settings name some, otherwise only this machine."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

#: what an orchestrator asks without a token; they tell nothing
OPEN_PATHS = ("/healthz", "/livez", "/readyz")


def tokens_of(text: str) -> tuple[bytes, ...]:
    """The tokens of a comma separated list."""
    return tuple(part.strip().encode() for part in text.split(",") if part.strip())


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BearerTokens:
    """ASGI middleware: 401 without a known token; with no tokens set, 403 to whoever is not on this machine. The name
    asked for and the page that asks, where a browser tells of one, must then be this machine's too, so that no web page can
    reach in through its visitor's browser."""

    def __init__(self, app: ASGIApp, tokens: tuple[bytes, ...] = ()) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        refusal = None if scope["type"] != "http" or scope["path"] in OPEN_PATHS else self._refusal(scope)
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if self.tokens:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            # every token is compared, in constant time, so that timing tells nothing
            known = [hmac.compare_digest(given.strip(), token) for token in self.tokens]
            if kind.lower() == b"bearer" and any(known):
                return None
            return _refused(401, "this service needs a token: send `Authorization: Bearer <token>`.", {"WWW-Authenticate": "Bearer"})
        here = is_loopback((scope.get("client") or ("localhost", 0))[0]) and _here(headers.get(b"host", b"localhost"))
        if here and not _from_elsewhere(headers):
            return None
        return _refused(403, "without SHELFCAST_SERVE_TOKENS this service answers only requests from this machine.", {})


def _here(address: bytes) -> bool:
    """Whether `host:port` names this machine."""
    host = address.decode("latin-1")
    return is_loopback(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])


def _from_elsewhere(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser asks on behalf of a page of another site."""
    origin = headers.get(b"origin")
    return (origin is not None and not _here(origin.partition(b"://")[2])) or headers.get(b"sec-fetch-site") == b"cross-site"


def _refused(status: int, sentence: str, headers: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)
