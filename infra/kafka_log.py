"""The event log in Kafka: nothing counts as written before every replica has it, and what is written once stays once.

Written by librdkafka (idempotent, acks=all, compressed batches, a bounded queue that holds the caller back), read by
Spark's own connector. A record that a broker will never take goes to a landing folder of dead letters, the rest goes on; what
is wrong with the cluster, or with what this client may do there, is no record's fault and stops the write."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from infra.errors import BadInput, NotReady, Unanswered, without_credentials
from infra.kafka_topics import UNREACHED, WRITES, Topics

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer
    from pyspark.sql import DataFrame, SparkSession

    from infra.event_log import LandingFolder

#: seconds that a record waits for a broker before the write is given up
PATIENCE_SECONDS = 300
#: records a micro-batch takes at most; bounds memory and makes progress visible
RECORDS_PER_BATCH = 500_000
#: records between two looks at what the brokers have answered
_POLL_EVERY = 5_000

_log = logging.getLogger("shelfcast.kafka")


@dataclass(frozen=True)
class _Refusal:
    """A record that no broker will ever take, and why in words."""

    value: bytes
    reason: str


@dataclass(frozen=True)
class KafkaLog:
    """Topics `<prefix>.<topic>` of a cluster; `dead_letters` takes the records that the brokers never will."""

    topics: Topics
    dead_letters: LandingFolder
    records_per_batch: int = RECORDS_PER_BATCH
    patience_seconds: float = PATIENCE_SECONDS
    #: records that no broker will ever take; and errors that stop the write, without their records: those may be very many
    _refused: list[_Refusal] = field(default_factory=list, repr=False, compare=False)
    _unsent: list[KafkaError] = field(default_factory=list, repr=False, compare=False)

    def write(self, topic: str, lines: Iterable[bytes], name: str = "", keys: Iterable[bytes] | None = None) -> int:
        """Append the records, unless a write of that name is complete, and return how many every replica has. A write
        that was killed half way is repeated whole: the ingest drops the copies by their event_id. Raises NotReady when
        the brokers do not answer for `patience_seconds`, or refuse what no record is to blame for, such as the right to write;
        then nothing is known of the records that are not counted."""
        if name and self.has(topic, name):
            return 0
        self.topics.declare([topic])
        full, sent = self.topics.name(topic), 0
        for line, key in zip(lines, keys if keys is not None else _no_keys(), strict=keys is not None):
            self._send(full, line.rstrip(b"\n"), key)
            sent += 1
            if sent % _POLL_EVERY == 0:
                self._producer.poll(0)
            if self._unsent:  # whatever comes next would have the same answer
                break
        refused = self._settle(topic, name)
        if name:
            self._send(self.topics.name(WRITES), b"", f"{topic}/{name}".encode())
            self._settle(WRITES, name)
            self.topics.notes.add(f"{topic}/{name}")
        return sent - refused

    def has(self, topic: str, name: str) -> bool:
        """Whether a write of that name is complete: its note in the compacted topic of writes came after its records."""
        return f"{topic}/{name}" in self.topics.notes

    def stream(self, spark: SparkSession, topics: Iterable[str]) -> DataFrame:
        """The records of all `topics`, the oldest first; a position is `topic/partition@offset`. Records that Kafka has
        dropped before they were read stop the query: they are never passed over in silence."""
        from pyspark.sql import functions as F

        wanted = list(topics)
        self.topics.declare(wanted)
        reader = spark.readStream.format("kafka").option("subscribe", ",".join(self.topics.name(topic) for topic in wanted))
        reader = reader.option("kafka.bootstrap.servers", self.topics.servers).option("startingOffsets", "earliest")
        reader = reader.option("maxOffsetsPerTrigger", str(self.records_per_batch)).option("failOnDataLoss", "true")
        raw = reader.load()
        return raw.select(
            F.element_at(F.split("topic", r"\."), -1).alias("topic"),
            F.coalesce("value", F.lit(b"")).alias("value"),
            F.format_string("%s/%d@%d", "topic", "partition", "offset").alias("position"),
        )

    @cached_property
    def _producer(self) -> Producer:
        from confluent_kafka import Producer

        return Producer({
            "bootstrap.servers": self.topics.servers, "acks": "all", "enable.idempotence": True, "compression.type": "lz4",
            "linger.ms": 20, "batch.size": 2**20, "message.max.bytes": 16 * 2**20,
            # the queue is what bounds memory: a full one holds the caller back
            "queue.buffering.max.kbytes": 64 * 2**10, "queue.buffering.max.messages": 200_000,
            "delivery.timeout.ms": int(self.patience_seconds * 1000), "delivery.report.only.error": True,
            "on_delivery": self._told, "error_cb": self._warned, "logger": _quiet,
        })  # fmt: skip

    def _send(self, topic: str, value: bytes, key: bytes | None) -> None:
        from confluent_kafka import KafkaException

        while not self._unsent:
            try:
                self._producer.produce(topic, value, key)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:  # what the client itself refuses, such as a record over message.max.bytes
                self._note(error.args[0], value)
                return

    def _settle(self, topic: str, name: str) -> int:
        """Wait for every answer; returns the records refused, which are dead letters now."""
        if self._unsent:
            self._producer.purge()
        self._producer.flush()
        refused, self._refused[:] = list(self._refused), []
        unsent, self._unsent[:] = list(self._unsent), []
        if unsent:
            raise self._stopped(topic, unsent)
        if refused:
            self.dead_letters.write(topic, (each.value for each in refused), name)
            _log.warning(
                f"Kafka refused {len(refused):,} records of {topic} ({without_credentials(refused[0].reason)}): they are in "
                f"{self.dead_letters.root}/{topic}"
            )
        return len(refused)

    def _stopped(self, topic: str, unsent: list[KafkaError]) -> NotReady:
        """What to say of records of a topic that were not written through no fault of theirs."""
        said = f"Kafka at {self.topics.servers} did not take the records of {topic}"
        told = [error.str() for error in unsent if error.name() not in UNREACHED]
        if told:
            return NotReady(f"{said} ({without_credentials(told[0])}): mend that, then repeat.")
        return Unanswered(f"{said} within {self.patience_seconds:.0f} s: see that it runs, then repeat.")

    def _told(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._note(error, message.value() or b"")

    def _note(self, error: KafkaError, value: bytes) -> None:
        if error.name() in _OF_THE_RECORD:
            self._refused.append(_Refusal(value, error.str()))
        else:
            self._unsent.append(error)

    def _warned(self, error: KafkaError) -> None:
        if error.name() in ("_ALL_BROKERS_DOWN", "_TRANSPORT", "_RESOLVE"):
            _log.warning(f"waiting for Kafka at {self.topics.servers}: {without_credentials(error.str())}")


#: librdkafka's names for what is wrong with a record itself: it would be refused again, whoever sends it
_OF_THE_RECORD = {"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_RECORD", "INVALID_TIMESTAMP"}
_quiet = logging.getLogger("shelfcast.librdkafka")
_quiet.setLevel(logging.CRITICAL)


def _no_keys() -> Iterator[bytes | None]:
    return itertools.repeat(None)


def kafka_log(url: str, dead_letters: LandingFolder) -> KafkaLog:
    """The log at `kafka://host:port[,host:port][/prefix][?partitions=4&replication=1&retention_days=30&batch=200000]`, `batch`
    being the records of a micro-batch at most; raises BadInput where the URL cannot be read so."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise BadInput(
            f"SHELFCAST_EVENTS_URL is {without_credentials(url)!r} with a user: expected servers alone, Kafka is not asked by SASL"
        )
    try:
        options = {name: int(values[-1]) for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        if min(options.values(), default=1) < 1:
            raise ValueError(parts.query)
        batch = options.pop("batch", RECORDS_PER_BATCH)
        return KafkaLog(_topics(parts.netloc, parts.path.strip("/"), options), dead_letters, batch)
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"SHELFCAST_EVENTS_URL is {without_credentials(url)!r}: expected kafka://host:port/prefix, and after a question mark "
            "partitions, replication, retention_days and batch as numbers of at least 1"
        ) from error


def _topics(servers: str, prefix: str, options: Mapping[str, Any]) -> Topics:
    if not all(server.rpartition(":")[2].isdigit() for server in servers.split(",")):
        raise ValueError(servers)
    return Topics(servers, prefix, **options)
