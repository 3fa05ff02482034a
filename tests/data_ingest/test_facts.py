"""The daily facts in closed form, against an independent walk over the events, and whatever order events arrive in."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from data_ingest import quarantine
from data_ingest.facts import facts
from data_ingest.facts.promotions import promotions
from data_ingest.ingest import ingest
from data_ingest.quarantine import replay_quarantine
from data_ingest.tables import (
    BASKETS,
    DELIVERIES,
    EVENTS,
    FACTS,
    LEAD_TIMES,
    PRICE_DAILY,
    PROMOTIONS,
    QUARANTINE,
    SALES_DAILY,
    STOCK_DAILY,
    STORE_DAYS,
    STORES,
    VISITS_DAILY,
)  # fmt: skip
from infra.errors import BadInput, NotReady
from infra.event_log import LandingFolder
from infra.lake import Lake
from infra.settings import Settings, load_settings
from infra.tables import Table
from infra.warehouse import Warehouse
from tests.data_ingest import events

OFFSET, OPEN, CLOSE = -5.0, 8, 20


def set_stores(spark, settings: Settings) -> None:
    rows = [(store, OFFSET, OPEN, CLOSE) for store in ("s1", "s2")]
    Lake(settings.lake_url).overwrite(spark.createDataFrame(rows, STORES.spark_schema()), STORES)


def rows_of(settings: Settings, table: Table) -> list[tuple[Any, ...]]:
    """The table's rows, sorted by its key."""
    frame = Lake(settings.lake_url).read_pandas(table)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return sorted((tuple(row.values()) for row in records), key=lambda row: [str(value) for value in row])


def local(day: int, hour: float) -> str:
    """UTC text of a local time of January 2024."""
    return (datetime(2024, 1, day) + timedelta(hours=hour - OFFSET)).isoformat(timespec="minutes")


def opened(day: int, store: str = "s1") -> dict[str, Any]:
    return events.event("store_opened", local(day, OPEN), store)


def january(day: int) -> date:
    return date(2024, 1, day)


@pytest.fixture(scope="module")
def told(spark, tmp_path_factory) -> Settings:
    """A week of one store, small enough to work out by hand: the store opens on days 1, 2, 3 and 5."""
    settings = load_settings(home=tmp_path_factory.mktemp("facts"))
    set_stores(spark, settings)
    bodies = [
        *[opened(day) for day in (1, 2, 3, 5)],
        events.stock("count", local(1, 5), 10), events.purchase(local(1, 11), units=4, basket="b1", discount=1, customer_id="c1"),
        events.purchase(local(1, 14), units=6, basket="b2"), events.stock("receipt", local(1, 17), 5),
        events.stock("waste", local(2, 5), 1), events.stock("adjustment", local(2, 6), -4),
        events.stock("transfer_in", local(3, 23), 2), events.event("store_closed", local(4, 12)),
        events.purchase(local(5, 10), product="p2", basket="b3"), events.purchase(local(5, 23.5), basket="b3"),
        events.returned(local(5, 10), units=1, basket="b1", unit_price=1.5), events.event("refund", local(5, 11), basket_id="b2", amount=0.5, product_id="p1"),
        events.event("refund", local(5, 11), basket_id="b2", amount=9),
        events.price(local(1, 4), 2.0, regular_price=2.5), events.price(local(3, 4), 1.0), events.price(local(3, 9), 1.1),
        events.event("promotion_started", local(1, 4), product_id="p1", promotion_id="x", promotion_kind="discount", price=1.8),
        events.event("promotion_ended", local(3, 23), product_id="p1", promotion_id="x"),
        events.event("promotion_started", local(5, 4), product_id="p1", promotion_id="y", promotion_kind="display"),
        events.event("promotion_ended", local(2, 4), product_id="p1", promotion_id="y"),
        events.event("promotion_ended", local(2, 4), product_id="p1", promotion_id="never started"),
        events.visits("2024-01-01", [1] * 24, at=local(1, 22)), events.visits("2024-01-01", [2] * 24, at=local(1, 23)),
        events.event("order_placed", local(1, 6), order_id="o", supplier_id="v", product_id="p1", units=6, promised_on="2024-01-03", unit_cost=1),
        events.event("shipment_dispatched", local(2, 6), order_id="o", supplier_id="v", product_id="p1", units=6),
        events.event("shipment_received", local(3, 6), order_id="o", supplier_id="v", product_id="p1", units=4),
        events.event("shipment_received", local(5, 6), order_id="o", supplier_id="v", product_id="p1", units=2),
        events.event("order_placed", local(5, 6), order_id="o2", supplier_id="v", product_id="p1", units=6),
        events.event("store_opened", local(7, OPEN), "s2"),
    ]  # fmt: skip
    events.to_bronze(spark, settings, bodies, 0, OFFSET)
    facts(spark, settings)
    return settings


