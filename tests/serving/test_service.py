"""The service as its users meet it: one real BentoML process over HTTP, over a real registry."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infra.registry import Registry
from infra.settings import Settings, load_settings
from serving.service import child_environment
from tests.serving.tiny import Steps, Times, register
from training.stock.model import StockModel

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-tests"
ME = {"who": "tester", "why": "test"}


@dataclass(frozen=True)
class Running:
    """The service of this module: its settings, client and process."""

    settings: Settings
    client: httpx.Client
    process: subprocess.Popen[bytes]
    scratch: Path

    def ask(self, path: str, items: list[Any]) -> dict[str, Any]:
        answered = self.client.post(path, json={"items": items})
        assert answered.status_code == 200, answered.text
        return answered.json()

    def promote(self, family: str, model: Any) -> str:
        name = f"{family}-{time.monotonic_ns()}"
        version = register(self.settings, family, model, self.scratch / name)
        Registry(self.settings).promote(family, version, **ME)
        return version

    def seat(self, family: str) -> dict[str, Any]:
        return next(seat for seat in self.client.get("/v1/models").json()["models"] if seat["family"] == family)

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("serving")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = load_settings(
        home=home / "home", serve_port=port, serve_poll_seconds=0.2, serve_shadow_share=1.0, serve_tokens=f"other, {TOKEN}"
    )
    registry = Registry(settings)
    for family, model in (("sum", Times(2.0)), ("lookup", Steps()), ("stock", StockModel())):
        registry.promote(family, register(settings, family, model, home / family), **ME)
    command = [sys.executable, "-m", "bentoml", "serve", "tests.serving.tiny:SERVICE", "--host", "127.0.0.1", "--port", str(port)]
    environment = child_environment(settings, dict(os.environ))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        it = Running(settings, client, process, home)
        try:
            it.until(lambda: process.poll() is None and _answers(client), 300)
            yield it
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_bad_item_is_answered_by_its_error_and_the_others_by_the_model(running: Running) -> None:
    items = [
        {"store_id": "S1", "units": 3}, {"store_id": "", "units": 3}, 5, {"store_id": "S1"}, {"store_id": "poison", "units": 1},
        {"store_id": "S1", "units": 1, "colour": "red"}, {"store_id": "S2", "units": 4.5, "ds": "2024-02-29"},
        {"store_id": "S2", "units": 4.5, "ds": "2023-02-29"},
    ]  # fmt: skip
    answers = running.ask("/v1/sum", items)["items"]
    assert [a["ok"] for a in answers] == [True, False, False, False, False, False, True, False]
    assert [a["results"][0]["total"] / i["units"] for a, i in zip(answers, items, strict=True) if a["ok"]] == [2.0, 2.0]
    errors = [a["error"] for a in answers if not a["ok"]]
    assert all(error.endswith(".") and "\n" not in error for error in errors)
    assert "store_id" in errors[0] and "units is missing" in errors[2] and "colour" in errors[4] and "2023-02-29" in errors[5]


def test_features_are_looked_up_by_key_and_an_unknown_key_is_its_own_error(running: Running) -> None:
    items = [{"store_id": "S1", "product_id": p, "steps": n} for p, n in (("P2", 2), ("P9", 1), ("P1", 1), ("P2", 1))]
    answers = running.ask("/v1/lookup", items)["items"]
    assert answers[0]["results"] == [{"horizon": 1, "total": 20.0}, {"horizon": 2, "total": 40.0}]
    assert "P9" in answers[1]["error"]
    assert [a["results"][0]["total"] for a in answers[2:]] == [10.0, 20.0]


def test_the_stock_that_is_stored_stands_for_the_stock_that_is_not_given(running: Running) -> None:
    pair, uncounted = {"store_id": "S1", "product_id": "P1"}, {"store_id": "S1", "product_id": "P2"}
    items = [
        pair, {**pair, "on_hand": 40, "on_order": 5}, {**pair, "on_hand": None, "on_order": 5}, {**pair, "on_hand": 500}, {**pair, "on_order": 500},
        uncounted, {**uncounted, "on_hand": 3}, {**pair, "on_order": -1}, {**pair, "on_hand": "many"},
    ]  # fmt: skip
    answers = running.ask("/v1/stock/reorder", items)["items"]
    assert answers[0] == answers[1] == answers[2]
    assert [answer["results"][0]["order_units"] > 0 for answer in answers[:5]] == [True, True, True, False, False]
    assert answers[5]["error"] == "on_hand is neither given nor stored for store_id 'S1', product_id 'P2': expected a finite number."
    assert answers[6]["ok"]
    assert answers[7]["error"] == "on_order is -1: expected a finite number of at least 0."
    assert answers[8]["error"] == "on_hand is 'many': expected a finite number."


def test_the_contract_says_what_may_be_left_out(running: Running) -> None:
    told = running.client.get("/openapi.json").json()["paths"]["/v1/stock/reorder"]["post"]["requestBody"]["content"]
    item = told["application/json"]["schema"]["properties"]["items"]["items"]
    assert item["required"] == ["store_id", "product_id"]
    assert item["properties"]["on_hand"]["type"] == ["number", "null"] and "stored" in item["properties"]["on_order"]["description"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"\xff\xfe", 400), (b'{"items": [NaN]}', 400), (b"[" * 100_000, 400), (b"[]", 422), (b'{"items": {}}', 422),
     (b'{"items": [], "more": 1}', 422), (b'{"items": [' + b"0," * 10_000 + b"0]}", 413), (b" " * (17 * 2**20), 413)],
)  # fmt: skip
def test_a_body_that_is_not_the_contract_is_refused_with_one_sentence(running: Running, body: bytes, status: int) -> None:
    answered = running.client.post("/v1/sum", content=body)
    assert answered.status_code == status
    assert answered.json()["error"].endswith(".")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["items", "store_id", "units", "ds", ""]), inner, max_size=4)
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=_json.map(lambda v: json.dumps(v).encode()) | _json.map(lambda v: json.dumps({"items": [v, v]}).encode()) | st.binary(max_size=60)
)
def test_whatever_is_sent_is_answered_in_the_contract(running: Running, body: bytes) -> None:
    answered = running.client.post("/v1/sum", content=body)
    assert answered.status_code in (200, 400, 422), answered.text
    told = answered.json()
    if answered.status_code == 200:
        assert len(told["items"]) == len(json.loads(body)["items"])
        assert all(set(item) in ({"ok", "results"}, {"ok", "error"}) for item in told["items"])
    else:
        assert isinstance(told["error"], str)


def test_a_promotion_is_followed_without_a_restart_and_every_answer_is_of_one_version(running: Running) -> None:
    factors = {running.seat("sum")["champion"]["version"]: 2.0}
    stop = time.monotonic() + 60
    switched: set[str] = set()

    def ask(seed: int) -> list[tuple[str, float]]:
        seen = []
        while time.monotonic() < stop and len(switched) == 0:
            told = running.ask("/v1/sum", [{"store_id": "S1", "units": 1.0}] * 20)
            totals = {item["results"][0]["total"] for item in told["items"]}
            assert len(totals) == 1, "one list was answered by two models"
            seen.append((told["model_version"], totals.pop()))
            if told["model_version"] not in first:
                switched.add(told["model_version"])
        return seen

    first = set(factors)
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, seed) for seed in range(8)]
        version = running.promote("sum", Times(5.0))
        factors[version] = 5.0
        seen = [pair for future in asking for pair in future.result()]
    assert switched == {version}
    assert all(factors[v] == total for v, total in seen)
    assert running.process.poll() is None


def test_a_version_that_cannot_answer_is_refused_and_the_old_one_serves_on(running: Running) -> None:
    running.ask("/v1/sum", [{"store_id": "S1", "units": 1.0}])
    before = running.seat("sum")["champion"]
    bad = running.promote("sum", Times(7.0, "nonsense"))
    running.until(lambda: bool(running.seat("sum")["refused"]))
    seat = running.seat("sum")
    assert seat["refused"][0]["version"] == bad
    assert "total" in seat["refused"][0]["why"]
    assert seat["champion"] == before
    assert running.ask("/v1/sum", [{"store_id": "S1", "units": 1.0}])["model_version"] == before["version"]
    assert f'shelfcast_model_refused_total{{family="sum",version="{bad}"}} 1.0' in running.client.get("/metrics").text
    good = running.promote("sum", Times(8.0))
    running.until(lambda: running.ask("/v1/sum", [{"store_id": "S1", "units": 1.0}])["model_version"] == good)
    assert running.seat("sum")["refused"] == []


def test_a_challenger_shadows_and_both_answers_become_events(running: Running) -> None:
    version = register(running.settings, "sum", Times(100.0), running.scratch / "challenger")
    Registry(running.settings).set_challenger("sum", version)
    running.until(lambda: (running.seat("sum")["challenger"] or {}).get("version") == version)
    told = running.ask("/v1/sum", [{"store_id": "shadowed", "units": 1.0}, {"units": 1.0}])
    assert told["model_version"] != version

    def pair() -> list[dict[str, Any]]:
        files = (running.settings.home / "predictions").glob("*/[!.]*.jsonl")
        events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [event for event in events if event["item"].get("store_id") == "shadowed"]

    running.until(lambda: len(pair()) == 2)
    champion, challenger = sorted(pair(), key=lambda e: e["role"] == "challenger")
    assert champion["answer"]["results"] == told["items"][0]["results"]
    assert challenger["answer"]["results"][0]["total"] == 100.0
    assert champion["request_id"] == challenger["request_id"]
    assert {"event_id", "at", "family", "model_version", "role", "position"} <= set(champion)


def test_without_a_token_only_health_is_answered(running: Running) -> None:
    with httpx.Client(base_url=running.client.base_url) as stranger:
        assert [stranger.get(path).status_code for path in ("/healthz", "/readyz", "/livez")] == [200] * 3
        for path in ("/v1/models", "/metrics", "/openapi.json", "/"):
            assert stranger.get(path).status_code == 401
        assert stranger.post("/v1/sum", json={"items": []}, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_metrics_and_the_contract_are_published(running: Running) -> None:
    running.ask("/v1/sum", [{"store_id": "S1", "units": 1.0}, {}])
    metrics = running.client.get("/metrics").text
    assert 'shelfcast_items_total{family="sum",outcome="error"}' in metrics
    assert 'shelfcast_model_serving{alias="champion",family="lookup",version="1"} 1.0' in metrics
    assert "shelfcast_registry_reachable 1.0" in metrics
    told = running.client.get("/docs.json").json()
    example = told["paths"]["/v1/sum"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert all(answer["ok"] for answer in running.ask("/v1/sum", example["items"])["items"])
    for path, status in (("/v1/sum", 405), ("/v1/nothing", 404)):
        answer = running.client.get(path)
        assert (answer.status_code, answer.json()) == (status, {"error": f"GET {path} is not an endpoint: /openapi.json lists them."})


def test_the_service_ends_when_its_verb_is_told_to(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SHELFCAST_HOME": str(tmp_path), "SHELFCAST_SERVE_PORT": str(port)}
    command = [sys.executable, "-m", "infra.cli", "serve"]
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        deadline = time.monotonic() + 300
        while not _answers(client):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with pytest.raises(httpx.ConnectError):
            client.get("/readyz")


def test_a_service_that_was_killed_is_no_success_of_its_verb(tmp_path: Path) -> None:
    environment = {**os.environ, "SHELFCAST_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "infra.cli", "serve"], cwd=ROOT, env=environment) as process:
        children, deadline = Path(f"/proc/{process.pid}/task/{process.pid}/children"), time.monotonic() + 120
        while not (answering := children.read_text().split()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(int(answering[0]), signal.SIGKILL)
        assert process.wait(60) == 128 + signal.SIGKILL


def test_a_registry_out_of_reach_is_not_waited_for_unless_the_environment_says_so(settings: Settings) -> None:
    told = child_environment(settings, {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"})
    assert (told["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], told["MLFLOW_HTTP_REQUEST_TIMEOUT"]) == ("1", "300")
