"""The quality rules, as data: what each looks for, in Spark SQL, and the words it says. The rules of fields are derived from
the contracts; a row is named by the first rule it breaks, in the order of `rules_of`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from data_ingest.contracts import EARLIEST, ENVELOPE, FIELD_TYPES, SCHEMA_VERSION, TOPICS, Event, Field, Topic

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: bytes above which a line is not parsed; its bytes are kept whole in quarantine
LONGEST_LINE = 1_000_000
#: characters of an offending value that a reason shows
_SHOWN = 80

_NUMBER = "({kind} IN ('BIGINT', 'DOUBLE', 'FLOAT') OR {kind} LIKE 'DECIMAL%')"
#: what the JSON value of a field type must be, given its `kind` (the name Spark gives a variant's type), and how to say so
_KINDS = {
    "string": ("{kind} = 'STRING'", "text"),
    "double": (_NUMBER, "a number"),
    "bigint": ("{kind} = 'BIGINT'", "an integer"),
    "timestamp": (r"{kind} = 'STRING' AND {name} IS NOT NULL AND {text} RLIKE '^\\d{{4}}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d'",
                  "an ISO 8601 timestamp"),
    "date": (r"{kind} = 'STRING' AND {name} IS NOT NULL AND {text} RLIKE '^\\d{{4}}-\\d\\d-\\d\\d$'", "an ISO 8601 date"),
    "array<int>": ("{kind} = 'ARRAY<BIGINT>' AND {name} IS NOT NULL AND NOT exists({name}, x -> x IS NULL)", "a list of integers"),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """What is known besides the events: `latest`, the last moment (UTC, naive) an event may have happened at; each known
    store's hours from UTC to its local time; the known products. What is None is not checked."""

    latest: datetime
    utc_offset_hours: Mapping[str, float] | None = None
    products: frozenset[str] | None = None


@dataclass(frozen=True)
class Rule:
    """A rule of some topics. `broken` is a Spark SQL condition and `reason` a Spark SQL text over a line's `value`, its `event`
    as variants, its fields, their `kind_<field>`, `latest`, `known_store` and `known_product`; for rules that look at other
    events, over its fields, `copy`, `seen` and `purchased`."""

    name: str
    topics: tuple[str, ...]
    broken: str
    reason: str


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _shown(field: str) -> str:
    return f"left(coalesce(to_json(event.`{field}`), 'null'), {_SHOWN})"


def _told(field: str) -> str:
    """A text field as the line tells it; for rules that only sound lines meet."""
    return f"""concat('"', left(get_json_object(CAST(value AS STRING), '$.{field}'), {_SHOWN}), '"')"""


def _told_saying(field: str, expected: str) -> str:
    return f"concat('{field} is ', {_told(field)}, {_quoted(f': expected {expected}')})"


def _saying(field: str, expected: str) -> str:
    return f"concat('{field} is ', {_shown(field)}, {_quoted(f': expected {expected}')})"


_EVERY = tuple(TOPICS)

#: what can be said of a line before its event type is known
LINE_RULES = (
    Rule("oversized_line", _EVERY, f"length(value) > {LONGEST_LINE}",
         f"concat('the line has ', length(value), ' bytes: expected at most {LONGEST_LINE}')"),
    Rule("invalid_utf8", _EVERY, "NOT is_valid_utf8(CAST(value AS STRING))",
         f"concat('not valid UTF-8: ', left(make_valid_utf8(CAST(value AS STRING)), {_SHOWN}))"),
    Rule("malformed_json", _EVERY, "event IS NULL", f"concat('not one JSON object: ', left(CAST(value AS STRING), {_SHOWN}))"),
    Rule("schema_version", _EVERY, f"schema_version > {SCHEMA_VERSION}", _saying("schema_version", f"at most {SCHEMA_VERSION}")),
)  # fmt: skip

#: what compares an event with the calendar and the catalogue
WORLD_RULES = (
    Rule("out_of_range", _EVERY, f"occurred_at < TIMESTAMP '{EARLIEST}'", _told_saying("occurred_at", f"{EARLIEST} or later")),
    Rule("future_date", _EVERY, "occurred_at > latest", f"concat('occurred_at is ', {_told('occurred_at')}, ': later than ', latest)"),
    Rule("future_date", ("visits",), "ds > to_date(latest)", f"concat('ds is ', {_told('ds')}, ': later than ', to_date(latest))"),
    Rule("unknown_store", _EVERY, "NOT known_store", _told_saying("store_id", "one of the known stores")),
    Rule("unknown_product", ("sales", "stock", "pos", "supply"), "NOT known_product",
         _told_saying("product_id", "one of the known products")),
)  # fmt: skip