def test_a_day_without_a_sale_is_closed_open_or_missing(told) -> None:
    status = {1: "open", 2: "open", 3: "open", 4: "closed", 5: "open", 6: "feed_missing", 7: "feed_missing"}
    assert rows_of(told, STORE_DAYS) == [*[("s1", january(day), said) for day, said in status.items()], ("s2", january(7), "open")]


def test_a_till_that_is_silent_while_other_systems_are_not_is_a_missing_feed(spark, settings) -> None:
    set_stores(spark, settings)
    order = {"order_id": "o", "supplier_id": "v", "product_id": "p1", "units": 6}
    told = [opened(1), events.price(local(2, 4), 2.0), events.event("order_placed", local(2, 6), **order), events.stock("count", local(2, 7), 3),
            events.event("store_closed", local(3, 20)), events.price(local(3, 4), 3.0), events.visits("2024-01-04", [9] * 24, at=local(4, 22))]  # fmt: skip
    events.to_bronze(spark, settings, [*told, events.returned(local(5, 10))], 0, OFFSET)
    facts(spark, settings)
    assert [row[2] for row in rows_of(settings, STORE_DAYS)] == ["open", "feed_missing", "closed", "feed_missing", "open"]


def test_sales_returns_and_refunds_of_a_day(told) -> None:
    assert rows_of(told, SALES_DAILY) == [
        ("s1", "p1", january(1), 10.0, 0.0, 19.0, 1.0, 0.0, 2, 2),
        ("s1", "p1", january(5), 1.0, 1.0, 2.0, 0.0, 2.0, 1, 1),
        ("s1", "p2", january(5), 1.0, 0.0, 2.0, 0.0, 0.0, 1, 1),
    ]
    assert rows_of(told, BASKETS)[0] == ("b1", "s1", "c1", "p1", january(1), 4.0, 7.0)
    assert rows_of(told, VISITS_DAILY) == [("s1", january(1), 48, 2), ("s1", january(5), None, 1)]


