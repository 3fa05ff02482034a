"""The HTTP face alone: what runs beside the event loop, and how much at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import httpx

from serving.app import http_app
from serving.desk import Desk
from tests.serving.tiny import CARDS


class Told(dict):
    """An answer that notes by which thread it is rendered."""

    def __init__(self, threads: set[int]) -> None:
        super().__init__(ok=True)
        self._threads = threads

    def items(self) -> Any:
        self._threads.add(threading.get_ident())
        return super().items()


class SlowDesk:
    """Answers any item after a moment, and counts how many requests it has at once."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.most = self._now = 0
        self._counting = threading.Lock()

    def answer(self, family: str, items: list[Any], until: float) -> dict[str, Any]:
        with self._counting:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._counting:
            self._now -= 1
        return {"model_version": "1é", "items": [Told(self.threads) for _ in items]}


def asked(desk: SlowDesk, endpoints: Iterator[str]) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        app = http_app(CARDS, lambda: cast(Desk, desk), timeout_seconds=60)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=60) as http:
            return await asyncio.gather(*[http.post(endpoint, json={"items": [1, 2]}) for endpoint in endpoints])

    return asyncio.run(ask())


def test_a_list_is_rendered_beside_the_event_loop() -> None:
    desk = SlowDesk()
    (answered,) = asked(desk, iter(["/v1/sum"]))
    assert answered.json() == {"model_version": "1é", "items": [{"ok": True}, {"ok": True}]}
    assert desk.threads and threading.get_ident() not in desk.threads


def test_all_families_stand_in_one_line() -> None:
    desk = SlowDesk()
    asked(desk, iter(["/v1/sum", "/v1/lookup"] * 12))
    assert desk.most <= 8
