"""The DDL declares what the tables declare, and every named query gives the answer that was worked out by hand."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest

from data_ingest.tables import (
    BASKETS,
    FACTS,
    INGESTED,
    LEAD_TIMES,
    PRICE_DAILY,
    PRODUCTS,
    QUARANTINE,
    SALES_DAILY,
    STOCK_DAILY,
    STORE_DAYS,
    STORES,
    VISITS_DAILY,
)  # fmt: skip
from infra.settings import load_settings
from infra.tables import Table
from infra.warehouse import SQL, Warehouse
from monitoring.tables import DRIFT, MONITORING
from tests.infra.filled import fill
from training.tables import ALERTS, DECISIONS, FORECASTS, ORDERS

TABLES = (INGESTED, QUARANTINE, STORES, PRODUCTS, *FACTS, *DECISIONS, *MONITORING)
QUERIES = sorted(path.stem for path in (SQL / "queries").glob("*.sql"))
TYPES = {"string": "String", "double": "Float64", "bigint": "Int64", "int": "Int32", "date": "Date", "timestamp": "DateTime64(6, 'UTC')",
         "boolean": "Bool", "binary": "String"}  # fmt: skip


def day(number: int) -> date:
    """A day of January 2024: the 1st is a Monday."""
    return date(2024, 1, number)


def rows(table: Table, *given: tuple[Any, ...], names: str = "") -> pd.DataFrame:
    """A frame of the table from tuples of some of its columns; the others are null."""
    return pd.DataFrame(given, columns=names.split() or table.names).reindex(columns=table.names).astype(object)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Warehouse:
    """Two stores, three products, a fortnight."""
    made = Warehouse(load_settings(home=tmp_path_factory.mktemp("sql")).warehouse_url)
    data = {
        PRODUCTS: rows(PRODUCTS, ("p1", "Milk", "dairy"), ("p2", "Bread", "bakery"), names="product_id description department"),
        SALES_DAILY: rows(SALES_DAILY, *[("s1", "p1", day(n), 2.0, 0.0, 4.0, 0.5, 0.0, 1, 1) for n in range(1, 9)],
                          ("s1", "p2", day(1), 1.0, 0.0, 3.0, 0.0, 0.0, 1, 1), ("s2", "p9", day(9), 5.0, 1.0, 50.0, 0.0, 0.0, 1, 1)),
        STOCK_DAILY: rows(STOCK_DAILY, *[("s1", "p1", day(n), 9.0, 9.0, 0.0, 0.0, 0.0, 1.0) for n in range(1, 9)],
                          ("s1", "p1", day(9), 1.0, 0.0, 0.0, 0.0, 0.0, 0.25), ("s1", "p1", day(10), 0.0, -1.0, 0.0, 0.0, 0.0, 0.0),
                          ("s2", "p9", day(9), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
        PRICE_DAILY: rows(PRICE_DAILY, ("s1", "p1", day(1), 3.0, 4.0), ("s1", "p1", day(2), 1.0, 4.0), ("s1", "p1", day(10), 2.0, 4.0)),
        STORE_DAYS: rows(STORE_DAYS, *[("s1", day(n), "open") for n in range(1, 11)], ("s2", day(7), "feed_missing"), ("s2", day(8), "closed"),
                         ("s2", day(9), "open"), ("s2", day(10), "feed_missing")),
        VISITS_DAILY: rows(VISITS_DAILY, ("s1", day(1), 8, 2), ("s2", day(9), None, 1), ("s2", day(10), 0, 0)),
        BASKETS: rows(BASKETS, ("b1", "s1", "c1", "p1", day(1), 1.0, 2.0), ("b1", "s1", "c1", "p2", day(1), 1.0, 3.0),
                      ("b2", "s1", "c1", "p1", day(3), 1.0, 2.0), ("b3", "s1", None, "p3", day(3), 1.0, 9.0), ("b4", "s1", "c2", "p3", day(20), 1.0, 9.0)),
        LEAD_TIMES: rows(LEAD_TIMES, ("o1", "v", "s1", "p1", day(1), day(3), None, day(3), 2.0, 10.0, 10.0),
                         ("o2", "v", "s1", "p1", day(4), day(6), None, day(8), 4.0, 10.0, 5.0), ("o3", "v", "s1", "p1", day(9), day(11), None, None, None, 10.0, None),
                         names="order_id supplier_id store_id product_id ordered_on promised_on dispatched_on received_on lead_time_days ordered_units received_units"),
        QUARANTINE: rows(QUARANTINE, ("sales", "malformed_json", "bad", b"\xff{", "f@0", None, day(2), datetime(2024, 1, 2)),
                         ("sales", "malformed_json", "bad", b"", "f@1", None, day(3), datetime(2024, 1, 3)), ("stock", "wrong_type", "w", b"x", "f", "e", day(3), datetime(2024, 1, 3))),
        INGESTED: rows(INGESTED, ("q", 0, "sales", "purchase", None, day(1), 3, datetime(2024, 1, 2)), ("q", 0, "sales", None, "malformed_json", day(2), 1, datetime(2024, 1, 2)),
                       ("q", 1, "stock", "count", None, day(2), 5, datetime(2024, 1, 3))),
        FORECASTS: rows(FORECASTS, ("s1", "p1", day(7), day(8), 1, 1.5, "1"), ("s1", "p1", day(8), day(9), 1, 1.5, "1"), ("s2", "p9", day(9), day(10), 1, 1.5, "1"),
                        names="store_id product_id origin ds horizon units model_version").fillna({f"q{n:02d}": 1.0 for n in (5, 10, 25, 50, 75, 90, 95)}),
        ORDERS: rows(ORDERS, ("s1", "p1", day(8), 3.0, 1, "1"), ("s1", "p1", day(9), 4.0, 2, "1"), ("s1", "p2", day(9), 0.0, 3, "1"), ("s1", "p9", day(9), 6.0, 1, "1"),
                     names="store_id product_id as_of order_units rank model_version"),
        ALERTS: rows(ALERTS, (day(9), "s1", "p1", 3.0, True, "spike", "why", "1"), (day(9), "s1", "p2", 1.0, False, None, None, "1"), (day(8), "s1", "p1", 9.0, True, "spike", "w", "1")),
        DRIFT: rows(DRIFT, (day(1), datetime(2024, 1, 1), "demand", "price", "psi", 0.3, 0.2, True, "a", "b", 10), (day(2), datetime(2024, 1, 2), "demand", "price", "psi", 0.1, 0.2, False, "a", "b", 10)),
    }  # fmt: skip
    for table, frame in data.items():
        fill(made, table, frame)
    return made


@pytest.fixture(scope="module")
def declared(warehouse) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All columns and all tables of the warehouse."""
    columns = warehouse.query("SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position")
    tables = warehouse.query("SELECT name, sorting_key, partition_key FROM system.tables WHERE database = currentDatabase()")
    return columns, tables.set_index("name")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_ddl_has_the_declared_columns_in_order(declared, table) -> None:
    columns, tables = declared
    found = columns[columns.table == table.name]
    bare = [re.sub(r"^(?:LowCardinality\()?(?:Nullable\()?(.*?)\)*$", r"\1", kind) for kind in found.type]
    wanted = [re.sub(r"\)*$", "", TYPES[column.type]) for column in table.columns]
    assert list(zip(found.name, bare, strict=True)) == list(zip(table.names, wanted, strict=True))
    assert tables.partition_key[table.name] == (f"toYYYYMM({table.day})" if table.day else "")
    assert tables.sorting_key[table.name]


