"""What the client says of records that were not written: the fault of the record, of the cluster, or of nobody yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message

from infra.errors import NotReady, Unanswered
from infra.event_log import LandingFolder
from infra.kafka_log import KafkaLog
from infra.kafka_topics import WRITES, Topics


def answered(folder: Path, *codes: int) -> KafkaLog:
    """A log whose client has been told, of a record for each code, that it was not written."""
    log = KafkaLog(Topics("127.0.0.1:1"), LandingFolder(folder), patience_seconds=1)
    for number, code in enumerate(codes):
        log._told(KafkaError(code), Message(topic="a", value=b"%d" % number))
    return log


def test_only_what_is_wrong_with_a_record_makes_it_a_dead_letter(tmp_path: Path) -> None:
    log = answered(tmp_path, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)
    assert log._settle("a", "x") == 2
    assert (tmp_path / "a" / "x.jsonl").read_bytes() == b"0\n1\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "did not take the records of a .*uthoriz.*: mend that, then repeat"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "mend that, then repeat"),
        (KafkaError._FATAL, "mend that, then repeat"),
        (KafkaError._MSG_TIMED_OUT, "did not take the records of a within 1 s: see that it runs, then repeat"),
    ],
)
def test_what_no_record_is_to_blame_for_stops_the_write_and_makes_no_dead_letter(tmp_path: Path, code: int, said: str) -> None:
    log = answered(tmp_path, KafkaError.MSG_SIZE_TOO_LARGE, code)
    with pytest.raises(NotReady, match=said):
        log._settle("a", "x")
    assert not list(tmp_path.iterdir())


def test_a_write_leaves_off_when_nobody_answers_and_keeps_no_records(tmp_path: Path) -> None:
    log = KafkaLog(Topics("127.0.0.1:1", _declared={"a", WRITES}), LandingFolder(tmp_path), patience_seconds=1)
    taken = 0

    def lines():
        nonlocal taken
        for number in range(1_000_000):
            taken = number
            yield b"x"

    with pytest.raises(Unanswered, match="did not take the records of a within 1 s"):
        log.write("a", lines())
    assert taken < 500_000  # a little more than the client's queue holds
    assert not log._refused and not log._unsent and len(log._producer) == 0 and not list(tmp_path.iterdir())
