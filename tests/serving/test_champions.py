"""Following the champion: proved on its example and on served rows, refused and retried, silent registries survived."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from serving import champions
from serving.champions import Champions, described
from serving.desk import _without_champion
from serving.metrics import Metrics
from tests.serving.tiny import SUM, Times
from training.portable import save_portable

ROW = pd.DataFrame({"store_id": ["S1"], "units": [2.0], "ds": [pd.NaT]})


@dataclass
class Folders:
    """Versions in a folder: `<root>/<version>`, and the aliases as they were set."""

    root: Path
    aliases: dict[str, str] = field(default_factory=dict)
    reachable: bool = True

    def version(self, family: str, alias: str) -> str | None:
        if not self.reachable:
            raise ConnectionError("no\nroute")
        return self.aliases.get(alias)

    def folder(self, family: str, version: str) -> Path:
        return self.root / version


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for version, model in (("1", Times(1.0)), ("2", Times(2.0)), ("3", Times(3.0, "nonsense"))):
        save_portable(model, tmp_path / version)
    return Folders(tmp_path)


@pytest.fixture
def following(folders: Folders) -> Champions:
    return Champions(folders, {"sum": SUM}, Metrics(CollectorRegistry()))


def test_the_champion_is_followed_and_a_vanished_alias_does_not_empty_the_seat(folders: Folders, following: Champions) -> None:
    for version in ("1", "2"):
        folders.aliases["champion"] = version
        following.poll()
        assert following.seats["sum"].champion.version == version
    folders.aliases.clear()
    following.poll()
    assert following.seats["sum"].champion.version == "2"


def test_a_challenger_comes_and_goes(folders: Folders, following: Champions) -> None:
    folders.aliases.update(champion="1", challenger="2")
    following.poll()
    assert following.seats["sum"].challenger.version == "2"
    del folders.aliases["challenger"]
    following.poll()
    assert following.seats["sum"].challenger is None


def test_a_version_must_answer_its_own_example(folders: Folders, following: Champions) -> None:
    (folders.root / "3" / "input_example.json").write_text(json.dumps({"columns": ["store_id", "units"], "data": [["S1", 1.0]]}))
    folders.aliases["champion"] = "3"
    following.poll()
    seat = following.seats["sum"]
    assert seat.champion is None
    assert "total" in described(seat)["refused"][0]["why"]


def test_a_version_must_answer_what_was_served_lately(folders: Folders, following: Champions) -> None:
    folders.aliases["champion"] = "1"
    following.poll()
    following.remember("sum", ROW)
    folders.aliases["champion"] = "3"
    following.poll()
    seat = following.seats["sum"]
    assert (seat.champion.version, seat.refused["champion"].version) == ("1", "3")
    folders.aliases["champion"] = "2"
    following.poll()
    assert (following.seats["sum"].champion.version, following.seats["sum"].refused) == ("2", {})


def test_a_version_whose_files_were_missing_is_tried_again_after_a_while(
    folders: Folders, following: Champions, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.aliases["champion"] = "9"
    following.poll()
    assert following.seats["sum"].champion is None
    save_portable(Times(9.0), folders.root / "9")
    following.poll()
    assert following.seats["sum"].champion is None, "it was refused a moment ago"
    now = champions.time.monotonic()
    monkeypatch.setattr(champions.time, "monotonic", lambda: now + champions.RETRY_SECONDS + 1)
    following.poll()
    assert following.seats["sum"].champion.version == "9"


def test_a_registry_out_of_reach_is_told_and_the_models_serve_on(folders: Folders, following: Champions) -> None:
    folders.aliases["champion"] = "1"
    following.poll()
    folders.reachable = False
    following.poll()
    assert following.problem == "the registry is out of reach: ConnectionError: no route"
    assert following.seats["sum"].champion.version == "1"
    folders.reachable = True
    following.poll()
    assert following.problem == ""


def test_a_start_with_a_broken_champion_is_served_by_the_one_before(folders: Folders, following: Champions) -> None:
    folders.aliases.update(champion="9", previous="1")
    for _ in range(2):
        following.poll()
        seat = following.seats["sum"]
        assert (seat.champion.version, seat.refused["champion"].version) == ("1", "9")
    folders.aliases["champion"] = "2"
    following.poll()
    assert following.seats["sum"].champion.version == "2"


def test_a_predecessor_that_is_refused_too_is_told_and_tried_again_only_after_a_while(
    folders: Folders, following: Champions, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.aliases.update(champion="9", previous="8")
    fetched, folder = [], folders.folder
    monkeypatch.setattr(folders, "folder", lambda family, version: fetched.append(version) or folder(family, version))
    for _ in range(3):
        following.poll()
    assert fetched == ["9", "8"]
    said = _without_champion(following.seats["sum"], "")
    assert "version 9, was refused (" in said and "before it version 8, was refused (" in said and "`shelfcast promote sum --why" in said
    folders.aliases["champion"] = "2"
    following.poll()
    assert (following.seats["sum"].champion.version, following.seats["sum"].refused) == ("2", {})


def test_it_is_ready_when_the_registry_was_read_once(folders: Folders, following: Champions) -> None:
    folders.reachable = False
    following.poll()
    assert not following.ready
    folders.reachable = True
    following.poll()
    folders.reachable = False
    following.poll()
    assert following.ready


def test_a_challenger_that_is_gone_is_no_gauge_either(folders: Folders) -> None:
    gauges = CollectorRegistry()
    following = Champions(folders, {"sum": SUM}, Metrics(gauges))
    folders.aliases.update(champion="1", challenger="2")
    following.poll()
    del folders.aliases["challenger"]
    following.poll()
    told = {alias: gauges.get_sample_value("shelfcast_model_serving", {"family": "sum", "alias": alias, "version": version})
            for alias, version in (("champion", "1"), ("challenger", "2"))}  # fmt: skip
    assert told == {"champion": 1.0, "challenger": 0.0}


def test_a_password_in_the_registrys_address_is_not_told(folders: Folders, following: Champions, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(family: str, alias: str) -> str:
        raise ConnectionError("API request to http://bob:hunter2@mlflow:5000/api failed")

    monkeypatch.setattr(folders, "version", refuse)
    following.poll()
    assert "hunter2" not in following.problem and "http://mlflow:5000/api" in following.problem
