"""Events a second into Kafka with acks=all: Shelfcast's producer against kafka-python's, in one run, on the log that the
settings name. Alternating rounds, the median told.

    eval "$(shelfcast stack env)" && python -m benchmarks.producers --events 200000
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from infra.event_log import event_log
from infra.kafka_log import KafkaLog
from infra.settings import load_settings


def lines_of(count: int) -> tuple[list[bytes], list[bytes]]:
    """Sale events as JSON lines of about 230 bytes, and their keys."""
    body = {"event_type": "purchase", "occurred_at": "2024-05-01T10:00:00Z", "source": "benchmark", "schema_version": 1, "units": 2.0,
            "unit_price": 3.49, "discount": 0.0}  # fmt: skip
    lines = [
        json.dumps(
            {"event_id": f"bench-{i}", "store_id": f"s{i % 50}", "product_id": f"p{i % 997}", "basket_id": f"b{i // 6}", **body}
        ).encode()
        for i in range(count)
    ]
    return lines, [f"s{i % 50}|p{i % 997}".encode() for i in range(count)]


def by_kafka_python(log: KafkaLog, lines: list[bytes], keys: list[bytes]) -> None:
    """kafka-python with acks=all and its other settings as they are."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=log.topics.servers.split(","), acks="all")
    for line, key in zip(lines, keys, strict=True):
        producer.send(log.topics.name("bench"), line, key=key)
    producer.flush()
    producer.close()


def main() -> None:
    """Print one line a producer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    log = event_log(load_settings())
    if not isinstance(log, KafkaLog):
        parser.error("SHELFCAST_EVENTS_URL is no kafka:// URL")
    lines, keys = lines_of(asked.events)
    log.topics.declare(["bench"])
    rivals: dict[str, Callable[[], object]] = {
        "shelfcast (librdkafka, idempotent, acks=all)": lambda: log.write("bench", lines, keys=keys),
        "kafka-python (acks=all)": lambda: by_kafka_python(log, lines, keys),
    }
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(asked.rounds):
        for name, write in rivals.items():
            started = time.perf_counter()
            write()
            rates[name].append(asked.events / (time.perf_counter() - started))
    for name, found in rates.items():
        print(f"{name:46} {statistics.median(found):>10,.0f} events/s (from {min(found):,.0f} to {max(found):,.0f})")


if __name__ == "__main__":
    main()
