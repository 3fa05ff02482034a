"""The stack as a whole, and what `bootstrap` makes on it."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest

from infra.bootstrap import experiments, topics, warehouse_tables
from infra.errors import BadInput, NotReady
from infra.s3 import make_buckets
from infra.settings import load_settings
from infra.stack import services
from infra.stack.services import Ports
from infra.stack.stack import Stack


def test_all_are_healthy_and_a_second_up_starts_nothing(stack) -> None:
    before = {state.name: state.pid for state in stack.status()}
    assert {state.state for state in stack.up()} == {"healthy"} and len(before) == 7
    assert {state.name: state.pid for state in stack.status()} == before


def test_ports_do_not_change_under_running_services(stack) -> None:
    again = load_settings(home=stack.place.folder.parent)
    assert Stack.at(again).place == stack.place
    with pytest.raises(NotReady, match=r"kafka.* run on other ports"):
        Stack.at(again, chosen={"kafka": 19092})
    with pytest.raises(BadInput, match="--port is tv=1: expected one of kafka"):
        Ports().but({"tv": 1})


def test_bootstrap_makes_what_is_missing_and_says_so_once(on_stack) -> None:
    settings = on_stack(lake_url="s3a://other-bucket/lake")
    names = [f"shelfcast-{settings.home.name}"]
    prefix = settings.events_url.split("/")[-1].split("?")[0]
    assert topics(settings, ["sales", "stock"]) == [f"{prefix}.sales", f"{prefix}.stock", f"{prefix}.writes"]
    assert make_buckets(settings) == []  # the settings of this test made it
    assert "sales_daily" in warehouse_tables(settings)
    assert experiments(settings, names) == names
    assert (topics(settings, ["sales", "stock"]), warehouse_tables(settings), experiments(settings, names)) == ([], [], [])


def test_a_broker_is_formatted_under_an_id_that_begins_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Stack.at(load_settings(home=tmp_path), Ports.free()).place
    folder = place.folder / "kafka"
    folder.mkdir(parents=True)
    monkeypatch.setattr(services.uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))
    command = services.kafka(place).command()[2].partition(" && exec ")[0]
    assert "=-Pj4" in command
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    assert "-Pj4" in (folder / "data" / "meta.properties").read_text()