ANSWERS: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "analytics_sales_trend": ({"since": day(1), "until": day(8)}, [(day(1), "dairy", 14.0, 28.0), (day(1), "bakery", 1.0, 3.0), (day(8), "dairy", 2.0, 4.0)]),
    "analytics_top_products": ({"since": day(1), "until": day(9), "top": 2}, [("p9", None, 5.0, 50.0, 0.0, 1), ("p1", "Milk", 16.0, 32.0, 4.0, 1)]),
    # 2 a day while in stock, times 0.75 + 1 days out, at the last price; s2 was never in stock: nothing is known
    "analytics_lost_sales": ({"since": day(1), "until": day(10), "top": 5}, [("s1", "p1", 2, 3.5, 7.0)]),
    "analytics_conversion": ({"since": day(1), "until": day(31)}, [("s1", day(1), 8, 2, 0.25)]),
    # 4 baskets, p1 in 2, p2 in 1, together in 1: 1 * 4 / 2
    "analytics_bought_together": ({"at_least": 1}, [("p1", "p2", 1, 2.0)]),
    "quality_quarantine_by_rule": ({}, [("sales", "malformed_json", 2, "2024-01-03", "bad"), ("stock", "wrong_type", 1, "2024-01-03", "w")]),
    "quality_acceptance": ({}, [("sales", "q", 0, "2024-01-02", 3, 4, 0.75), ("stock", "q", 1, "2024-01-03", 5, 5, 1.0)]),
    "quality_accepted_lately": ({}, [("stock", 5, 5, 1.0)]),  # the others landed a whole day before
    "quality_missing_feeds": ({}, [("s2", 2, day(7), day(10), day(10))]),
    "quality_impossible_stock": ({"since": day(1), "until": day(31)}, [("s1", "p1", 1, 0), ("s2", "p9", 0, 1)]),
    # the last 7 days hold 5 days in stock (4..8), the last 28 hold 8; stock share (8 + 0.25) / 10
    "features_pair_rates": ({"as_of": day(10)}, [("s1", "p1", 2.0, 2.0, 0.825, -1.0), ("s2", "p9", None, None, 0.0, 0.0)]),
    "features_supplier_reliability": ({}, [("v", 2, 3.0, 1.414, 0.5, 0.75)]),
    "features_price_position": ({"as_of": day(10)}, [("s1", "p1", 2.0, 0.5, 1.0)]),
    "features_customers": ({"as_of": day(10)}, [("c1", 7, 2, 7.0, 2)]),
}  # fmt: skip


