"""The HTTP face: one POST a family, lists in and lists out, derived from the cards. BentoML mounts it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from infra.errors import NotReady
from serving.desk import Desk
from serving.openapi import document
from training.family import Card

ITEMS_AT_MOST = 10_000
BYTES_AT_MOST = 16 * 2**20
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
#: requests that are answered at the same time, of all families; the others wait in line
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


def http_app(cards: Mapping[str, Card], desk: Callable[[], Desk], timeout_seconds: float) -> Starlette:
    """Routes for every card; `desk` is asked at the first request, since the service makes it when it starts. After
    `timeout_seconds` nobody waits for an answer any more."""
    told = document(cards.values(), ITEMS_AT_MOST)
    # made at the first request: it belongs to the event loop
    line = cache(lambda: CapacityLimiter(_TOGETHER))

    def endpoint(family: str) -> Callable[[Request], Any]:
        async def post(request: Request) -> Response:
            until = time.monotonic() + timeout_seconds
            try:
                return await to_thread.run_sync(_answered, desk(), family, await _body(request), until, limiter=line())
            except Refusal as refusal:
                return JSONResponse({"error": str(refusal)}, status_code=refusal.status)
            except NotReady as missing:
                return JSONResponse({"error": str(missing)}, status_code=503)

        return post

    async def models(request: Request) -> JSONResponse:
        return JSONResponse(desk().models())

    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(told)

    routes = [Route(card.endpoint, endpoint(name), methods=["POST"]) for name, card in cards.items()]

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


def _answered(desk: Desk, family: str, body: bytes, until: float) -> Response:
    """The response to a body, parsed and rendered in the caller's thread, an item at a time: in one piece a long list would hold
    up whoever else asks."""
    told = desk.answer(family, items_of(body), until)
    items = ",".join(map(_json, told["items"]))
    return Response(f'{{"model_version":{_json(told["model_version"])},"items":[{items}]}}', media_type="application/json")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


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
