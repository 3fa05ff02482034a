"""`mlflow run`: each entry point is a verb with options it has, and one is run from another folder by the command itself."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml
from mlflow.projects._project_spec import load_project

from infra import cli
from training.family import family_names

ROOT = Path(cli.__file__).parents[1]
PROJECTS = [ROOT, ROOT / "training"]
VERBS: dict[str, click.Command] = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_every_entry_point_is_a_verb_with_options_it_has(folder: Path, tmp_path: Path) -> None:
    project = load_project(str(folder))
    for name in project._entry_points:
        command = project.get_entry_point(name).compute_command({}, str(tmp_path))
        path, python, module, told, verb, *words = shlex.split(command)
        assert (python, module, told) == ("python", "-m", "infra.cli")
        assert (folder / path.removeprefix("PYTHONPATH=")).resolve() == ROOT.resolve()
        # parses names, types and the number of arguments; nothing is run
        VERBS[verb].make_context(verb, words)


def test_every_family_has_an_entry_point_of_its_own() -> None:
    assert set(family_names()) | {"all"} <= set(load_project(str(ROOT / "training"))._entry_points)


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_the_environment_is_the_locked_one(folder: Path) -> None:
    said = yaml.safe_load((folder / "python_env.yaml").read_text())
    (lock,) = [line.removeprefix("-r ") for line in said["dependencies"]]
    assert "--hash=sha256:" in (folder / lock).read_text()
    assert not any("://" in line for line in (folder / lock).read_text().splitlines() if not line.startswith("#"))


def test_a_family_is_trained_by_the_command_from_another_folder(tmp_path: Path) -> None:
    """In an empty home there is nothing to train on: the verb is reached, and says what to run first."""
    environment = {**os.environ, "SHELFCAST_HOME": str(tmp_path / "home"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["mlflow", "run", str(ROOT / "training"), "-e", "slow_mover", "--env-manager", "local"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "run `shelfcast" in done.stdout + done.stderr and "Traceback" not in done.stdout
