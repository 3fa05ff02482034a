"""A server is killed and comes back in the middle of the work: the work waits, says for what, and ends right."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from data_ingest.ingest import ingest
from feature_repo.definitions import VIEWS
from feature_repo.materialize import materialize
from feature_repo.online import online
from feature_repo.store import apply
from infra.event_log import event_log
from infra.lake import Lake
from infra.patience import persevere, services, watched
from infra.stack.stack import Stack
from infra.tracking import connect, tracked_run
from tests.data_ingest import events
from tests.stack.test_ingest_on_services import DAY, NOW, accepted, sold

AWAY_SECONDS = 4.0


@contextmanager
def outage(stack: Stack, name: str, after: float) -> Iterator[None]:
    """Kill a service `after` seconds, start it again AWAY_SECONDS later; at the end it is healthy."""
    process = stack.process(name)

    def strike() -> None:
        time.sleep(after)
        assert process.stop(signal.SIGKILL)
        time.sleep(AWAY_SECONDS)
        process.start()

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        yield
    finally:
        striker.join()
        process.wait(120)


def test_kafka_goes_away_while_a_producer_writes(spark, stack, settings) -> None:
    told: list[str] = []

    def slowly():
        for number in range(3_000):
            if number % 100 == 0:
                time.sleep(0.2)
            yield events.line(events.purchase(DAY, event_id=f"e{number}"))

    with watched(services(settings), told.append), outage(stack, "kafka", after=2):
        assert event_log(settings).write("sales", slowly()) == 3_000
    assert ingest(spark, settings, now=NOW).accepted == {"sales": 3_000}  # idempotent: not one of them twice
    assert any(said.startswith("waiting for Kafka at 127.0.0.1:") for said in told)


def test_kafka_and_s3_go_away_while_the_ingest_reads(spark, stack, on_stack) -> None:
    for name, spoken in (("minio", "S3"), ("kafka", "Kafka")):
        settings, told = on_stack(), list[str]()
        # batches of 150 records, so that the outage comes between the first and the last
        settings = settings.model_copy(update={"events_url": f"{settings.events_url}&batch=150"})
        events.send(settings, [events.purchase(DAY, event_id=f"e{number}", units=2) for number in range(300)])
        with outage(stack, name, after=2):
            ingest(spark, settings, now=NOW, tell=told.append)
        assert sold(spark, settings) == (300, 300, 600.0) and accepted(settings) == 300
        assert any(said.startswith(f"waiting for {spoken} at 127.0.0.1:") for said in told)


def test_redis_goes_away_while_features_are_stored(spark, stack, settings) -> None:
    known_at, told = datetime(2024, 5, 2), list[str]()
    for view in VIEWS:
        row = {name: 1.0 if kind == "double" else "x" for name, kind in view.types.items()} | {"ds": date(2024, 5, 1), "known_at": known_at}
        row |= {"store_id": "s1", "product_id": "p1", "customer_id": "c1"}
        row |= {view.key.join_key: "s1|p1"} if view.key.join_key not in view.key.columns else {}
        frame = spark.createDataFrame([tuple(row[name] for name in view.table.names)], view.table.spark_schema())
        Lake(settings.lake_url).overwrite(frame, view.table)
    apply(settings)
    stack.process("redis").stop(signal.SIGKILL)
    back = threading.Timer(AWAY_SECONDS, stack.process("redis").start)
    back.start()
    stored = persevere(settings, lambda: materialize(spark, settings, date(2024, 5, 1)), told.append)
    back.join()
    assert set(stored.values()) == {1} and any(said.startswith("waiting for Redis at") for said in told)
    stack.process("redis").stop(signal.SIGKILL)
    stack.process("redis").start()
    stack.process("redis").wait(60)
    import pandas as pd

    keys = pd.DataFrame({"store_id": ["s1", "s1"], "product_id": ["p1", "p2"]})
    assert online(settings, keys, "stock_v1")["found"].tolist() == [True, False]


def test_mlflow_goes_away_while_a_run_is_tracked(stack, settings, tmp_path, monkeypatch) -> None:
    import mlflow

    # MLflow doubles its pauses until they last a minute
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")

    told: list[str] = []
    (tmp_path / "card.txt").write_text("an artifact on S3")
    with (
        watched(services(settings), told.append),
        outage(stack, "mlflow", after=1),
        tracked_run(settings, f"outage-{settings.home.name}", "run") as run_id,
    ):
        for step in range(20):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
            time.sleep(0.15)
        mlflow.log_artifact(str(tmp_path / "card.txt"))
    client = connect(settings)
    assert sorted(metric.step for metric in client.get_metric_history(run_id, "loss")) == list(range(20))
    assert client.list_artifacts(run_id)[0].path == "card.txt"
    assert any(said.startswith("waiting for MLflow at") for said in told)
