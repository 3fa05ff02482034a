"""Back from quarantine: what broke a rule is put to the event log again, once its cause is mended.

A return that arrives in an earlier batch than its purchase is quarantined, since nothing says that the purchase will ever
come; after it has come, replaying `return_without_purchase` brings the return in. The same serves events of a store or
product that was not known yet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_ingest.contracts import TOPICS
from data_ingest.landing import LANDING
from data_ingest.rules import log_rules_of, rules_of
from data_ingest.tables import QUARANTINE
from infra.alone import alone
from infra.errors import BadInput, NotReady
from infra.event_log import EventLog, event_log
from infra.lake import Lake
from infra.publish import publish
from infra.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def rule_names() -> list[str]:
    """The names of all rules, in the order in which they name a row."""
    every = [rule.name for topic in TOPICS.values() for rule in (*rules_of(topic), *log_rules_of(topic))]
    return list(dict.fromkeys(every))


def require_rule(rule: str) -> None:
    """Raise BadInput for a rule there is not."""
    if rule not in rule_names():
        raise BadInput(f"there is no rule {rule!r}: expected one of {', '.join(rule_names())}")


def replay_quarantine(spark: SparkSession, settings: Settings, rule: str) -> int:
    """Put the quarantined lines of a rule back to the event log and take them out of quarantine; returns how many.
    Raises BadInput for a rule there is not, and NotReady where the log takes none of them or not all: then they stay where
    they are.

    The lines are written first, under a name made of their content and origin, then taken out: a run that is killed in
    between writes the same name again, which adds nothing. The next ingest judges them anew. Collects the lines of one
    topic: what a rule has set aside should fit in memory."""
    require_rule(rule)
    lake, log = Lake(settings.lake_url), event_log(settings)
    with alone(settings, LANDING, wait=True):
        if not lake.exists(QUARANTINE):
            return 0
        count = 0
        for topic in TOPICS:
            rows = lake.read(spark, QUARANTINE).where(f"rule = '{rule}' AND topic = '{topic}'").orderBy("position", "raw")
            lines = [(row.position, bytes(row.raw)) for row in rows.select("position", "raw").collect()]
            if lines:
                digest = hashlib.blake2b(repr(lines).encode(), digest_size=12).hexdigest()
                count += _put_back(log, topic, [raw for _, raw in lines], f"replayed-{rule}-{digest}")
        spark.sql(f"DELETE FROM delta.`{lake.path(QUARANTINE)}` WHERE rule = '{rule}'")
        publish(settings, QUARANTINE)
    return count


def _put_back(log: EventLog, topic: str, lines: Sequence[bytes], name: str) -> int:
    if log.has(topic, name):
        return 0
    written = log.write(topic, lines, name)
    if written < len(lines):
        raise NotReady(
            f"the log took {written:,} of {len(lines):,} lines of {topic} and refused the others, which are dead letters: all are still "
            "in quarantine, and the same again takes them out."
        )
    return written