#: what compares an event with the other events of its topic, in bronze and in its own batch
LOG_RULES = (
    Rule("duplicate_event", _EVERY, "seen OR copy > 1", "concat('event_id is ', event_id, ': it is there already')"),
    Rule("return_without_purchase", ("sales",), "event_type = 'return' AND NOT purchased",
         "concat('basket_id is ', basket_id, ' and product_id is ', product_id, ': no purchase of these is known')"),
)  # fmt: skip


def field_rules(topic: Topic) -> tuple[Rule, ...]:
    """The rules that follow from a topic's contract: event type, missing keys, types, then ranges."""
    names = ", ".join(_quoted(event.name) for event in topic.events)
    expected = "one of " + ", ".join(event.name for event in topic.events)
    there = "kind_event_type IS NOT NULL AND kind_event_type != 'VOID' AND event_type != ''"
    unknown = Rule("unknown_event_type", (topic.name,), f"{there} AND event_type NOT IN ({names})", _saying("event_type", expected))
    carried = _carriers(topic, lambda event: (*event.required, *event.optional))
    missing = [_missing(topic, field, who) for field, who in _carriers(topic, lambda event: event.required).items()]
    types = [_wrong_type(topic, field, who) for field, who in carried.items()]
    ranges = [rule for field, who in carried.items() if (rule := _out_of_range(topic, field, who))]
    return (unknown, *missing, *types, *ranges)


def rules_of(topic: Topic) -> tuple[Rule, ...]:
    """Every rule that judges a line of the topic on its own, in the order in which they name a row."""
    return tuple(rule for rule in (*LINE_RULES, *field_rules(topic), *WORLD_RULES) if topic.name in rule.topics)


def log_rules_of(topic: Topic) -> tuple[Rule, ...]:
    """The rules that judge an event of the topic against the others."""
    return tuple(rule for rule in LOG_RULES if topic.name in rule.topics)


def verdict(rules: Iterable[Rule]) -> str:
    """Spark SQL of a struct `rule, reason`: the first broken of `rules`, null when none is."""
    cases = " ".join(f"WHEN {rule.broken} THEN named_struct('rule', '{rule.name}', 'reason', {rule.reason})" for rule in rules)
    return f"CASE {cases} END"


def judged(doubtful: DataFrame, world: World) -> DataFrame:
    """Lines `topic, value, position, latest` (of `latest`: the last moment an event may have happened at), each judged on its
    own by every rule of its topic: `topic, value, position`, the fields of FIELD_TYPES (null where the topic has no such
    field, or the value is not of its type), the local business day `ds`, and `verdict` (a struct `rule, reason`, null when
    no rule is broken)."""
    from pyspark.sql import functions as F

    known = _read(doubtful).withColumns({"known_store": F.lit(True), "utc_offset_hours": F.lit(0.0), "known_product": F.lit(True)})
    if world.utc_offset_hours is not None:
        stores = world.utc_offset_hours
        told = pa.table({"store_id": pa.array(stores, pa.string()), "offset": pa.array(stores.values(), pa.float64())})
        listed = doubtful.sparkSession.createDataFrame(told).withColumn("listed", F.lit(True))
        known = known.join(F.broadcast(listed), "store_id", "left").withColumns(
            {"known_store": F.coalesce("listed", F.lit(False)), "utc_offset_hours": F.coalesce("offset", F.lit(0.0))}
        )
    if world.products is not None:
        sold = pa.table({"product_id": pa.array(sorted(world.products), pa.string())})
        catalogue = doubtful.sparkSession.createDataFrame(sold).withColumn("sold", F.lit(True))
        known = known.join(F.broadcast(catalogue), "product_id", "left").withColumn(
            "known_product", F.expr("coalesce(sold, false) OR product_id IS NULL")
        )
    own_day = ", ".join(_quoted(topic.name) for topic in TOPICS.values() if topic.tells_day)
    local = "to_date(occurred_at + make_dt_interval(0, 0, 0, utc_offset_hours * 3600))"
    named = [f"`{name}`" for name in FIELD_TYPES if name != "ds"]
    verdicts = " ".join(f"WHEN '{topic.name}' THEN {verdict(rules_of(topic))}" for topic in TOPICS.values())
    return known.selectExpr("topic", "value", "position", *named, f"IF(topic IN ({own_day}), ds, {local}) AS ds",
                            f"CASE topic {verdicts} END AS verdict")  # fmt: skip


