"""The DAGs are read, not run: every task calls a verb of the command line with options it has, and gives up in time."""

from __future__ import annotations

import ast
import re
import shlex
from datetime import timedelta
from pathlib import Path

import click
import pytest
import typer

from infra import cli
from infra.errors import BadInput, NothingToDo, NotReady
from training.family import family_names

DAGS = sorted((Path(cli.__file__).parent / "airflow" / "dags").glob("*.py"))
VERBS: dict[str, click.Command] = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def _calls(path: Path, name: str) -> list[dict[str, ast.expr]]:
    nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return [{k.arg: k.value for k in n.keywords if k.arg} for n in nodes if isinstance(n.func, ast.Name) and n.func.id == name]


def _commands(path: Path) -> list[str]:
    """Each task's command; `{family}` stands where the DAG puts a family, a word for what Airflow fills in."""
    said = []
    for call in _calls(path, "BashOperator"):
        node = call["bash_command"]
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(part.value if isinstance(part, ast.Constant) else "{family}" for part in parts)
        # what stands under a condition is taken to be there
        said.append(re.sub(r"\{\{.*?\}\}", "2017-01-01", re.sub(r"\{%.*?%\}", "", text)))
    return said


def test_the_platforms_dags_are_there() -> None:
    named = {"etl_daily", "data_quality_checks", "feature_engineering", "ml_training", "ml_batch_inference"}
    assert named <= {path.stem for path in DAGS}


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.stem)
def test_every_task_is_a_verb_with_options_it_has(path: Path) -> None:
    commands = _commands(path)
    assert commands
    for command in commands:
        program, verb, *words = shlex.split(command)
        assert program == "shelfcast"
        assert verb in VERBS, f"{path.name}: {verb}"
        # parses names, types and the number of arguments; nothing is run
        VERBS[verb].make_context(verb, [word.replace("{family}", "demand") for word in words])


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.stem)
def test_every_task_gives_up_and_every_dag_retries_and_is_named_as_its_file(path: Path) -> None:
    (dag,) = _calls(path, "DAG")
    assert ast.literal_eval(dag["dag_id"]) == path.stem
    assert ast.literal_eval(dag["catchup"]) is False
    assert ast.literal_eval(dag["max_active_runs"]) == 1
    defaults = dag["default_args"]
    assert isinstance(defaults, ast.Dict)
    assert {key.value for key in defaults.keys if isinstance(key, ast.Constant)} >= {"retries", "retry_delay"}
    for call in _calls(path, "BashOperator"):
        assert "execution_timeout" in call
        assert ast.literal_eval(call["append_env"]) is True


def _span(node: ast.expr) -> timedelta:
    """The value of `timedelta(hours=...)`."""
    assert isinstance(node, ast.Call) and getattr(node.func, "id", "") == "timedelta"
    return timedelta(**{k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg})


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.stem)
def test_a_run_that_takes_too_long_fails_and_one_that_only_uses_its_tasks_time_does_not(path: Path) -> None:
    (dag,), commands = _calls(path, "DAG"), _commands(path)
    times = [len(family_names()) if "{family}" in command else 1 for command in commands]
    tasks = [_span(call["execution_timeout"]) for call in _calls(path, "BashOperator")]
    one_after_the_other = sum((span * often for span, often in zip(tasks, times, strict=True)), timedelta())
    assert one_after_the_other < _span(dag["dagrun_timeout"]) < timedelta(days=1)


def test_a_task_is_skipped_only_where_there_is_nothing_to_do() -> None:
    """A server that stayed away, a full disk, a held lock: those fail the task, and somebody looks."""
    told = [
        ast.literal_eval(call["skip_on_exit_code"]) for path in DAGS for call in _calls(path, "BashOperator") if "skip_on_exit_code" in call
    ]
    assert set(told) == {NothingToDo.exit_code} and len(told) == 4
    # 4 is that of `quality`: a check does not hold
    assert NothingToDo.exit_code not in {BadInput.exit_code, NotReady.exit_code, 4}


@pytest.mark.parametrize("name", ["ml_training", "ml_batch_inference"])
def test_the_families_are_those_of_the_platform(name: str) -> None:
    tree = ast.parse(next(p for p in DAGS if p.stem == name).read_text())
    (listed,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "FAMILIES"]
    assert set(ast.literal_eval(listed)) >= set(family_names())


def test_a_missed_day_is_filled_in_by_a_run_that_names_it_and_holds_up_no_family() -> None:
    path = next(p for p in DAGS if p.stem == "ml_batch_inference")
    assert _commands(path) == ["shelfcast score {family} --day 2017-01-01 --json"]
    (dag,), (task,) = _calls(path, "DAG"), _calls(path, "BashOperator")
    assert [ast.literal_eval(key) for key in dag["params"].keys] == ["day"]  # type: ignore[attr-defined]
    assert ast.literal_eval(task["trigger_rule"]) == "none_failed"


def test_an_asset_that_is_waited_for_is_made_somewhere() -> None:
    made, awaited = set(), set()
    for path in DAGS:
        tree = ast.parse(path.read_text())
        names = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                targets, values = node.targets[0], node.value
                for target, value in zip(getattr(targets, "elts", [targets]), getattr(values, "elts", [values]), strict=False):
                    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Asset":
                        names[target.id] = ast.literal_eval(value.args[0])
        schedule = _calls(path, "DAG")[0]["schedule"]
        awaited |= {names[e.id] for e in getattr(schedule, "elts", [])}
        made |= {names[e.id] for call in _calls(path, "BashOperator") if "outlets" in call for e in call["outlets"].elts}  # type: ignore[attr-defined]
    assert awaited <= made
    assert awaited
