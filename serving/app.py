"""The HTTP face: one POST a family, lists in and lists out, derived from the cards. BentoML mounts it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from infra.errors import NotReady
from serving.desk import Desk
from serving.openapi import document
from training.family import Card

ITEMS_AT_MOST = 10_000
BYTES_AT_MOST = 16 * 2**20
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
#: requests that are answered at the same time; the others wait in line
_TOGETHER = 8


#: in the place of BentoML's own page, which loads scripts from elsewhere
_INDEX = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>Shelfcast</title>"
    "<body style='font-family:sans-serif;max-width:50em;margin:2em'><h1>Shelfcast</h1><p>Lists in, lists out, by the promoted models.</p>"
    "<ul>{rows}</ul><p><a href='/v1/models'>models</a> · <a href='/openapi.json'>OpenAPI</a> · <a href='/metrics'>metrics</a></p>"
    "</body></html>"
)


class Refusal(Exception):
    """A request that is not the contract: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def http_app(cards: Mapping[str, Card], desk: Callable[[], Desk]) -> Starlette:
    """Routes for every card; `desk` is asked at the first request, since the service makes it when it starts."""
    told = document(cards.values(), ITEMS_AT_MOST)

    async def models(request: Request) -> JSONResponse:
        return JSONResponse(desk().models())

    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(told)

    routes = [Route(card.endpoint, _endpoint(name, desk), methods=["POST"]) for name, card in cards.items()]

    async def index(request: Request) -> HTMLResponse:
        return HTMLResponse(
            _INDEX.format(rows="".join(f"<li><code>POST {card.endpoint}</code> {card.doc}</li>" for card in cards.values()))
        )

    routes += [Route("/", index), Route("/v1/models", models), Route("/openapi.json", openapi), Route("/docs.json", openapi)]
    known = {route.path: ", ".join(sorted(route.methods or ())) for route in routes}

    async def not_here(request: Request) -> JSONResponse:
        said = {"error": f"{request.method} {request.url.path} is not an endpoint: /openapi.json lists them."}
        allowed = known.get(request.url.path)
        return JSONResponse(said, 405, {"Allow": allowed}) if allowed else JSONResponse(said, 404)

    # last, and a route: what no route of ours takes, BentoML would answer in words of its own
    return Starlette(routes=[*routes, Route("/{path:path}", not_here, methods=_METHODS)])


def _endpoint(family: str, desk: Callable[[], Desk]) -> Callable[[Request], Any]:
    limiter: list[CapacityLimiter] = []

    async def post(request: Request) -> JSONResponse:
        try:
            items = items_of(await _body(request))
            limiter[:] = limiter or [CapacityLimiter(_TOGETHER)]
            return JSONResponse(await to_thread.run_sync(desk().answer, family, items, limiter=limiter[0]))
        except Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=refusal.status)
        except NotReady as missing:
            return JSONResponse({"error": str(missing)}, status_code=503)

    return post


async def _body(request: Request) -> bytes:
    """The request's body; stops reading when it grows too long."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BYTES_AT_MOST:
            raise Refusal(413, f"the body is longer than {BYTES_AT_MOST} bytes: send fewer items a request.")
        parts.append(part)
    return b"".join(parts)


def items_of(body: bytes) -> list[Any]:
    """The list of a `{"items": [...]}` body; raises Refusal with one sentence."""
    try:
        told = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Refusal(400, 'the body is not JSON: expected {"items": [...]}.') from None
    if not isinstance(told, dict) or not isinstance(told.get("items"), list):
        raise Refusal(422, 'the body is not the contract: expected an object {"items": [...]}.')
    if set(told) != {"items"}:
        extra = sorted(set(told) - {"items"})[0]
        raise Refusal(422, f"the body has a field {extra[:60]!r}: expected only `items`.")
    if len(told["items"]) > ITEMS_AT_MOST:
        raise Refusal(413, f"the body has {len(told['items'])} items: expected at most {ITEMS_AT_MOST}.")
    return told["items"]


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