def _read(lines: DataFrame) -> DataFrame:
    """Lines parsed strictly: adds `event` (a struct of variants, null when the line is not one JSON object) and each field
    as its declared type with its JSON kind in `kind_<field>`.

    The line is parsed inside a list that ends with the line's own hash: what follows the first JSON value, which the
    parser would skip, then breaks the list."""
    kept = ("topic", "value", "position", "latest")
    text = f"IF(length(value) <= {LONGEST_LINE} AND is_valid_utf8(CAST(value AS STRING)), CAST(value AS STRING), NULL)"
    struct = ", ".join(f"`{name}`: variant" for name in FIELD_TYPES)
    parsed = lines.selectExpr(*kept, f"{text} AS text").selectExpr(
        *kept, "text", "try_parse_json(concat('[', text, ',', xxhash64(text), ']')) AS listed"
    )
    whole = "try_variant_get(listed, '$[1]', 'bigint') = xxhash64(text)"
    events = parsed.selectExpr(*kept, f"IF({whole}, try_variant_get(listed, '$[0]', 'struct<{struct}>'), NULL) AS event")
    fields = [f"IF({_has(name)}, try_cast(event.`{name}` AS {kind}), NULL) AS `{name}`" for name, kind in FIELD_TYPES.items()]
    kinds = [f"schema_of_variant(event.`{name}`) AS `kind_{name}`" for name in FIELD_TYPES]
    return events.selectExpr(*kept, "event", *fields, *kinds)


def _has(field: str) -> str:
    """The condition that an event's topic has a field: what it does not have may stand on the line, and is not read."""
    topics = [topic.name for topic in TOPICS.values() if any(field == own.name for own in topic.fields)]
    return "true" if len(topics) == len(TOPICS) else f"topic IN ({', '.join(map(_quoted, topics))})"


def _carriers(topic: Topic, fields_of: Callable[[Event], tuple[Field, ...]]) -> dict[Field, tuple[str, ...]]:
    """Each field, as declared, with the event types that carry it."""
    found: dict[Field, list[str]] = {}
    for event in topic.events:
        for field in (*ENVELOPE, *fields_of(event)):
            found.setdefault(field, []).append(event.name)
    return {field: tuple(names) for field, names in found.items()}


def _when(topic: Topic, carriers: tuple[str, ...]) -> str:
    """The condition, ending in AND, that an event is of one of the types `carriers`; empty when all are."""
    if len(carriers) == len(topic.events):
        return ""
    return f"event_type IN ({', '.join(map(_quoted, carriers))}) AND "


def _missing(topic: Topic, field: Field, carriers: tuple[str, ...]) -> Rule:
    kind = f"kind_{field.name}"
    # a column of text needs no second look at the variant; another type is blank when it is the text ''
    blank = (
        f"`{field.name}` = ''"
        if field.type == "string"
        else f"{kind} = 'STRING' AND `{field.name}` IS NULL AND CAST(event.`{field.name}` AS STRING) = ''"
    )
    broken = f"{_when(topic, carriers)}({kind} IS NULL OR {kind} = 'VOID' OR {blank})"
    return Rule("missing_key", (topic.name,), broken, f"'{field.name} is missing'")


def _wrong_type(topic: Topic, field: Field, carriers: tuple[str, ...]) -> Rule:
    kind, text = f"kind_{field.name}", f"CAST(event.`{field.name}` AS STRING)"
    condition, expected = _KINDS[field.type]
    fits = condition.format(kind=kind, name=f"`{field.name}`", text=text)
    broken = f"{_when(topic, carriers)}{kind} IS NOT NULL AND {kind} != 'VOID' AND NOT ({fits})"
    return Rule("wrong_type", (topic.name,), broken, _saying(field.name, expected))


def _out_of_range(topic: Topic, field: Field, carriers: tuple[str, ...]) -> Rule | None:
    name = f"`{field.name}`"
    if field.choices:
        listed = ", ".join(map(_quoted, field.choices))
        return Rule("out_of_range", (topic.name,), f"{_when(topic, carriers)}{name} NOT IN ({listed})",
                    _saying(field.name, "one of " + ", ".join(field.choices)))  # fmt: skip
    bounds = " OR ".join(
        f"{{0}} {sign} {_literal(bound)}" for sign, bound in (("<", field.minimum), (">", field.maximum)) if bound is not None
    )
    if not bounds:
        return None
    broken = bounds.format(name)
    expected = f"{field.minimum} to {field.maximum} {field.unit}".rstrip()
    if field.type == "array<int>":
        broken = f"size({name}) != {field.length} OR exists({name}, x -> {bounds.format('x')})"
        expected = f"{field.length} integers from {expected}"
    return Rule("out_of_range", (topic.name,), f"{_when(topic, carriers)}({broken})", _saying(field.name, expected))


def _literal(bound: float | date) -> str:
    return f"DATE '{bound}'" if isinstance(bound, date) else f"{bound!r}D"
