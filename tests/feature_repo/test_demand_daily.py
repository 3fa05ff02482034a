"""The dense panel: what a day without a sale means, and which days there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from data_ingest.tables import PRICE_DAILY, PROMOTIONS, SALES_DAILY, STOCK_DAILY, STORE_DAYS
from feature_repo.demand_daily import demand_daily_frame, last_whole_day
from infra.tables import Table
from tests.feature_repo.facts import day, frame_of, silver_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Panel = Callable[[dict[Table, pd.DataFrame], date], pd.DataFrame]


def one_pair(statuses: list[str], sales: list[dict], **others: list[dict]) -> dict[Table, pd.DataFrame]:
    """Facts of store 1 and product 5 whose calendar has these statuses from day 0 on."""
    key = {"store_id": "1", "product_id": "5"}
    facts = {
        SALES_DAILY: sales,
        STOCK_DAILY: others.get("stock", []),
        PRICE_DAILY: others.get("price", []),
        PROMOTIONS: others.get("promotions", []),
    }
    rows = {table: pd.DataFrame([{**key, **row} for row in given]) for table, given in facts.items()}
    return {**rows, STORE_DAYS: pd.DataFrame([{"store_id": "1", "ds": day(at), "status": status} for at, status in enumerate(statuses)])}


def test_the_three_kinds_of_days_without_a_sale(daily_of: Panel) -> None:
    sale = {"ds": day(0), "units": 4.0, "revenue": 10.0, "returned_units": 1.0, "lines": 2, "baskets": 2}
    panel = daily_of(one_pair(["open", "open", "closed", "feed_missing", "open"], [sale]), day(4)).set_index("ds")
    assert panel["units"].fillna(-1).tolist() == [4, 0, 0, -1, 0]
    assert panel["open"].tolist() == [True, True, False, True, True]
    for name in ("revenue", "lines", "baskets", "returned_units"):
        assert panel[name].isna().tolist() == [False, False, False, True, False], name
    assert panel.loc[day(1), ["revenue", "lines", "baskets", "returned_units"]].tolist() == [0, 0, 0, 0]


def test_a_day_that_the_calendar_lacks_counts_as_feed_missing(daily_of: Panel) -> None:
    facts = one_pair(["open", "open", "open"], [{"ds": day(0), "units": 1.0, "revenue": 1.0}])
    facts[STORE_DAYS] = facts[STORE_DAYS].drop(index=1)
    assert daily_of(facts, day(2))["units"].fillna(-1).tolist() == [1, -1, 0]


def test_a_pair_lives_from_its_first_event_of_any_kind_to_the_last_known_day(daily_of: Panel) -> None:
    sold = [{"ds": day(3), "units": 1.0, "revenue": 2.0}]
    facts = one_pair(
        ["open"] * 6, sold, price=[{"ds": day(2), "price": 2.5, "regular_price": 3.0}], stock=[{"ds": day(1), "in_stock": 0.25}]
    )
    panel = daily_of(facts, day(5))
    assert panel["ds"].tolist() == [day(at) for at in range(1, 6)]
    assert panel["in_stock"].tolist() == [0.25, 1, 1, 1, 1]


def test_price_is_the_shelf_price_else_what_was_paid(daily_of: Panel) -> None:
    sold = [{"ds": day(0), "units": 2.0, "revenue": 3.0}, {"ds": day(1), "units": 1.0, "revenue": 2.0}]
    panel = daily_of(one_pair(["open"] * 3, sold, price=[{"ds": day(1), "price": 2.25, "regular_price": 3.0}]), day(2))
    assert panel["price"].fillna(-1).tolist() == [1.5, 2.25, -1]
    assert panel["regular_price"].fillna(-1).tolist() == [1.5, 3.0, -1]


def test_promotions_run_from_their_first_to_their_last_day_inclusive(daily_of: Panel) -> None:
    promotions = [
        {"promotion_id": "a", "promotion_kind": "discount", "starts_on": day(1), "ends_on": day(2)},
        {"promotion_id": "b", "promotion_kind": "discount", "starts_on": day(2), "ends_on": day(2)},
        {"promotion_id": "c", "promotion_kind": "mailer", "starts_on": day(3), "ends_on": None},
    ]
    panel = daily_of(one_pair(["open"] * 5, [{"ds": day(0), "units": 1.0, "revenue": 1.0}], promotions=promotions), day(4))
    assert panel["promotion"].tolist() == [0, 1, 1, 0, 0]
    assert panel["mailer"].tolist() == [0, 0, 0, 1, 1]
    assert panel["display"].tolist() == [0] * 5


@pytest.mark.parametrize("since", [0, 1, 11])
def test_rows_since_a_day_are_the_rows_of_the_whole_panel(spark: SparkSession, since: int) -> None:
    tables = {table.name: frame_of(spark, table, rows) for table, rows in silver_rows(12).items()}
    key = ["store_id", "product_id", "ds"]
    whole = demand_daily_frame(tables, day(11)).toPandas()
    part = demand_daily_frame(tables, day(11), day(since)).toPandas()
    expected = whole[whole["ds"] >= day(since)].sort_values(key).reset_index(drop=True)
    pd.testing.assert_frame_equal(part.sort_values(key).reset_index(drop=True), expected)


@pytest.mark.parametrize(
    ("now", "until"),
    [("2017-01-10T02:59Z", 6), ("2017-01-10T03:00Z", 7), ("2017-01-20T00:00Z", 9), ("2017-01-03T02:59Z", None)],
)
def test_a_day_counts_when_it_is_over_in_every_store(spark: SparkSession, now: str, until: int | None) -> None:
    known = spark.createDataFrame([(day(at),) for at in range(10)], "ds date")
    stores = pd.DataFrame({"store_id": ["east", "west"], "utc_offset_hours": [1.0, -5.0], "close_hour": [None, 22]})
    assert last_whole_day(known, stores, datetime.fromisoformat(now)) == (None if until is None else day(until))
