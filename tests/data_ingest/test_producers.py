"""Producers: both paths write the same JSON, hold the same contract and complain in the same words."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_ingest.contracts import TOPICS, problem
from data_ingest.encoding import encode
from data_ingest.producers import event_table, producer, weekly_windows, write_windows
from infra.errors import BadInput
from infra.event_log import LandingFolder

NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)


def sales(units: list[float], **more: list) -> pa.Table:
    rows = len(units)
    names = [f"e{n}" for n in range(rows)]
    times = np.datetime64("2024-05-31T12:00:00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    known = {"product_id": ["p1"] * rows, "basket_id": names, "unit_price": [2.5] * rows}
    return event_table("purchase", "test", event_id=names, occurred_at=times, store_id=["s1"] * rows, units=units, **{**known, **more})


def test_an_event_sent_and_a_table_sent_are_the_same_json(tmp_path: Path) -> None:
    log, till = LandingFolder(tmp_path), producer("sales", "test")
    event = till.event("purchase", NOON, "s1", event_id="e0", product_id="p1", basket_id="e0", units=3.0, unit_price=2.5)
    till.send(log, [event], "one")
    till.send_table(log, sales([3.0]), "many")
    one, many = (json.loads((tmp_path / "sales" / f"{name}.jsonl").read_text()) for name in ("one", "many"))
    assert one == many
    assert problem(TOPICS["sales"], many) is None


def test_the_same_event_has_the_same_id_and_another_has_another() -> None:
    till = producer("stock", "test")
    ids = [till.event("count", NOON, "s1", product_id="p1", units=u)["event_id"] for u in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    text=st.text(min_size=1, max_size=8, alphabet=st.characters(exclude_categories=["Cs"])),
    units=st.floats(0, 1e9),
    customer=st.none() | st.text(min_size=1, max_size=3, alphabet='a"\\\n\x00é'),
    micros=st.integers(0, 10**15),
)
def test_every_value_survives_the_columnar_path(text: str, units: float, customer: str | None, micros: int) -> None:
    moment = np.array([micros], "datetime64[us]")
    table = sales([units], product_id=[text], customer_id=pa.array([customer], pa.string())).set_column(1, "occurred_at", pa.array(moment))
    event = json.loads(encode(TOPICS["sales"], table)[0])
    assert (event["product_id"], event["units"], event.get("customer_id")) == (text, units, customer)
    assert ("customer_id" in event) == (customer is not None)
    assert np.datetime64(event["occurred_at"].rstrip("Z"), "us") == moment[0]
    assert problem(TOPICS["sales"], event) is None


def test_lists_days_and_absent_fields() -> None:
    hours = list(range(24))
    table = event_table("visit_count", "test", event_id=["v1"], occurred_at=np.array(["2024-05-31T22"], "M8[us]"), store_id=["s1"],
                        visits=[hours], ds=pa.array([date(2024, 5, 31)]))  # fmt: skip
    event = json.loads(encode(TOPICS["visits"], table)[0])
    assert event["visits"] == hours and event["ds"] == "2024-05-31" and problem(TOPICS["visits"], event) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": [1.0, -1.0]}, "sales event 2: units is -1.0"),
        ({"units": [1.0, np.inf]}, "sales event 2: units is inf"),
        ({"units": [1.0, np.nan]}, "sales event 2: units is missing"),
        ({"product_id": ["p1", ""]}, "sales event 2: product_id is missing"),
        ({"basket_id": [None, "b"]}, "sales event 1: basket_id is missing"),
        ({"line": pa.array([0, -4])}, "sales event 2: line is -4"),
        ({"unit_price": ["a", "b"]}, "column unit_price is string: expected double"),
        ({"colour": ["a", "b"]}, "column 'colour' is not a field"),
    ],
)  # fmt: skip
def test_a_breach_names_topic_event_and_field_and_writes_nothing(tmp_path: Path, change: dict, said: str) -> None:
    table = sales(**{"units": [1.0, 1.0], **change})
    with pytest.raises(BadInput, match=said):
        producer("sales", "test").send_table(LandingFolder(tmp_path), table, "x")
    assert not list(tmp_path.rglob("*.jsonl"))


def test_bounds_belong_to_the_event_type() -> None:
    def moved(kind: str) -> pa.Table:
        return event_table(
            kind, "test", event_id=["a"], occurred_at=np.array(["2024-05-31"], "M8[us]"), store_id=["s"], product_id=["p"], units=[-2.0]
        )

    assert json.loads(encode(TOPICS["stock"], moved("adjustment"))[0])["units"] == -2
    with pytest.raises(BadInput, match=r"units is -2\.0"):
        encode(TOPICS["stock"], moved("waste"))
    with pytest.raises(BadInput, match="event_type is 'mended'"):
        encode(TOPICS["stock"], moved("mended"))


def test_visits_of_a_wrong_length_or_sign_are_refused() -> None:
    for visits in ([1] * 23, [1] * 23 + [-1]):
        times = np.array(["2024-05-31"] * 2, "M8[us]")
        table = event_table("visit_count", "test", event_id=["a", "b"], occurred_at=times, store_id=["s", "s"],
                            visits=[[1] * 24, visits], ds=pa.array([date(2024, 5, 31)] * 2))  # fmt: skip
        with pytest.raises(BadInput, match="visits event 2: visits is"):
            encode(TOPICS["visits"], table)


def test_a_bad_single_event_is_counted_from_one(tmp_path: Path) -> None:
    till = producer("pos", "test")
    good = till.event("store_opened", NOON, "s1")
    bad = till.event("promotion_started", NOON, "s1", product_id="p", promotion_id="x", promotion_kind="gift")
    with pytest.raises(BadInput, match="pos event 2: promotion_kind is 'gift'"):
        till.send(LandingFolder(tmp_path), [good, bad])
    assert not list(tmp_path.rglob("*.jsonl"))
    with pytest.raises(BadInput, match="no topic 'fish'"):
        producer("fish", "test")


def test_windows_are_whole_weeks_cut_at_the_ends_and_hold_local_days(tmp_path: Path) -> None:
    windows = weekly_windows("w", date(2024, 5, 29), date(2024, 6, 11))
    assert [(w.first.day, w.last.day) for w in windows] == [(29, 2), (3, 9), (10, 11)]
    log = LandingFolder(tmp_path)
    table = sales([1.0] * 24 * 9)
    assert write_windows(log, {"sales": table}, windows, 10.0) == table.num_rows
    first = [json.loads(line) for line in (tmp_path / "sales" / f"{windows[0].name}.jsonl").read_text().splitlines()]
    # local midnight of June 3rd, ten hours ahead of UTC
    assert max(e["occurred_at"] for e in first) == "2024-06-02T13:00:00Z"
    assert write_windows(log, {"sales": table}, windows, 10.0) == 0
