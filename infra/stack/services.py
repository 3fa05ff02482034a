"""The services of the stack: each one's command and settings. `infra/compose/compose.yaml` runs the same in containers."""

from __future__ import annotations

import base64
import json
import shlex
import socket
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from infra.errors import BadInput
from infra.jars import jar_paths
from infra.stack.process import Process
from infra.stack.programs import minio, redis_server, spark_class

HOST = "127.0.0.1"
BUCKET = "shelfcast"
WORKERS = 2
#: what each worker offers: slots for verbs that run together, as a worker hands out its cores and memory without owning them
CORES, MEMORY = 4, "4g"

#: Kafka's settings that matter to nothing lost: acknowledged means kept, a topic exists because it was declared
KAFKA_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(16 * 2**20),
    "replica.fetch.max.bytes": str(16 * 2**20),
    "group.initial.rebalance.delay.ms": "0",
}


@dataclass(frozen=True)
class Ports:
    """The port of each service on the loopback interface."""

    kafka: int = 9092
    kafka_controller: int = 9093
    minio: int = 9000
    redis: int = 6379
    mlflow: int = 5000
    spark: int = 7077
    spark_ui: int = 8080

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on at this moment."""
        probes = [socket.socket() for _ in fields(cls)]
        for probe in probes:
            probe.bind((HOST, 0))
        ports = cls(*(probe.getsockname()[1] for probe in probes))
        for probe in probes:
            probe.close()
        return ports

    def but(self, chosen: Mapping[str, int]) -> Ports:
        """These ports with some of them chosen; raises BadInput for a service that there is not."""
        known = asdict(self)
        for name, port in chosen.items():
            if name not in known or not 1 <= port <= 65535:
                raise BadInput(f"--port is {name}={port}: expected one of {', '.join(known)} and a number from 1 to 65535")
        return Ports(**{**known, **chosen})


@dataclass(frozen=True)
class Place:
    """Where the stack lives: its folder, its ports, its S3 keys, the jars and Java that it is run with, the cache of programs."""

    folder: Path
    ports: Ports
    s3_key: str
    s3_secret: str
    jars: Path
    java_home: Path
    cache: Path


def kafka(place: Place) -> Process:
    """One Kafka broker in KRaft mode."""
    port = place.ports.kafka
    return Process("kafka", port, place.folder / "kafka", lambda: _kafka_command(place), lambda: _kafka_answers(port))


def _kafka_command(place: Place) -> list[str]:
    """Format the log folder the first time, then run the broker."""
    folder, ports = place.folder / "kafka", place.ports
    lines = {
        **KAFKA_SETTINGS,
        "controller.quorum.voters": f"1@{HOST}:{ports.kafka_controller}",
        "listeners": f"PLAINTEXT://{HOST}:{ports.kafka},CONTROLLER://{HOST}:{ports.kafka_controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.kafka}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / "data"),
    }
    config = folder / "kraft.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    java = [str(place.java_home / "bin" / "java"), "-Xms256m", "-Xmx512m", "-cp", ":".join(jar_paths(place.jars, ["broker"]))]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # with "=": an id may begin with a dash, and would be read as an option
    made = shlex.join([*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", f"--cluster-id={cluster}", "-c", str(config)])
    run = shlex.join([*java, "kafka.Kafka", str(config)])
    return ["sh", "-c", f"[ -f data/meta.properties ] || {made} && exec {run}"]


def s3(place: Place) -> Process:
    """MinIO, one drive."""
    folder, port = place.folder / "minio", place.ports.minio
    options = ["--address", f"{HOST}:{port}", "--console-address", f"{HOST}:0"]
    env = {"MINIO_ROOT_USER": place.s3_key, "MINIO_ROOT_PASSWORD": place.s3_secret, "MINIO_BROWSER": "off"}
    healthy = _answers(f"http://{HOST}:{port}/minio/health/ready")
    return Process("minio", port, folder, lambda: [str(minio(place.cache)), "server", "data", *options], healthy, env)


def redis(place: Place) -> Process:
    """A Redis-protocol server that appends each write to a file."""
    folder, port = place.folder / "redis", place.ports.redis
    options = ["--bind", HOST, "--port", str(port), "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    return Process("redis", port, folder, lambda: [str(redis_server()), *options], lambda: _redis_answers(port))


def mlflow(place: Place) -> Process:
    """An MLflow server; clients put artifacts to S3 themselves."""
    folder, port = place.folder / "mlflow", place.ports.mlflow
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--default-artifact-root", f"s3://{BUCKET}/artifacts",
               "--no-serve-artifacts"]  # fmt: skip
    # its queue of server-side jobs would start four more processes
    env = {**s3_variables(place), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Process("mlflow", port, folder, lambda: command, _answers(f"http://{HOST}:{port}/health"), env)


def spark_master(place: Place) -> Process:
    """The master of a standalone Spark cluster."""
    ports = place.ports
    options = ["--host", HOST, "--port", str(ports.spark), "--webui-port", str(ports.spark_ui)]
    return Process(
        "spark", ports.spark, place.folder / "spark", lambda: [str(spark_class()), "org.apache.spark.deploy.master.Master", *options],
        lambda: _workers(ports.spark_ui) >= 0, _spark_env(place),
    )  # fmt: skip


def spark_worker(place: Place, number: int) -> Process:
    """A worker with CORES slots; it is ready when so many have registered."""
    name, master = f"spark-worker-{number}", f"spark://{HOST}:{place.ports.spark}"
    options = ["--host", HOST, "--webui-port", "0", "--cores", str(CORES), "--memory", MEMORY, "--work-dir", "work", master]
    return Process(
        name, 0, place.folder / name, lambda: [str(spark_class()), "org.apache.spark.deploy.worker.Worker", *options],
        lambda: _workers(place.ports.spark_ui) >= number, _spark_env(place),
    )  # fmt: skip


def processes(place: Place) -> list[Process]:
    """Every process of the stack, in the order of their start."""
    workers = [spark_worker(place, number) for number in range(1, WORKERS + 1)]
    return [kafka(place), s3(place), redis(place), mlflow(place), spark_master(place), *workers]


def s3_variables(place: Place) -> dict[str, str]:
    """The variables by which S3 clients find keys and endpoint."""
    endpoint = f"http://{HOST}:{place.ports.minio}"
    return {"AWS_ACCESS_KEY_ID": place.s3_key, "AWS_SECRET_ACCESS_KEY": place.s3_secret, "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint, "MLFLOW_S3_ENDPOINT_URL": endpoint}  # fmt: skip


def variables(place: Place) -> dict[str, str]:
    """The variables that point Shelfcast at the stack; the warehouse stays the embedded one."""
    ports = place.ports
    keys = {name: value for name, value in s3_variables(place).items() if "ENDPOINT" not in name}
    return {
        "SHELFCAST_EVENTS_URL": f"kafka://{HOST}:{ports.kafka}/shelfcast",
        "SHELFCAST_LAKE_URL": f"s3a://{BUCKET}/lake",
        "SHELFCAST_ONLINE_URL": f"redis://{HOST}:{ports.redis}",
        "SHELFCAST_TRACKING_URL": f"http://{HOST}:{ports.mlflow}",
        "SHELFCAST_ARTIFACTS_URL": f"s3://{BUCKET}/artifacts",
        "SHELFCAST_SPARK_URL": f"spark://{HOST}:{ports.spark}",
        # one of each worker's
        "SHELFCAST_SPARK_CORES": str(WORKERS),
        "SHELFCAST_S3_ENDPOINT_URL": f"http://{HOST}:{ports.minio}",
        **keys,
    }


def _spark_env(place: Place) -> dict[str, str]:
    return {"JAVA_HOME": str(place.java_home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1", **s3_variables(place)}


def _answers(url: str) -> Callable[[], bool]:
    def healthy() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    return healthy


def _kafka_answers(port: int) -> bool:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    if not _listens(port):
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=4000)
        admin.list_topics()
        admin.close()
    except (KafkaError, OSError):
        return False
    return True


def _redis_answers(port: int) -> bool:
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        with Redis(HOST, port, socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _workers(ui_port: int) -> int:
    """Workers that have registered with the Spark master; -1 when the master does not answer."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{ui_port}/json/", timeout=2) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (urllib.error.URLError, OSError, ValueError):
        return -1


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
