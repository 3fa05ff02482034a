"""The topics of the event log in Kafka: declared with partitions and retention, and the notes of complete writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from infra.errors import NotReady, Unanswered, without_credentials

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource

#: the topic that notes the name of each complete write, for as long as the records are kept
WRITES = "writes"
#: seconds that a question to the cluster may take
_ANSWER_SECONDS = 30
_DAY_MS = 86_400_000
#: librdkafka's names for what no broker has answered in time
UNREACHED = {"_MSG_TIMED_OUT", "_TRANSPORT", "_PURGE_QUEUE", "_PURGE_INFLIGHT", "REQUEST_TIMED_OUT", "_TIMED_OUT", "_ALL_BROKERS_DOWN",
             "_RESOLVE"}  # fmt: skip

_log = logging.getLogger("shelfcast.kafka")


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
        """Create what is missing of `topics` and of the notes, and keep in step what is there; returns the names created.
        Raises Unanswered when the cluster does not answer, NotReady when it refuses."""
        wanted = [topic for topic in (*topics, WRITES) if topic not in self._declared]
        if not wanted:
            return []
        made = self._create(wanted)
        self._declared.update(wanted)
        return made

    @cached_property
    def notes(self) -> set[str]:
        """The notes of the cluster as they were at the first look; who writes one adds it. One that is older than the records
        are kept does not count: what it speaks of is gone, and the same content may be written again."""
        self.declare([])
        return set(self._read_notes())

    def _create(self, topics: list[str]) -> list[str]:
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError, RetriableError

        try:
            admin = KafkaAdminClient(bootstrap_servers=self.servers.split(","), request_timeout_ms=_ANSWER_SECONDS * 1000)
            try:
                there = set(admin.list_topics())
                missing = [topic for topic in topics if self.name(topic) not in there]
                self._make(admin, missing)
                self._keep_in_step(admin, [topic for topic in topics if self.name(topic) in there])
                return [self.name(topic) for topic in missing]
            finally:
                admin.close()
        except (RetriableError, OSError) as error:
            raise Unanswered(f"Kafka at {self.servers} does not answer ({type(error).__name__}): see that it runs, then repeat.") from error
        except KafkaError as error:
            why = getattr(error, "description", None) or without_credentials(str(error))
            raise NotReady(f"Kafka at {self.servers} does not declare {', '.join(topics)}: {why} Mend that, then repeat.") from error

    def _make(self, admin: KafkaAdminClient, topics: list[str]) -> None:
        from kafka.admin import NewTopic
        from kafka.errors import TopicAlreadyExistsError

        for topic in topics:
            wanted = NewTopic(self.name(topic), self._partitions(topic), self.replication, topic_configs=self._configuration(topic))
            with suppress(TopicAlreadyExistsError):  # another process was first
                admin.create_topics([wanted])

    def _keep_in_step(self, admin: KafkaAdminClient, topics: list[str]) -> None:
        """Let topics that exist keep their records for as long as the URL says. What would drop records (a shorter time) or
        their order (other partitions) is told and left to who looks after the cluster."""
        if not topics:
            return
        asked = [_resource(self.name(topic), ["retention.ms", "cleanup.policy"]) for topic in topics]
        known = admin.describe_configs(asked, config_filter="all").get("topic", {})
        parts = {told["name"]: len(told["partitions"]) for told in admin.describe_topics([self.name(topic) for topic in topics])}
        for topic in topics:
            name, wanted = self.name(topic), self._partitions(topic)
            if parts[name] != wanted:
                _log.warning(f"{name} has {parts[name]} partitions and keeps them: SHELFCAST_EVENTS_URL says {wanted}")
            # none for who may not look
            if there := {key: str(entry["value"]) for key, entry in known.get(name, {}).items()}:
                self._keep(admin, topic, there)

    def _keep(self, admin: KafkaAdminClient, topic: str, there: Mapping[str, str]) -> None:
        name, wanted = self.name(topic), self._configuration(topic)
        changed = {key: wanted[key] for key in there if key in wanted and there[key] != wanted[key]}
        held = int(there["retention.ms"])
        if changed.keys() == {"retention.ms"} and (held < 0 or held > int(wanted["retention.ms"])):
            days = "for ever" if held < 0 else f"for {held / _DAY_MS:g} days"
            _log.warning(f"{name} keeps its records {days}, and goes on so: SHELFCAST_EVENTS_URL says {self.retention_days} days")
        elif changed:
            answer = admin.alter_configs([_resource(name, changed)], raise_on_unknown=False)["topic"][name]
            said = "now has" if answer == "OK" else f"could not be given ({without_credentials(answer)})"
            _log.warning(f"{name} {said} {', '.join(f'{key}={value}' for key, value in changed.items())}")

    def _partitions(self, topic: str) -> int:
        return 1 if topic == WRITES else self.partitions

    def _configuration(self, topic: str) -> dict[str, str]:
        retention = {"retention.ms": str(self.retention_days * _DAY_MS)}
        if topic == WRITES:
            return {"cleanup.policy": "compact,delete", **retention}
        # a line of a megabyte is still an event; longer ones reach quarantine whole
        return {**retention, "max.message.bytes": str(16 * 2**20)}

    def _read_notes(self) -> Iterator[str]:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

        said = f"Kafka at {self.servers} does not hand out the notes of complete writes"
        oldest = time.time() * 1000 - self.retention_days * _DAY_MS
        place = TopicPartition(self.name(WRITES), 0, OFFSET_BEGINNING)
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": "shelfcast-notes", "enable.auto.commit": False})
        try:
            _, end = reader.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
            reader.assign([place])
            while end > 0 and reader.position([place])[0].offset < end:
                message = reader.poll(_ANSWER_SECONDS)
                if message is None:
                    raise Unanswered(f"{said}: see that it runs, then repeat.")
                if error := message.error():
                    raise KafkaException(error)
                if message.timestamp()[1] >= oldest:  # Kafka drops them by whole files, at any time after that
                    yield (message.key() or b"").decode()
        except KafkaException as error:
            why = error.args[0]
            if why.name() in UNREACHED:
                raise Unanswered(f"{said} ({without_credentials(why.str())}): see that it runs, then repeat.") from error
            raise NotReady(f"{said} ({without_credentials(why.str())}): mend that, then repeat.") from error
        finally:
            reader.close()


def _resource(topic: str, configuration: Any) -> ConfigResource:
    from kafka.admin import ConfigResource, ConfigResourceType

    return ConfigResource(ConfigResourceType.TOPIC, topic, configuration)
