from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from infra.errors import BadInput, NothingToDo, NotReady
from infra.registry import CHALLENGER, CHAMPION, PREVIOUS, Move, Registry
from infra.settings import Settings, load_settings
from infra.tracking import tracked_run
from training.portable import load_portable, save_portable


class Constant:
    """A portable model that answers one number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"item": np.arange(len(frame)), "units": self.value})

    def save(self, folder: Path) -> None:
        (folder / "value.txt").write_text(str(self.value))

    @classmethod
    def load(cls, folder: Path) -> Constant:
        return cls(float((folder / "value.txt").read_text()))


def registered(settings: Settings, tmp_path: Path, value: float) -> str:
    import mlflow

    with tracked_run(settings, "shelfcast-demand", "test") as run_id:
        folder = save_portable(Constant(value), tmp_path / f"portable-{value}")
        info = mlflow.pyfunc.log_model(name="model", loader_module="training.portable", data_path=str(folder), pip_requirements=["pandas"])
        return Registry(settings).register("demand", run_id, info.model_uri, {"wql": value})


@pytest.fixture
def two_versions(settings: Settings, tmp_path: Path) -> Registry:
    assert [registered(settings, tmp_path, value) for value in (1.0, 2.0)] == ["1", "2"]
    return Registry(settings)


def test_promotion_and_rollback_move_the_aliases_and_are_remembered(two_versions: Registry) -> None:
    registry = two_versions
    registry.promote("demand", "1", "ann", "first model")
    registry.set_challenger("demand", "2")
    registry.promote("demand", None, "ben", "better by a tenth")
    assert [registry.version("demand", alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)] == ["2", "1", None]
    registry.rollback("demand", "ann", "complaints from store 7")
    assert [registry.version("demand", alias) for alias in (CHAMPION, PREVIOUS)] == ["1", "2"]
    today = datetime.now(UTC).date()
    assert [registry.champion_on("demand", day) for day in (today - timedelta(days=2), today)] == [None, "1"]
    assert [(m.action, m.from_version, m.to_version, m.who, m.why, dict(m.numbers)) for m in registry.history("demand")] == [
        ("promote", None, "1", "ann", "first model", {"wql": 1.0}),
        ("promote", "1", "2", "ben", "better by a tenth", {"wql": 2.0}),
        ("rollback", "2", "1", "ann", "complaints from store 7", {"wql": 1.0}),
    ]


def test_a_move_that_was_killed_half_way_is_completed_and_recorded_once(two_versions: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = two_versions
    registry.promote("demand", "1", "ann", "first")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_carry_out", lambda self, move: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.promote("demand", "2", "ben", "second")
    assert (registry.version("demand", CHAMPION), registry.history("demand")[-1].done) == ("1", False)
    assert registry.champion_on("demand", datetime.now(UTC).date()) == "1"
    registry.promote("demand", "2", "ben", "second")
    assert (registry.version("demand", CHAMPION), registry.version("demand", PREVIOUS)) == ("2", "1")
    assert [m.done for m in registry.history("demand")] == [True, True]


def killed_before_the_champion_moves(patch: pytest.MonkeyPatch) -> None:
    moved = MlflowClient.set_registered_model_alias

    def killed(client: MlflowClient, name: str, alias: str, version: str) -> None:
        if alias == CHAMPION:
            raise KeyboardInterrupt
        moved(client, name, alias, version)

    patch.setattr(MlflowClient, "set_registered_model_alias", killed)


def test_a_rollback_that_was_killed_half_way_is_completed_and_does_not_go_forth_again(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_versions
    for version in ("1", "2"):
        registry.promote("demand", version, "ann", "in turn")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_before_the_champion_moves(patch)
        registry.rollback("demand", "ben", "complaints")
    registry.rollback("demand", "ben", "complaints")
    assert (registry.version("demand", CHAMPION), registry.version("demand", PREVIOUS)) == ("1", "2")
    assert [move.action for move in registry.history("demand")] == ["promote", "promote", "rollback"]


def test_a_rollback_after_a_promotion_that_was_killed_half_way_goes_back_to_who_served(
    two_versions: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, third = two_versions, registered(two_versions.settings, tmp_path, 3.0)
    for version in ("1", "2"):
        registry.promote("demand", version, "ann", "in turn")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_before_the_champion_moves(patch)
        registry.promote("demand", third, "ben", "better")
    registry.rollback("demand", "ann", "not better")
    assert (registry.version("demand", CHAMPION), registry.version("demand", PREVIOUS)) == ("2", third)
    told = [(move.from_version, move.to_version, move.done) for move in registry.history("demand")]
    assert told == [(None, "1", True), ("1", "2", True), ("2", third, True), (third, "2", True)]


def test_a_move_that_never_came_to_serve_stays_not_done_when_another_follows(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_versions
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_before_the_champion_moves(patch)
        registry.promote("demand", "2", "ben", "never served")
    registry.promote("demand", "1", "ann", "instead")
    assert [(move.to_version, move.done) for move in registry.history("demand")] == [("2", False), ("1", True)]


def test_models_are_found_behind_any_number_of_others(settings: Settings) -> None:
    registry = Registry(settings)
    for name in (*(f"another-{at}" for at in range(101)), "shelfcast-demand"):
        registry.client.create_registered_model(name)
    assert [row["family"] for row in registry.models()] == ["demand"]


def test_a_registry_made_anew_behind_the_same_address_is_not_answered_from_the_old_ones_files(
    two_versions: Registry, tmp_path: Path
) -> None:
    old = two_versions.folder("demand", "1")
    two_versions.client.delete_registered_model("shelfcast-demand")
    assert registered(two_versions.settings, tmp_path, 9.0) == "1"
    assert two_versions.folder("demand", "1") != old
    assert load_portable(two_versions.folder("demand", "1")).predict(pd.DataFrame({"x": [1]}))["units"].tolist() == [9.0]


def test_two_who_write_their_record_before_either_moves_an_alias_end_at_the_same_champion(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_versions
    both_wrote, wrote = threading.Barrier(2, timeout=60), MlflowClient.set_registered_model_tag

    def written(client: MlflowClient, name: str, key: str, value: str) -> None:
        wrote(client, name, key, value)
        both_wrote.wait()

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(MlflowClient, "set_registered_model_tag", written)
        made = [pool.submit(registry.promote, "demand", "2", "ben", "better"), pool.submit(registry.promote, "demand", "1", "eve", "worse")]
        assert [each.result().who for each in made] == ["ben", "eve"]
    told = registry.history("demand")
    assert sorted(move.who for move in told) == ["ben", "eve"]
    assert told[-1].done and registry.version("demand", CHAMPION) == told[-1].to_version


def test_a_move_whose_aliases_a_slower_one_turned_back_is_carried_out_again(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_versions
    registry.promote("demand", "1", "ann", "first")
    carried = Registry._carry_out

    def overtaken(self: Registry, move: Move) -> None:
        if move.who == "slow":
            patch.setattr(Registry, "_carry_out", carried)
            Registry(registry.settings).promote("demand", "2", "quick", "later, but carried out before")
        carried(self, move)

    registered(registry.settings, registry.settings.home, 3.0)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_carry_out", overtaken)
        registry.promote("demand", "3", "slow", "begun before")
    assert [move.who for move in registry.history("demand")] == ["ann", "slow", "quick"]
    assert [registry.version("demand", alias) for alias in (CHAMPION, PREVIOUS)] == ["2", "1"]


def test_a_model_whose_files_cannot_be_fetched_leaves_nothing_behind(two_versions: Registry) -> None:
    killed = two_versions.folder("demand", "1").parent / ".2.long-ago.partial"
    killed.mkdir()
    os.utime(killed, (0, 0))
    shutil.rmtree(two_versions.settings.home / "artifacts")
    for _ in range(3):
        with pytest.raises(Exception, match="artifacts"):
            two_versions.folder("demand", "2")
    assert list(killed.parent.iterdir()) == [two_versions.folder("demand", "1")]


def test_another_registry_on_the_same_home_has_models_of_its_own(two_versions: Registry, tmp_path: Path) -> None:
    other = load_settings(home=two_versions.settings.home, tracking_url=f"sqlite:///{tmp_path}/other.db")
    assert registered(other, tmp_path, 7.0) == "1"
    assert two_versions.folder("demand", "1") != Registry(other).folder("demand", "1")


def test_promoting_the_champion_again_changes_nothing(two_versions: Registry) -> None:
    two_versions.promote("demand", "1", "ann", "first")
    two_versions.promote("demand", "1", "ann", "first")
    assert len(two_versions.history("demand")) == 1


def test_what_cannot_be_moved_is_refused_in_one_sentence(two_versions: Registry) -> None:
    with pytest.raises(BadInput, match="demand has no version '9': it has 1, 2"):
        two_versions.promote("demand", "9", "ann", "x")
    with pytest.raises(NotReady, match="demand has no challenger"):
        two_versions.promote("demand", None, "ann", "x")
    with pytest.raises(NotReady, match="no previous champion"):
        two_versions.rollback("demand", "ann", "x")
    with pytest.raises(BadInput, match="needs --who and --why"):
        two_versions.promote("demand", "1", "ann", " ")
    with pytest.raises(BadInput, match="--why of a promote of demand has 2,001 characters: expected at most 2,000"):
        two_versions.promote("demand", "1", "ann", "x" * 2001)
    two_versions.promote("demand", "1", "ann", "ü" * 2000)
    assert two_versions.history("demand")[0].why == "ü" * 2000


def test_a_version_is_fetched_once_and_answers_without_its_files_on_the_server(two_versions: Registry, tmp_path: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/another.db")  # what the process is set to must not matter
    folder = two_versions.folder("demand", "2")
    assert folder == two_versions.folder("demand", "2")
    assert load_portable(folder).predict(pd.DataFrame({"x": [1, 2]}))["units"].tolist() == [2.0, 2.0]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_version_is_recorded_as_the_registry_writes_it(two_versions: Registry) -> None:
    for version in ("1", "2", "02"):
        two_versions.promote("demand", version, "ann", "by number")
    assert [(m.to_version, m.done) for m in two_versions.history("demand")] == [("1", True), ("2", True)]
    two_versions.rollback("demand", "ann", "back")
    assert two_versions.version("demand", CHAMPION) == "1"


def test_a_schedule_promotes_what_the_last_training_brought_and_never_over_a_rollback(two_versions: Registry) -> None:
    registry = two_versions
    registry.promote("demand", "1", "ann", "first model")
    with pytest.raises(NothingToDo, match="no challenger"):
        registry.newest_challenger("demand")
    registry.set_challenger("demand", "2")
    assert registry.newest_challenger("demand") == "2"
    registry.promote("demand", "2", "airflow", "gates passed")
    registry.rollback("demand", "ben", "bias in store 7")
    registry.set_challenger("demand", "2")
    with pytest.raises(NothingToDo, match=r"ben took demand back to version 1 \(bias in store 7\)"):
        registry.newest_challenger("demand")
    registry.set_challenger("demand", "1")
    with pytest.raises(NothingToDo, match="challenger is version 1, and version 2 came after it"):
        registry.newest_challenger("demand")
