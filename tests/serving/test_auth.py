"""Who may ask, without tokens: this machine only, by this machine's name."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from infra.errors import BadInput
from infra.settings import load_settings
from serving.auth import BearerTokens, is_loopback, tokens_of
from serving.service import check_reach


def _status(client: tuple[str, int], host: str, tokens: str = "", path: str = "/v1/models", **headers: str) -> int:
    async def asked() -> int:
        app = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("in"))])
        transport = httpx.ASGITransport(app=BearerTokens(app, tokens_of(tokens)), client=client)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
            told = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
            return (await http.get(path, headers=told)).status_code

    return asyncio.run(asked())


def test_without_tokens_only_this_machine_is_answered() -> None:
    assert _status(("127.0.0.1", 1), "localhost:3000") == 200
    assert _status(("::1", 1), "[::1]:3000") == 200
    assert _status(("10.0.0.7", 1), "localhost:3000") == 403
    assert _status(("127.0.0.1", 1), "shop.example") == 403, "a web page must not reach in by a name of its own"
    assert _status(("10.0.0.7", 1), "10.0.0.1", path="/healthz") == 200


def test_without_tokens_no_page_of_another_site_asks_through_a_browser() -> None:
    here = ("127.0.0.1", 1), "localhost:3000"
    assert _status(*here, origin="http://localhost:8080", sec_fetch_site="same-site") == 200
    for origin in ("https://shop.example", "null", "http://127.0.0.1.shop.example", "http://[not", ""):
        assert _status(*here, origin=origin) == 403
    assert _status(*here, sec_fetch_site="cross-site") == 403
    assert _status(*here, tokens="a", authorization="Bearer a", origin="https://shop.example") == 200


def test_with_tokens_anyone_with_one_is_answered() -> None:
    assert _status(("10.0.0.7", 1), "shop.example", "a, b", authorization="Bearer b") == 200
    assert _status(("10.0.0.7", 1), "shop.example", "a, b", authorization="bearer a") == 200
    for wrong in ("Bearer ", "Bearer c", "Basic a", "a", "Bearer a, b", "Bearer é"):
        assert _status(("127.0.0.1", 1), "localhost", "a, b", authorization=wrong) == 401
    assert _status(("127.0.0.1", 1), "localhost", "a, b") == 401


def test_tokens_may_have_blanks_around_them_but_an_empty_one_is_none() -> None:
    assert tokens_of(" , a ,,b") == (b"a", b"b")
    assert tokens_of(" , ") == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "shop.example"])
def test_serving_to_others_needs_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(BadInput, match="SHELFCAST_SERVE_HOST"):
        check_reach(load_settings(serve_host=host))
    check_reach(load_settings(serve_host=host, serve_tokens="t"))
    check_reach(load_settings(serve_host="127.0.0.1"))
