"""The features of ordering against numbers worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from data_ingest.tables import DELIVERIES, LEAD_TIMES, PRODUCTS, STOCK_DAILY
from feature_repo.stock_features import GIVEN_UP_DAYS, REST_GIVEN_UP_DAYS, learned_lead_times, on_order, stock_features_frame
from feature_repo.tables import DEMAND_DAILY
from tests.feature_repo.facts import day, frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY = {"store_id": "1", "product_id": "5"}


def line(order: str, ordered: int, promised: int, received: int | None, units: float = 6.0, supplier: str = "north") -> dict[str, Any]:
    """An order line by the numbers of its days."""
    came = {} if received is None else {"received_on": day(received), "lead_time_days": float(received - ordered)}
    return {
        **KEY,
        "order_id": order,
        "supplier_id": supplier,
        "ordered_on": day(ordered),
        "promised_on": day(promised),
        "ordered_units": units,
        **came,
    }


def part(order: str, at: int, units: float) -> dict[str, Any]:
    """What came of an order line on a day."""
    return {**KEY, "order_id": order, "ds": day(at), "units": units}


def by_day(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by the number of their day."""
    return frame.assign(at=[(each - day(0)).days for each in frame["ds"]]).set_index("at").sort_index()


def test_on_order_counts_from_the_order_to_the_day_before_the_receipt(spark: SparkSession) -> None:
    lines = [line("a", 1, 4, 5, units=6), line("b", 3, 6, None, units=12), line("c", 2, 2, 2, units=99)]
    parts = frame_of(spark, DELIVERIES, [part("a", 5, 6), part("c", 2, 99)])
    found = by_day(on_order(frame_of(spark, LEAD_TIMES, lines), parts, day(8)).toPandas())
    assert found["on_order"].to_dict() == {1: 6, 2: 6, 3: 18, 4: 18, 5: 12, 6: 12, 7: 12, 8: 12}
    assert found["on_order_lines"].tolist() == [1, 1, 2, 2, 1, 1, 1, 1]
    assert found["next_arrival_days"].tolist() == [3, 2, 1, 0, 1, 0, 0, 0]
    assert found["last_arrival_days"].tolist() == [3, 2, 3, 2, 1, 0, 0, 0]


def test_a_delivery_that_never_comes_is_given_up(spark: SparkSession) -> None:
    nothing = frame_of(spark, DELIVERIES, [])
    found = by_day(on_order(frame_of(spark, LEAD_TIMES, [line("a", 0, 2, None)]), nothing, day(100)).toPandas())
    assert found.index.max() == 2 + GIVEN_UP_DAYS


def test_what_has_not_come_of_a_line_stays_on_order_until_it_comes_or_is_given_up(spark: SparkSession) -> None:
    """Of 100 promised for day 6 come 40 on day 3 and 50 on day 8; the last 10 never do. What a day says, later parts do not change."""
    parts = [part("a", 3, 40), part("a", 8, 50)]
    lines = frame_of(spark, LEAD_TIMES, [line("a", 1, 6, 8, units=100)])
    found = by_day(on_order(lines, frame_of(spark, DELIVERIES, parts), day(30)).toPandas())
    assert found["on_order"].to_dict() == {1: 100, 2: 100, **dict.fromkeys(range(3, 8), 60), **dict.fromkeys(range(8, 12), 10)}
    assert found.index.max() == 8 + REST_GIVEN_UP_DAYS
    then = by_day(on_order(lines, frame_of(spark, DELIVERIES, parts[:1]), day(7)).toPandas())
    pd.testing.assert_frame_equal(then, found.loc[:7])
    early = by_day(on_order(lines, frame_of(spark, DELIVERIES, [part("a", 0, 90), part("a", 4, 10)]), day(30)).toPandas())
    assert early["on_order"].to_dict() == {1: 10, 2: 10, 3: 10}


def test_lead_times_are_learned_from_what_was_received_by_then(spark: SparkSession) -> None:
    lines = [line("a", 0, 2, 2), line("b", 1, 3, 5), line("c", 2, 4, 5), line("d", 2, 4, None), line("e", 0, 1, 3, supplier="south")]
    learned = learned_lead_times(frame_of(spark, LEAD_TIMES, lines), day(6)).toPandas()
    north = by_day(learned[learned["supplier_id"] == "north"])
    assert north["learned_mean"].tolist() == pytest.approx([2, 2, 2, 3, 3])
    assert north["lead_time_receipts"].tolist() == [1, 1, 1, 3, 3]
    assert north["learned_lead_time_days_sd"].fillna(-1).tolist() == pytest.approx(
        [-1, -1, -1, np.std([2, 4, 3], ddof=1), np.std([2, 4, 3], ddof=1)]
    )
    assert by_day(learned[learned["supplier_id"] == "south"]).index.tolist() == [3, 4, 5, 6]


def test_a_row_carries_the_shelf_the_pipeline_and_the_terms(spark: SparkSession) -> None:
    daily = [
        {**KEY, "ds": day(at), "open": at != 2, "in_stock": 0.5 if at == 1 else 1.0, "price": 2.0 + at if at < 3 else None}
        for at in range(5)
    ]
    stock = [{**KEY, "ds": day(at), "on_hand_close": float(10 - at)} for at in (0, 1, 3)]
    terms = {
        "product_id": "5",
        "supplier_id": "north",
        "unit_cost": 1.5,
        "pack_size": 6.0,
        "lead_time_days": 4.0,
        "review_period_days": 7.0,
    }
    frames = [
        frame_of(spark, table, rows)
        for table, rows in (
            (DEMAND_DAILY, daily),
            (STOCK_DAILY, stock),
            (LEAD_TIMES, [line("a", 1, 4, 3)]),
            (DELIVERIES, [part("a", 3, 6)]),
            (PRODUCTS, [terms]),
        )
    ]
    found = by_day(stock_features_frame(*frames, until=day(4)).toPandas())
    assert found["on_hand"].tolist() == [10, 9, 9, 7, 7]
    assert found["on_order"].tolist() == [0, 6, 6, 0, 0]
    assert found["next_arrival_days"].fillna(-1).tolist() == [-1, 3, 2, -1, -1]
    assert found["in_stock_28d"].tolist() == pytest.approx([1, 0.75, 0.75, 2.5 / 3, 3.5 / 4])
    assert found["stockout_days_28d"].tolist() == [0, 1, 1, 1, 1]
    assert found["shelf_price"].tolist() == [2, 3, 4, 4, 4]
    assert found["learned_lead_time_days"].tolist() == [4, 4, 4, 2, 2]
    assert found.loc[4, ["supplier_id", "unit_cost", "pack_size", "review_period_days"]].tolist() == ["north", 1.5, 6, 7]
    assert (found["known_at"] == pd.to_datetime(found["ds"]) + timedelta(days=1)).all()
    later = by_day(stock_features_frame(*frames, until=day(4), since=day(3)).toPandas())
    pd.testing.assert_frame_equal(later, found.loc[3:])