def test_stock_runs_from_counts_and_says_for_how_long_it_lasted(told) -> None:
    # day 1: 10 found, 6 left at 11, none from 14 to 17, 5 after; day 2: 5 - 1 - 4 before opening; day 4 is closed; the move
    # after closing on day 3 shows on day 5; the sale after closing on day 5 counts for that day's end
    assert rows_of(told, STOCK_DAILY) == [
        ("s1", "p1", january(1), 10.0, 5.0, 5.0, 0.0, 0.0, 0.75),
        ("s1", "p1", january(2), 0.0, 0.0, 0.0, 1.0, -4.0, 0.0),
        ("s1", "p1", january(3), 0.0, 2.0, 0.0, 0.0, 2.0, 0.0),
        ("s1", "p1", january(5), 2.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    ]


def test_a_sale_proves_stock_that_the_books_do_not_know_of(spark, settings) -> None:
    """Counted 5, a receipt not told, 8 sold a day: no day was out of stock; nor is it known of one without a sale below zero."""
    set_stores(spark, settings)
    sold = [events.purchase(local(day, hour), units=2, basket=f"b{day}{hour}") for day in (1, 2) for hour in (9, 12, 15, 19)]
    counted = [events.stock("count", local(4, 8), 0), events.purchase(local(4, 14)), events.stock("count", local(4, 17), 0)]
    later = [events.stock("receipt", local(5, 11), 4), events.purchase(local(5, 17), units=4), opened(6)]
    bodies = [*[opened(day) for day in (1, 2, 3, 4, 5)], events.stock("count", local(1, 5), 5), *sold, *counted, *later]
    events.to_bronze(spark, settings, bodies, 0, OFFSET)
    facts(spark, settings)
    # day 3: only the books, which are wrong; day 4: 6 of 12 hours up to the sale at 14, 3 not known up to the count, then none;
    # day 5: the sale at 17 says nothing of the time before the goods came at 11
    assert [row[8] for row in rows_of(settings, STOCK_DAILY)] == [1.0, 1.0, None, round(6 / 9, 6), 0.5, 0.0]
    assert [row[4] for row in rows_of(settings, STOCK_DAILY)] == [-3.0, -11.0, -11.0, 0.0, 0.0, 0.0]


def test_prices_go_on_until_they_change_and_promotions_are_told_once(told) -> None:
    expected = [(2.0, 2.5)] * 2 + [(1.1, None)] * 5
    assert rows_of(told, PRICE_DAILY) == [("s1", "p1", january(day), *prices) for day, prices in enumerate(expected, start=1)]
    assert rows_of(told, PROMOTIONS) == [
        ("s1", "p1", "x", "discount", january(1), january(3), 1.8), ("s1", "p1", "y", "display", january(5), None, None),
    ]  # fmt: skip


def test_a_promotion_whose_id_is_used_again_ran_twice(spark) -> None:
    def told(promotion: str, *moments: tuple[str, int, float]) -> list[dict[str, Any]]:
        more = {"product_id": "p1", "promotion_id": promotion}
        kinds = {"started": lambda day: {"promotion_kind": "discount", "price": float(day)}, "ended": lambda day: {}}
        return [events.event(f"promotion_{kind}", local(day, hour), **more, **kinds[kind](day)) for kind, day, hour in moments]

    bodies = [
        *told("twice", ("started", 1, 4), ("ended", 3, 23), ("started", 20, 4), ("ended", 22, 23)),
        *told("told again", ("started", 1, 4), ("started", 3, 4), ("ended", 5, 23), ("ended", 9, 23)),
        *told("without a gap", ("started", 1, 4), ("ended", 5, 4), ("started", 5, 5), ("ended", 9, 23)),
        *told("of a day", ("ended", 4, 0), ("started", 4, 7)),
        *told("runs again", ("ended", 2, 4), ("started", 4, 4), ("ended", 5, 4), ("started", 8, 4)),
    ]
    pos = spark.createDataFrame(
        [(b["event_id"], b["event_type"], at, (at + timedelta(hours=OFFSET)).date(), "s1", "p1", b["promotion_id"], b.get("promotion_kind"),
          b.get("price")) for b in bodies for at in [datetime.fromisoformat(b["occurred_at"])]],
        "event_id string, event_type string, occurred_at timestamp, ds date, store_id string, product_id string, promotion_id string, "
        "promotion_kind string, price double",
    )  # fmt: skip
    found = sorted((row.promotion_id, row.starts_on.day, row.ends_on and row.ends_on.day, row.price) for row in promotions(pos).collect())
    assert found == [
        ("of a day", 4, 4, 4.0), ("runs again", 4, 5, 4.0), ("runs again", 8, None, 8.0), ("told again", 1, 5, 3.0),
        ("twice", 1, 3, 1.0), ("twice", 20, 22, 20.0), ("without a gap", 1, 9, 5.0),
    ]  # fmt: skip


def test_an_order_is_received_with_its_last_part(told) -> None:
    assert rows_of(told, LEAD_TIMES) == [
        ("o", "v", "s1", "p1", january(1), january(3), january(2), january(5), 4.0, 6.0, 6.0, 1.0),
        ("o2", "v", "s1", "p1", january(5), None, None, None, None, 6.0, None, None),
    ]


def test_what_came_of_an_order_is_told_by_day(told) -> None:
    assert rows_of(told, DELIVERIES) == [("o", "s1", "p1", january(3), 4.0), ("o", "s1", "p1", january(5), 2.0)]


def test_a_promise_that_no_calendar_has_stops_nothing(spark, settings) -> None:
    """An earlier release let such days into bronze; the warehouse takes none of them."""
    order = {"supplier_id": "v", "product_id": "p1", "units": 6}
    promises = {"o1": "9999-12-31", "o2": "1900-01-01", "o3": "2024-01-09"}
    placed = [events.event("order_placed", local(1, 6), order_id=name, promised_on=day, **order) for name, day in promises.items()]
    events.to_bronze(spark, settings, [opened(1), *placed], 0, OFFSET)
    facts(spark, settings)
    held = Warehouse(settings.warehouse_url).query("SELECT order_id, toString(promised_on) AS day FROM lead_times ORDER BY order_id")
    assert held.astype(object).where(held.notna(), None).values.tolist() == [["o1", None], ["o2", None], ["o3", "2024-01-09"]]


def test_the_warehouse_holds_what_the_lake_holds(told) -> None:
    for table in FACTS:
        names = ", ".join(table.names)
        held = Warehouse(told.warehouse_url).query(f"SELECT {names} FROM {table.name}")
        held = held.astype(object).where(held.notna(), None)
        rows = [tuple(_plain(value) for value in row) for row in held.itertuples(index=False)]
        assert sorted(map(str, rows)) == sorted(str(tuple(map(_plain, row))) for row in rows_of(told, table)), table.name


def _plain(value: Any) -> Any:
    if hasattr(value, "date"):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else float(value) if isinstance(value, (int, float)) else value


def test_the_same_again_changes_nothing(spark, told) -> None:
    lake = Lake(told.lake_url)
    versions = {table.name: lake.version(table) for table in FACTS}
    assert facts(spark, told).days == {}
    assert {table.name: lake.version(table) for table in FACTS} == versions


def test_facts_before_the_first_ingest_say_what_to_run(spark, settings) -> None:
    with pytest.raises(NotReady, match="shelfcast ingest"):
        facts(spark, settings)


def fortnight(seed: int, count: int = 260) -> list[dict[str, Any]]:
    """Random events of two stores, three products and a fortnight; counts are rare, stores miss days."""
    rng = random.Random(seed)
    kinds = (
        ["purchase"] * 6
        + ["receipt"] * 3
        + ["count", "waste", "adjustment", "price", "promotion", "visits", "opened", "closed", "supply", "ended"]
    )
    told = []
    for i in range(count):
        day, store, product = rng.randint(1, 14), rng.choice(["s1", "s1", "s2"]), f"p{rng.randint(1, 3)}"
        if (store, day) in {("s1", 4), ("s2", 9), ("s2", 1), ("s2", 2)}:
            continue
        at = local(day, rng.randint(0, 23 * 60) / 60)
        common: dict[str, Any] = {"store": store, "event_id": f"e{i}"}
        units = rng.randint(1, 6)
        kind = rng.choice(kinds)
        told.append({
            "purchase": lambda at=at, p=product, u=units, c=common: events.purchase(at, p, u, basket=f"b{at}", **c),
            "price": lambda at=at, p=product, u=units, c=common: events.price(at, float(u), p, **c),
            "promotion": lambda at=at, p=product, u=units, c=common: events.event(
                "promotion_started", at, product_id=p, promotion_id=f"x{u}", promotion_kind="display", **c),
            "ended": lambda at=at, p=product, u=units, c=common: events.event("promotion_ended", at, product_id=p, promotion_id=f"x{u}", **c),
            "visits": lambda at=at, u=units, c=common, d=day: events.visits(january(d).isoformat(), [u] * 24, at=at, **c),
            "opened": lambda at=at, c=common: events.event("store_opened", at, **c),
            "closed": lambda at=at, c=common: events.event("store_closed", at, **c),
            "supply": lambda at=at, p=product, u=units, c=common: events.event(
                rng.choice(["order_placed", "shipment_received"]), at, order_id=f"o{u}", supplier_id="v", product_id=p, units=u, **c),
        }.get(kind, lambda at=at, p=product, u=units, c=common, k=kind: events.stock(k, at, u, p, **c))())  # fmt: skip
    return told


def sells_before_it_is_filled(later: list[tuple[Any, ...]], day: date) -> bool:
    """Whether what comes later of a day is a sale before it is a count or goods."""
    for at, _, _, body in later:
        if at.date() != day or body["event_type"] in ("count", "receipt", "adjustment"):
            return False
        if body["event_type"] == "purchase":
            return True
    return False


def walked(told: list[dict[str, Any]], store: str, product: str, open_days: set[date], last: date) -> list[tuple[Any, ...]]:
    """STOCK_DAILY of a pair, a minute at a time: on_hand_open, on_hand_close and in_stock of each open day."""
    sign = {"receipt": 1, "adjustment": 1, "purchase": -1, "waste": -1}
    mine = [
        body for body in told if body["store_id"] == store and body.get("product_id") == product and body["event_type"] in (*sign, "count")
    ]
    timed = sorted(
        (datetime.fromisoformat(b["occurred_at"][:16]) + timedelta(hours=OFFSET), b["event_type"] != "count", b["event_id"], b)
        for b in mine
    )
    stock_times = [at for at, _, _, body in timed if body["event_type"] != "purchase"]
    if not stock_times:
        return []
    begun = min(stock_times)
    level, place, rows = 0.0, 0, []
    timed = [entry for entry in timed if entry[0] >= begun]
    if timed[0][3]["event_type"] == "count":
        level = timed[0][3]["units"]
    for day in (begun.date() + timedelta(days=n) for n in range((last - begun.date()).days + 1)):
        stocked, known, opening = 0, 0, level
        for minute in range(24 * 60):
            now = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
            while place < len(timed) and timed[place][0] <= now:
                body = timed[place][3]
                level = body["units"] if body["event_type"] == "count" else level + sign[body["event_type"]] * body["units"]
                place += 1
            opening = level if minute == OPEN * 60 else opening
            if OPEN * 60 <= minute < CLOSE * 60:
                held = level > 0 or sells_before_it_is_filled(timed[place:], day)
                stocked, known = stocked + held, known + (held or level == 0)
        if day in open_days:
            rows.append((store, product, day, float(opening), float(level), round(stocked / known, 6) if known else None))
    return rows


@pytest.fixture(scope="module")
def in_time(spark, tmp_path_factory) -> tuple[Settings, list[dict[str, Any]]]:
    """A home that was told of a fortnight's events at once, and the events."""
    settings, told = load_settings(home=tmp_path_factory.mktemp("in_time")), fortnight(7, 400)
    set_stores(spark, settings)
    events.to_bronze(spark, settings, told, 0, OFFSET)
    facts(spark, settings)
    return settings, told


def test_stock_agrees_with_a_walk_over_every_minute(in_time) -> None:
    home, told = in_time
    last = max(row[1] for row in rows_of(home, STORE_DAYS))
    found = [(*row[:5], row[8]) for row in rows_of(home, STOCK_DAILY)]
    for store in ("s1", "s2"):
        open_days = {day for name, day, status in rows_of(home, STORE_DAYS) if name == store and status == "open"}
        for product in ("p1", "p2", "p3"):
            assert [row for row in found if row[:2] == (store, product)] == walked(told, store, product, open_days, last)


def test_late_events_give_the_facts_they_would_have_given_in_time(spark, settings, in_time) -> None:
    home, told = in_time
    set_stores(spark, settings)
    rng = random.Random(3)
    # mostly in order, as feeds are: most events by day, some at any time later
    order = sorted(
        told, key=lambda body: (datetime.fromisoformat(body["occurred_at"][:16]) + timedelta(days=rng.choice([0, 0, 0, 0, 3, 9]))).date()
    )
    cuts = [0, *sorted(rng.sample(range(40, len(order)), 2)), len(order)]
    for batch, (start, end) in enumerate(itertools.pairwise(cuts)):
        events.to_bronze(spark, settings, order[start:end], batch, OFFSET)
        facts(spark, settings)
    for table in FACTS:
        expected = rows_of(home, table)
        assert rows_of(settings, table) == expected, table.name
        assert int(Warehouse(settings.warehouse_url).query(f"SELECT count() AS n FROM {table.name}").n[0]) == len(expected), table.name


def test_only_the_touched_days_are_recomputed(spark, settings) -> None:
    set_stores(spark, settings)
    bodies = [body for day in range(1, 11) for body in (opened(day), events.purchase(local(day, 12), basket=f"b{day}"))]
    counts = [events.stock("count", local(1, 5), 50), events.stock("count", local(6, 5), 40)]
    events.to_bronze(spark, settings, [*bodies, *counts, events.price(local(1, 4), 2), events.price(local(5, 4), 3)], 0, OFFSET)
    assert facts(spark, settings).days["stock_daily"] == 10
    events.to_bronze(spark, settings, [events.purchase(local(3, 13), basket="late")], 1, OFFSET)
    said = facts(spark, settings).days
    # the pair's stock is set anew by the count on day 6, whose morning still depends on day 3
    assert said == {"store_days": 1, "sales_daily": 1, "baskets": 1, "visits_daily": 1, "stock_daily": 4}
    events.to_bronze(spark, settings, [events.price(local(4, 4), 9)], 2, OFFSET)
    assert facts(spark, settings).days["price_daily"] == 1


def test_a_fact_that_was_lost_is_made_again(spark, settings) -> None:
    import shutil

    lake = Lake(settings.lake_url)
    events.to_bronze(spark, settings, [events.purchase("2024-01-01T10:00")], 0)
    facts(spark, settings)
    shutil.rmtree(lake.path(SALES_DAILY).removeprefix("file://"))
    shutil.rmtree(settings.warehouse_url.removeprefix("chdb://"))
    facts(spark, settings)
    assert len(rows_of(settings, SALES_DAILY)) == 1
    assert Warehouse(settings.warehouse_url).query("SELECT sum(units) AS u FROM sales_daily").u[0] == 1


def test_lines_that_the_log_refuses_stay_in_quarantine(spark, settings, monkeypatch) -> None:
    class Refusing(LandingFolder):
        def write(self, topic, lines, name="", keys=None):
            return super().write(topic, list(lines)[1:], name, keys)

    events.send(settings, [events.returned("2024-01-05T10:00", basket=basket) for basket in ("b1", "b2")])
    ingest(spark, settings, now=datetime(2024, 6, 1, tzinfo=UTC))
    monkeypatch.setattr(quarantine, "event_log", lambda settings: Refusing(settings.home / "elsewhere"))
    with pytest.raises(NotReady, match="took 1 of 2 lines of sales"):
        replay_quarantine(spark, settings, "return_without_purchase")
    assert Lake(settings.lake_url).read(spark, QUARANTINE).count() == 2
    assert replay_quarantine(spark, settings, "return_without_purchase") == 0
    assert Lake(settings.lake_url).read(spark, QUARANTINE).count() == 0


def test_a_return_that_came_too_early_is_let_in_once(spark, settings) -> None:
    early = events.returned("2024-01-05T10:00", basket="b1")
    events.send(settings, [early])
    now = datetime(2024, 6, 1, tzinfo=UTC)
    ingest(spark, settings, now=now)
    assert replay_quarantine(spark, settings, "return_without_purchase") == 1
    assert ingest(spark, settings, now=now).quarantined == {"return_without_purchase": 1}  # still without its purchase
    events.send(settings, [events.purchase("2024-01-04T10:00", basket="b1")])
    ingest(spark, settings, now=now)
    assert replay_quarantine(spark, settings, "return_without_purchase") == 1
    assert ingest(spark, settings, now=now).accepted == {"sales": 1}
    assert replay_quarantine(spark, settings, "return_without_purchase") == 0
    lake = Lake(settings.lake_url)
    assert lake.read(spark, EVENTS).count() == 2 and lake.read(spark, QUARANTINE).count() == 0
    with pytest.raises(BadInput, match="no rule 'nonsense'"):
        replay_quarantine(spark, settings, "nonsense")
