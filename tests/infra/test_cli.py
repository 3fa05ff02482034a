"""The command line as a user meets it: real processes, their words and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from data_ingest.ingest import ingest
from data_ingest.tables import VISITS_DAILY
from infra.settings import load_settings
from infra.warehouse import Warehouse
from tests.data_ingest import events
from tests.infra.filled import fill

STORY = [
    "simulate", "replay", "import", "ingest", "features", "train", "promote", "rollback", "history", "score", "serve",
    "report", "status", "doctor", "forecast", "order", "detect", "slow-movers", "recommend", "pipeline",
]  # fmt: skip


def shelfcast(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SHELFCAST_HOME": str(home), "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *words], capture_output=True, text=True, env=environment, check=False, timeout=300
    )


def test_help_lists_the_verbs_by_the_story(tmp_path: Path) -> None:
    said = shelfcast(tmp_path, "--help").stdout
    places = [said.index(f" {verb} ") for verb in STORY if verb not in ("pipeline",)]
    assert places[:12] == sorted(places[:12])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["train", "demands"], 2, "there is no model family 'demands': expected one of anomaly, demand"),
        (["promote", "demand", "--why", "because"], 3, "demand has no challenger to promote: run `shelfcast train demand` first"),
        (
            ["promote", "demand", "--why", "because", "--unattended"],
            5,
            "Nothing to do: demand has no challenger to promote: the gates kept",
        ),
        (["rollback", "demand", "--why", "because"], 3, "demand has no previous champion"),
        (["score", "--day", "2024-05-01"], 2, "--day is 2024-05-01 and no family is named"),
        (["replay", "--start", "yesterday"], 2, "--start is 'yesterday': expected a day as YYYY-MM-DD"),
        (["simulate", "--stores", "0"], 2, "--stores is 0: expected at least 1"),
        (["train", "demand", "--trials", "0"], 2, "--trials is 0: expected at least 1"),
        (["import", "missing.csv", "--column", "units"], 2, "--column is 'units': expected field=column"),
        (["forecast", "--history", "missing.csv", "--horizon", "7", "--out", "out.csv"], 2, "missing.csv"),
        (["forecast"], 2, "Missing option '--history'"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(tmp_path: Path, words: list[str], code: int, sentence: str) -> None:
    done = shelfcast(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = shelfcast(tmp_path, "status", SHELFCAST_LAKE_URL="ftp://x")
    assert (done.returncode, done.stderr.strip()) == (2, "Bad input: SHELFCAST_LAKE_URL is 'ftp://x': expected one of file://, s3a://")


@pytest.mark.parametrize("verb", ["promote", "rollback", "history"])
def test_a_registry_that_does_not_answer_is_named(tmp_path: Path, verb: str) -> None:
    why = [] if verb == "history" else ["--why", "better"]
    away = {"SHELFCAST_TRACKING_URL": "http://bob:hunter2@127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    found = shelfcast(tmp_path, verb, "demand", *why, **away)
    assert (found.returncode, found.stdout) == (3, "")
    assert "MLflow at 127.0.0.1:9 does not answer" in found.stderr and "hunter2" not in found.stderr and "Traceback" not in found.stderr


def test_status_and_history_of_an_empty_home_are_json(tmp_path: Path) -> None:
    assert json.loads(shelfcast(tmp_path, "status", "--json").stdout)["models"] == "none yet"
    assert json.loads(shelfcast(tmp_path, "history", "all", "--json").stdout) == []


def test_a_named_question_is_asked_of_the_warehouse(tmp_path: Path) -> None:
    every = json.loads(shelfcast(tmp_path, "query", "--json").stdout)
    assert {key: value for key, value in every[-2].items() if key != "question"} == {"name": "quality_missing_feeds", "asks": {}}
    asked = ("query", "analytics_conversion", "--with", "since=2024-01-01", "--with", "until=2024-02-01", "--json")
    assert json.loads(shelfcast(tmp_path, *asked).stdout) == []
    visits = pd.DataFrame([("s1", date(2024, 1, 3), 4, 1)], columns=VISITS_DAILY.names)
    fill(Warehouse(load_settings(home=tmp_path).warehouse_url), VISITS_DAILY, visits)
    assert json.loads(shelfcast(tmp_path, *asked).stdout) == [
        {"store_id": "s1", "ds": "2024-01-03", "visits": 4, "baskets": 1, "conversion": 0.25}
    ]


def test_the_doctor_names_what_is_broken_and_how_to_mend_it(tmp_path: Path) -> None:
    done = shelfcast(tmp_path, "doctor", "--json", SHELFCAST_JARS=str(tmp_path / "nowhere"))
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 3
    assert checks["java"]["ok"] and not checks["jars"]["ok"]
    assert checks["jars"]["mend"] == "run `shelfcast doctor --fix`"


def test_what_a_rule_has_set_aside_is_judged_again(spark, settings) -> None:
    events.send(settings, [events.returned("2024-05-01T10:00", basket="b7")])
    assert ingest(spark, settings).quarantined == {"return_without_purchase": 1}
    events.send(settings, [events.purchase("2024-05-01T09:00", basket="b7")])
    done = shelfcast(settings.home, "ingest", "--again", "return_without_purchase", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ingest"]["accepted"] == {"sales": 2}
    assert "lines that return_without_purchase had set aside, in the log again: 1" in done.stderr
    wrong = shelfcast(settings.home, "ingest", "--again", "nonsense")
    assert wrong.returncode == 2 and "there is no rule 'nonsense': expected one of oversized_line" in wrong.stderr


#: a file system of its own for the command after it: 64 kB, or one that may only be read
_SMALL, _READ_ONLY = "size=64k", "ro"


def on_a_disk(options: str, folder: Path, home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The verb while `folder` is a small file system of its own (seen by its process only)."""
    folder.mkdir()
    script = f"mount -t tmpfs -o {options} tmpfs {folder} && exec {sys.executable} -m infra.cli {' '.join(words)}"
    environment = {**os.environ, "SHELFCAST_HOME": str(home), "COLUMNS": "200", **variables}
    own = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return subprocess.run([*own, "sh", "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=900)


@pytest.mark.parametrize(("options", "said"), [(_SMALL, "is full: free some space"), (_READ_ONLY, "cannot be written to")])
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system of its own, which Linux lets a process do")
def test_a_disk_that_takes_nothing_more_is_told_in_one_sentence(tmp_path: Path, options: str, said: str) -> None:
    home, lake = tmp_path / "home", tmp_path / "lake"
    assert shelfcast(home, "simulate", "--stores", "1", "--products", "2", "--days", "3").returncode == 0
    # the dimensions are declared in a lake of their own, so that the disk is met by Spark in the midst of a stream
    done = on_a_disk(options, lake, home, "ingest", SHELFCAST_LAKE_URL=f"file://{lake}")
    assert done.returncode == 3, done.stderr[-3000:]
    assert said in done.stderr.strip().splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system of its own, which Linux lets a process do")
def test_a_full_disk_leaves_no_half_of_an_answer(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    rows = [f"s1,p{p},2024-{1 + d // 28:02d}-{1 + d % 28:02d},{(p + d) % 4}" for p in range(40) for d in range(112)]
    history.write_text("store_id,product_id,ds,units\n" + "\n".join(rows) + "\n")
    out = tmp_path / "out"
    words = ("forecast", "--history", str(history), "--horizon", "28", "--out", str(out / "o.csv"))
    done = on_a_disk(_SMALL, out, tmp_path / "home", *words)
    assert done.returncode == 2 and f"{out}" in done.stderr and "No space left on device" in done.stderr, done.stderr
