"""The compose file: sound in structure, pinned, private, and with the settings that the stack's own processes were run with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from infra.settings import Settings
from infra.stack.programs import MINIO
from infra.stack.services import CORES, KAFKA_SETTINGS, MEMORY, WORKERS
from serving.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "infra" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(TEXT)["services"]


def words(service: dict[str, Any]) -> str:
    return " ".join(service.get("entrypoint", []) + service.get("command", []))


def test_it_is_a_compose_file_by_the_schema() -> None:
    done = _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "--default-filetype", "yaml", "-")
    assert done.returncode == 0, done.stdout
    wrong = _run(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "--default-filetype",
        "yaml",
        "-",
        text=TEXT.replace("depends_on:", "depends:", 1),
    )
    assert wrong.returncode != 0 and "depends" in wrong.stdout


def test_yaml_is_read_as_it_looks() -> None:
    root = FOLDER.parents[1]
    files = [path for folder in ("infra", "training") for path in sorted((root / folder).rglob("*.y*ml"))]
    assert len(files) >= 6
    done = _run("yamllint", "--strict", "-c", str(root / ".yamllint"), *map(str, files))
    assert done.returncode == 0, done.stdout


def _run(program: str, *words: str, text: str = TEXT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([Path(sys.executable).parent / program, *words], input=text, capture_output=True, text=True, timeout=120)


def test_images_are_pinned_and_ours_are_built_from_files_that_are_there(services) -> None:
    for name, service in services.items():
        assert re.search(r":[\w.]*\d[\w.-]*$", service["image"]) and "latest" not in service["image"], name
        assert service["image"].startswith("shelfcast/") == ("build" in service), name
        if "build" in service:
            docker = FOLDER.parents[1] / service["build"]["dockerfile"]
            copied = re.findall(r"^COPY (?!--from)(\S+)", docker.read_text(), re.M)
            assert docker.is_file() and all((FOLDER.parents[1] / path).exists() for path in copied), name
    assert MINIO.split("-")[1].startswith("2026") and "RELEASE.2025" in services["minio"]["image"]  # the last image before the archive


def ignored(path: str) -> bool:
    """Whether the builder leaves out a file or folder of the project, by the patterns of `.dockerignore` that we use."""
    lines = [line for line in (FOLDER.parents[1] / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    anywhere = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    at_the_root = [line for line in lines if not line.startswith("**/")]
    first, *_ = parts = path.split("/")
    return any(fnmatch(first, line) for line in at_the_root) or any(fnmatch(part, line) for part in parts for line in anywhere)


def test_no_secret_comes_into_an_image_and_all_that_is_copied_does(services) -> None:
    unwanted = (
        ".env",
        "infra/compose/.env",
        ".git",
        ".venv",
        ".venvs",
        "infra/__pycache__/cli.pyc",
        "mlruns",
        "training/mlruns",
        "mlflow.db",
    )
    assert [path for path in unwanted if not ignored(path)] == []
    files = {service["build"]["dockerfile"] for service in services.values() if "build" in service}
    copied = {path for file in files for path in re.findall(r"^COPY (?!--from)(\S+)", (FOLDER.parents[1] / file).read_text(), re.M)}
    kept = {str(file.relative_to(FOLDER.parents[1])) for path in copied for file in (FOLDER.parents[1] / path).rglob("*.py")} | copied
    assert {path for path in kept if ignored(path)} == set() and len(kept) > 100


def test_nothing_listens_beyond_the_loopback_interface(services) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) >= 7 and all(port.startswith("127.0.0.1:") for port in ports)


def test_servers_are_watched_restarted_and_keep_their_data(services) -> None:
    known = yaml.safe_load(TEXT)["volumes"]
    for name, service in services.items():
        if name not in ("jobs", "ingest"):
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL") and service["healthcheck"]["retries"], name
        assert name == "jobs" or service["restart"] == "unless-stopped", name
        assert all(volume.split(":")[0] in known for volume in service.get("volumes", [])), name
        assert all(needed in services for needed in service.get("depends_on", {})), name
    assert {volume for service in services.values() for volume in (v.split(":")[0] for v in service.get("volumes", []))} == set(known)


def test_every_secret_is_asked_for_and_none_is_written_down() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{?(\w+)", TEXT))
    example = dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / "env.example").read_text(), re.M))
    assert asked == set(example) and not any(example.values())
    assert re.findall(r"(?<!\$)\$\{\w+\}", TEXT) == []  # each with :? so that a forgotten one stops the start
    assert ".env" in (FOLDER.parents[1] / ".gitignore").read_text().split()


def test_settings_are_those_of_the_stack(services) -> None:
    kafka = services["kafka"]["environment"]
    told = {name: kafka[f"KAFKA_{name.upper().replace('.', '_')}"] for name in KAFKA_SETTINGS}
    assert told == KAFKA_SETTINGS
    assert "--appendonly yes" in words(services["redis"]) and "--no-serve-artifacts" in words(services["mlflow"])
    worker, taken = services["spark-worker"], int(services["jobs"]["environment"]["SHELFCAST_SPARK_CORES"])
    assert f"--cores {CORES} --memory {MEMORY}" in words(worker) and worker["deploy"]["replicas"] == WORKERS
    # `ingest --follow`, `watch --follow`, a DAG's task and a verb by hand; an executor of a core takes 1 GB
    assert 4 * taken <= CORES * WORKERS and f"{CORES}g" == MEMORY


def test_the_jobs_are_pointed_at_the_services_by_settings_that_exist(services) -> None:
    for name in ("jobs", "ingest", "serving", "airflow"):
        given = {
            key.removeprefix("SHELFCAST_").lower(): value
            for key, value in services[name]["environment"].items()
            if key.startswith("SHELFCAST_")
        }
        assert set(given) <= set(Settings.model_fields)
        Settings(**given)  # every URL has a scheme that is known
        hosts = {re.sub(r"^\w+://(?:[^@]*@)?([^:/]+).*", r"\1", url) for key, url in given.items() if key.endswith("_url")}
        assert hosts <= {*services, "shelfcast"}


def test_the_serving_image_has_no_jvm() -> None:
    docker = (FOLDER / "serving.Dockerfile").read_text()
    assert "requirements/serving.txt" in docker and not re.search(r"jdk|jre|COPY monitoring", docker)
    assert not re.search(r"^(pyspark|evidently|delta-spark)==", (FOLDER.parents[1] / "requirements" / "serving.txt").read_text(), re.M)


def test_what_is_watched_is_there_and_is_told_by_the_service(services) -> None:
    root = FOLDER.parent
    told = yaml.safe_load((root / "prometheus" / "prometheus.yml").read_text())
    targets = [target for job in told["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert {target.split(":")[0] for target in targets} - {"localhost"} <= set(services)
    secret = told["scrape_configs"][0]["authorization"]["credentials_file"].rsplit("/", 1)[1]
    assert services["prometheus"]["secrets"] == [secret] and secret in yaml.safe_load(TEXT)["secrets"]
    alerts, board = root / "prometheus" / "alerts.yml", root / "grafana" / "dashboards" / "service.json"
    rules = [rule for group in yaml.safe_load(alerts.read_text())["groups"] for rule in group["rules"]]
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket") for rule in rules)
    (old,) = [rule["expr"] for rule in rules if rule["alert"] == "FeaturesOld"]
    assert "increase(shelfcast_items_total" in old, "the features' gauge moves with an answer only"
    panels = json.loads(board.read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    registry = CollectorRegistry()
    Metrics(registry)
    known = {name for metric in registry.collect() for name in (metric.name, f"{metric.name}_total", f"{metric.name}_bucket")}
    names = {name for expr in asked for name in re.findall(r"shelfcast_\w+", expr)}
    assert names <= known and len(names) >= 6
    assert all(panel["datasource"]["uid"] == "prometheus" for panel in panels)


def test_every_config_is_a_file_and_is_used(services) -> None:
    configs = yaml.safe_load(TEXT)["configs"]
    assert all((FOLDER / config["file"]).is_file() for config in configs.values())
    assert {config["source"] for service in services.values() for config in service.get("configs", [])} == set(configs)


def test_airflow_has_the_dags_and_the_verbs() -> None:
    docker = (FOLDER / "airflow.Dockerfile").read_text()
    assert docker.count("FROM jobs") == 1 and "requirements/airflow.txt" in docker and "-m infra.cli" in docker
    assert "/opt/shelfcast/infra/airflow/dags" in docker and "COPY infra /opt/shelfcast/infra" in (FOLDER / "jobs.Dockerfile").read_text()
    # `airflow standalone` starts the scheduler and the others by their name; the verbs' `python` comes first
    assert "ENV PATH=$PATH:/opt/airflow/bin" in docker
