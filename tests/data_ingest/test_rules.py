"""Each rule names what breaks it, and the rules of fields agree with the contract's own check."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from data_ingest.contracts import SALES, TOPICS, Topic, problem
from data_ingest.rules import LONGEST_LINE, World, field_rules, judged, rules_of
from data_ingest.strict import strict
from tests.data_ingest import events

#: events may be as late as 2024-06-02
WORLD = World(datetime(2024, 6, 2))


def verdicts(spark, topic: Topic, lines: list[bytes], world: World = WORLD) -> list[tuple[str, str] | None]:
    """The rule and reason of each line, in order, as the ingest judges them."""
    parsed = strict(events.raw(spark, topic.name, lines), world).persist()
    rows = judged(parsed.where("NOT clean"), world).select("position", "verdict").collect()
    clean = [row.position for row in parsed.where("clean").select("position").collect()]
    said = {row.position: tuple(row.verdict) if row.verdict else None for row in rows} | dict.fromkeys(clean)
    assert len(said) == len(rows) + len(clean) == len(lines)
    return [said[position] for position in sorted(said)]


def good(**changes: Any) -> dict[str, Any]:
    body = events.purchase("2024-05-01T10:00", line=1, discount=0.5, customer_id="c1")
    return {key: value for key, value in {**body, **changes}.items() if value != "absent"}


CASES = [
    ("oversized_line", b'{"a": "' + b"x" * LONGEST_LINE + b'"}', "bytes: expected at most"),
    ("invalid_utf8", events.line(good()).replace(b"c1", b"\xff\xfe"), "not valid UTF-8"),
    ("malformed_json", b"", "not one JSON object"),
    ("malformed_json", b"[1]", "[1]"),
    ("malformed_json", events.line(good()) + b" tail", "not one JSON object"),
    ("malformed_json", events.line(good()) + events.line(good()), "not one JSON object"),
    ("malformed_json", b'{"event_id": "a", "event_id": "b"}', "event_id"),
    ("malformed_json", events.line(good())[:-5], "not one JSON object"),
    ("schema_version", events.line(good(schema_version=99, event_type="teleport")), "schema_version is 99"),
    ("unknown_event_type", events.line(good(event_type="teleport")), 'event_type is "teleport": expected one of purchase, return, refund'),
    ("missing_key", events.line(good(event_type="absent")), "event_type is missing"),
    ("missing_key", events.line(good(basket_id="absent")), "basket_id is missing"),
    ("missing_key", events.line(good(product_id="")), "product_id is missing"),
    ("missing_key", events.line(good(units=None)), "units is missing"),
    ("wrong_type", events.line(good(units="3")), 'units is "3": expected a number'),
    ("wrong_type", events.line(good(product_id=17)), "product_id is 17: expected text"),
    ("wrong_type", events.line(good(line=1.5)), "line is 1.5: expected an integer"),
    ("wrong_type", events.line(good(occurred_at="yesterday")), 'occurred_at is "yesterday": expected an ISO 8601 timestamp'),
    ("wrong_type", events.line(good(occurred_at="2024-02-30T10:00:00Z")), "2024-02-30"),
    ("wrong_type", events.line(good(discount=[1])), "discount is [1]"),
    ("out_of_range", events.line(good(unit_price=-0.01)), "unit_price is -0.01: expected 0 to"),
    ("out_of_range", events.line(good()).replace(b'"units": 1', b'"units": 1e999'), "units is"),
    ("out_of_range", events.line(good(occurred_at="0099-01-01T00:00:00Z")), "1990-01-01 or later"),
    ("future_date", events.line(good(occurred_at="2024-06-02T00:00:01Z")), "later than 2024-06-02"),
]


@pytest.fixture(scope="module")
def named(spark) -> list[tuple[str, str] | None]:
    return verdicts(spark, SALES, [line for _, line, _ in CASES])


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_a_rule_names_the_row_and_says_the_value(named, case) -> None:
    rule, _, words = CASES[case]
    assert named[case] is not None
    assert named[case][0] == rule
    assert words in named[case][1]


def test_good_events_of_every_type_break_no_rule(spark) -> None:
    day = "2024-05-01T10:00"
    bodies = [
        good(), good(promotion_id=None, units=2.5), good(occurred_at="2024-05-01T10:00:00.123+02:00"), good(extra={"a": 1}),
        good(occurred_at="2024-06-01T23:59:59Z"), events.returned(day), events.event("refund", day, basket_id="b", amount=3),
        events.stock("count", day, 0), events.stock("adjustment", day, -3), events.price(day, 1.5), events.event("store_opened", day),
        events.event("promotion_started", day, product_id="p", promotion_id="x", promotion_kind="display"),
        events.visits("2024-05-01", [3] * 24),
        events.event("order_placed", day, order_id="o", supplier_id="v", product_id="p", units=5, promised_on="2024-05-04"),
    ]  # fmt: skip
    for topic in TOPICS.values():
        mine = [body for body in bodies if events.topic_of(body) == topic.name]
        assert mine
        assert verdicts(spark, topic, [events.line(body) for body in mine]) == [None] * len(mine)


def test_lists_dates_and_choices_of_other_topics(spark) -> None:
    short, text, negative = (events.visits("2024-05-01", v) for v in ([1] * 23, [*[1] * 23, "2"], [*[1] * 23, -1]))
    wrong_day, far = (
        events.visits("01/05/2024", [1] * 24, at="2024-05-01T10:00"),
        events.visits("2025-01-01", [1] * 24, at="2024-05-01T10:00"),
    )
    said = verdicts(spark, TOPICS["visits"], [events.line(body) for body in (short, text, negative, wrong_day, far)])
    assert [v and v[0] for v in said] == ["out_of_range", "wrong_type", "out_of_range", "wrong_type", "future_date"]
    promotion = events.event("promotion_started", "2024-05-01T10:00", product_id="p", promotion_id="x", promotion_kind="shouting")
    assert verdicts(spark, TOPICS["pos"], [events.line(promotion)])[0][0] == "out_of_range"
    order = {"order_id": "o", "supplier_id": "v", "product_id": "p", "units": 5}
    days = ("9999-12-31", "2100-01-01", "1900-01-01", "1989-12-31", "2099-12-31", "1990-01-01")
    placed = [events.event("order_placed", "2024-05-01T10:00", promised_on=day, **order) for day in days]
    said = verdicts(spark, TOPICS["supply"], [events.line(body) for body in placed])
    assert said[:4] == [("out_of_range", f'promised_on is "{day}": expected 1990-01-01 to 2099-12-31') for day in days[:4]]
    assert said[4:] == [None, None] == [problem(TOPICS["supply"], body) for body in placed[4:]]
    assert all("expected 1990-01-01 to 2099-12-31" in (problem(TOPICS["supply"], body) or "") for body in placed[:4])


def test_stores_and_products_are_checked_where_there_are_dimensions(spark) -> None:
    bodies = [good(), good(store_id="s9"), good(product_id="p9"), events.event("refund", "2024-05-01T10:00", basket_id="b", amount=1)]
    world = World(WORLD.latest, {"s1": -5.0}, frozenset(["p1"]))
    said = verdicts(spark, SALES, [events.line(body) for body in bodies], world)
    assert [v and v[0] for v in said] == [None, "unknown_store", "unknown_product", None]


def test_the_business_day_is_the_stores_in_both_lanes(spark) -> None:
    at = ["2024-05-01T04:59:59Z", "2024-05-01T05:00:00Z", "2024-05-01T00:30:00.5+02:00"]
    lines = [events.line(good(occurred_at=moment)) for moment in at]
    # -9.3 hours are no whole number of microseconds as a double has them
    for offset, days in {
        -9.3: ["2024-04-30", "2024-04-30", "2024-04-30"],
        -5.0: ["2024-04-30", "2024-05-01", "2024-04-30"],
        5.75: ["2024-05-01", "2024-05-01", "2024-05-01"],
    }.items():
        world = World(WORLD.latest, {"s1": offset})
        parsed = strict(events.raw(spark, "sales", lines), world).persist()
        assert [str(row.ds) for row in parsed.orderBy("position").collect() if row.clean] == days
        slow = judged(parsed.withColumn("latest", F.lit(WORLD.latest)), world).orderBy("position").collect()
        assert [(str(row.ds), row.verdict) for row in slow] == [(day, None) for day in days]


def test_fields_of_another_topic_are_not_read(spark) -> None:
    line = events.line(events.visits("2024-05-01", [1] * 24, product_id="p9", units="many", extra=1))
    row = judged(strict(events.raw(spark, "visits", [line]), WORLD).where("NOT clean"), WORLD).first()
    assert row.verdict is None and row.product_id is None and row.units is None and row.visits == [1] * 24


def test_every_field_of_every_contract_has_its_rules() -> None:
    for topic in TOPICS.values():
        said = {(rule.name, rule.reason.split("'")[1].split(" is")[0]) for rule in field_rules(topic)}
        for field in topic.fields:
            assert ("wrong_type", field.name) in said
            bounded = field.minimum is not None or field.maximum is not None or field.choices
            assert ("out_of_range", field.name) in said or not bounded
        assert all(rule.topics and topic.name in rule.topics for rule in rules_of(topic))


_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2, allow_nan=False), st.sampled_from(["", "3", "x", "2024-05-01", "9999-12-31"]),
                    st.lists(st.integers(-1, 2), max_size=24))  # fmt: skip


@st.composite
def _mutants(draw, topic: Topic) -> dict[str, Any]:
    """A good event of the topic with one field put to something else, so that it may or may not still keep the contract."""
    event = draw(st.sampled_from(topic.events))
    fill = {"string": "x", "double": 1.5, "bigint": 1, "timestamp": "2024-05-01T10:00:00Z", "date": "2024-05-01", "array<int>": [1] * 24}
    body = {f.name: f.choices[0] if f.choices else fill[f.type] for f in topic.fields if f in (*event.required, *event.optional)}
    body = {**events.event(event.name, "2024-05-01T10:00", store="s1", event_id="e1"), **body}
    return {**body, draw(st.sampled_from(sorted(body))): draw(_VALUES)}


@hypothesis_settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_the_rules_of_fields_agree_with_the_contracts_own_check(spark, data) -> None:
    topic = data.draw(st.sampled_from(sorted(TOPICS.values(), key=lambda t: t.name)))
    bodies = data.draw(st.lists(_mutants(topic), min_size=60, max_size=60))
    raw = events.raw(spark, topic.name, [json.dumps(body).encode() for body in bodies]).withColumn("latest", F.lit(WORLD.latest))
    alone = judged(raw, WORLD).orderBy("position").select("verdict.rule")
    said = [row.rule for row in alone.collect()]  # the rules alone, without the fast lane before them
    for body, verdict in zip(bodies, said, strict=True):
        assert (problem(topic, body) is None) == (verdict is None), (body, verdict, problem(topic, body))