def plain(value: Any) -> Any:
    """A value to compare: no NaN, no timestamps, no numpy numbers."""
    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()[:10]
    return value if isinstance(value, str) else float(value)


def answer(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(plain(value) for value in row) for row in frame.itertuples(index=False)]


def expected(given: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(plain(value) for value in row) for row in given]


@pytest.mark.parametrize("name", QUERIES)
def test_a_named_query_gives_the_known_answer(warehouse, name) -> None:
    parameters, rows_ = ANSWERS[name]
    assert answer(warehouse.named(name, parameters)) == expected(rows_)


def test_queries_come_in_three_groups_and_say_what_they_answer() -> None:
    assert {name.split("_")[0] for name in QUERIES} == {"analytics", "quality", "features"}
    assert all((SQL / "queries" / f"{name}.sql").read_text().startswith("-- ") for name in QUERIES)


VIEWS: dict[str, list[tuple[Any, ...]]] = {
    "SELECT department, units FROM v_sales_by_department_day WHERE ds >= '2024-01-08'": [("dairy", 2.0), ("unknown", 5.0)],
    "SELECT store_id, pairs, pairs_out, hours_out_rate FROM v_stockout_rate WHERE ds = '2024-01-09'": [("s1", 1, 1, 0.75), ("s2", 1, 1, 1.0)],
    # sold, an open day without a sale, a day without a feed
    "SELECT store_id, ds, actual, in_stock FROM v_forecast_vs_actual": [("s1", day(8), 2.0, 1.0), ("s1", day(9), 0.0, 0.25), ("s2", day(10), None, None)],
    "SELECT product_id, order_units, description FROM v_orders_today": [("p9", 6.0, None), ("p1", 4.0, "Milk")],
    "SELECT ds, product_id, description FROM v_alerts_open": [(day(9), "p1", "Milk")],
    "SELECT ds, drifted FROM v_drift_latest": [(day(2), 0)],
    "SELECT ds, units_7d FROM f_pair_rates WHERE store_id = 's1' AND ds IN ('2024-01-01', '2024-01-10')": [(day(1), 2.0), (day(10), 2.0)],
    "SELECT customer_id, baskets, last_day FROM f_customer": [("c1", 2, day(3)), ("c2", 1, day(20))],
}  # fmt: skip


@pytest.mark.parametrize("sql", VIEWS, ids=lambda sql: re.search(r"FROM (\w+)", sql).group(1))
def test_a_view_gives_the_known_answer(warehouse, sql) -> None:
    given = answer(warehouse.query(sql))
    wanted = expected(VIEWS[sql])
    assert (given if "v_orders" in sql else sorted(given, key=str)) == (wanted if "v_orders" in sql else sorted(wanted, key=str))


def test_every_view_is_tried(warehouse) -> None:
    views = set(warehouse.query("SELECT name FROM system.tables WHERE engine = 'View' AND database = currentDatabase()").name)
    texts = " ".join([*VIEWS, *((SQL / "queries" / f"{name}.sql").read_text() for name in QUERIES)])
    assert [view for view in sorted(views) if view not in texts] == []
