"""The topics of the event log in Kafka: declared with partitions and retention, and the notes of complete writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from infra.errors import Unanswered, without_credentials

#: the compacted topic that notes the name of each complete write
WRITES = "writes"
#: seconds that a question to the cluster may take
_ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Topics:
    """Topics of one cluster under one prefix."""

    servers: str
    prefix: str = ""
    partitions: int = 4
    replication: int = 1
    retention_days: int = 30
    _declared: set[str] = field(default_factory=set, repr=False, compare=False)

    def name(self, topic: str) -> str:
        """The topic's name in the cluster."""
        return f"{self.prefix}.{topic}" if self.prefix else topic

    def declare(self, topics: Iterable[str]) -> list[str]:
        """Create what is missing of `topics` and of the notes; returns the names created. Raises NotReady when the
        cluster does not answer."""
        wanted = [topic for topic in (*topics, WRITES) if topic not in self._declared]
        if not wanted:
            return []
        made = self._create(wanted)
        self._declared.update(wanted)
        return made

    @cached_property
    def notes(self) -> set[str]:
        """The notes of the cluster as they were at the first look; who writes one adds it."""
        self.declare([])
        return set(self._read_notes())

    def _create(self, topics: list[str]) -> list[str]:
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic
        from kafka.errors import KafkaError, TopicAlreadyExistsError

        try:
            admin = KafkaAdminClient(bootstrap_servers=self.servers.split(","), request_timeout_ms=_ANSWER_SECONDS * 1000)
            try:
                there = set(admin.list_topics())
                missing = [topic for topic in topics if self.name(topic) not in there]
                for topic in missing:
                    wanted = NewTopic(self.name(topic), self._partitions(topic), self.replication, topic_configs=self._configuration(topic))
                    try:
                        admin.create_topics([wanted])
                    except TopicAlreadyExistsError:
                        continue  # another process was first
                return [self.name(topic) for topic in missing]
            finally:
                admin.close()
        except (KafkaError, OSError) as error:
            raise Unanswered(f"Kafka at {self.servers} does not answer ({type(error).__name__}): see that it runs, then repeat.") from error

    def _partitions(self, topic: str) -> int:
        return 1 if topic == WRITES else self.partitions

    def _configuration(self, topic: str) -> dict[str, str]:
        if topic == WRITES:
            return {"cleanup.policy": "compact"}
        # a line of a megabyte is still an event; longer ones reach quarantine whole
        return {"retention.ms": str(self.retention_days * 86_400_000), "max.message.bytes": str(16 * 2**20)}

    def _read_notes(self) -> Iterator[str]:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

        place = TopicPartition(self.name(WRITES), 0, OFFSET_BEGINNING)
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": "shelfcast-notes", "enable.auto.commit": False})
        try:
            _, end = reader.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
            reader.assign([place])
            while end > 0 and reader.position([place])[0].offset < end:
                message = reader.poll(_ANSWER_SECONDS)
                if message is None or message.error():
                    raise Unanswered(
                        f"Kafka at {self.servers} does not hand out the notes of complete writes: see that it runs, then repeat."
                    )
                yield (message.key() or b"").decode()
        except KafkaException as error:
            raise Unanswered(
                f"Kafka at {self.servers} does not answer ({without_credentials(str(error))}): see that it runs, then repeat."
            ) from error
        finally:
            reader.close()
