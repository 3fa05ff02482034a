"""The warehouse: a month is swapped in whole and leaves others alone, and nobody waits for ever."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

import infra.warehouse as module
from infra.errors import BadInput, NotReady
from infra.tables import Table, columns
from infra.warehouse import Swap, Warehouse, named_query, redacted, statements
from tests.infra.filled import arrow_rows, fill
from training.tables import ORDERS, SLOW_MOVERS

D1, D2, D3 = date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1)


@pytest.fixture
def warehouse(settings) -> Warehouse:
    return Warehouse(settings.warehouse_url)


def movers(*rows: tuple[date, str, float]) -> pd.DataFrame:
    return pd.DataFrame([(day, "s1", product, p, "keep", None, "1") for day, product, p in rows], columns=SLOW_MOVERS.names)


def held(warehouse: Warehouse) -> list[tuple[date, str, float]]:
    rows = warehouse.query("SELECT toString(origin) AS d, product_id, probability FROM slow_movers ORDER BY d, product_id")
    return [(date.fromisoformat(d), product, p) for d, product, p in rows.itertuples(index=False)]


def test_months_are_swapped_whole_and_others_are_kept(warehouse) -> None:
    fill(warehouse, SLOW_MOVERS, movers((D1, "a", 0.1), (D2, "a", 0.2), (D3, "a", 0.3)))
    for _ in range(2):
        fill(warehouse, SLOW_MOVERS, movers((D2, "b", 0.5)))
        assert held(warehouse) == [(D2, "b", 0.5), (D3, "a", 0.3)]
    fill(warehouse, SLOW_MOVERS, movers(), ["202402"])
    assert held(warehouse) == [(D2, "b", 0.5)]


def test_a_kill_before_the_swap_leaves_the_table_as_it_was(warehouse, monkeypatch) -> None:
    left = "SELECT name FROM system.tables WHERE name LIKE 'staging%' AND database = currentDatabase()"
    fill(warehouse, SLOW_MOVERS, movers((D1, "a", 0.1)))
    with warehouse.client() as client:
        swap = Swap(client, SLOW_MOVERS)
        swap.__enter__()
        swap.fill([arrow_rows(SLOW_MOVERS, movers((D1, "half", 0.5)))])
    assert held(warehouse) == [(D1, "a", 0.1)]
    fill(warehouse, SLOW_MOVERS, movers((D1, "b", 0.2)))
    assert held(warehouse) == [(D1, "b", 0.2)]
    # another may still be filling it: only one that is old is dropped
    assert warehouse.query(left)["name"].tolist() == [swap.staging]
    monkeypatch.setattr(module, "LEFT_SECONDS", -1)
    fill(warehouse, SLOW_MOVERS, movers((D1, "b", 0.2)))
    assert warehouse.query(left).empty


def test_two_at_a_time_never_mix_their_rows(warehouse) -> None:
    warehouse.bootstrap()
    with warehouse.client() as client, Swap(client, SLOW_MOVERS) as one, Swap(client, SLOW_MOVERS) as other:
        one.fill([arrow_rows(SLOW_MOVERS, movers((D1, "a", 0.1)))])
        other.fill([arrow_rows(SLOW_MOVERS, movers((D1, "b", 0.2), (D2, "b", 0.2)))])
        one.into(["202401"])
        assert [row[0] for row in client.query("SELECT product_id FROM slow_movers").result_rows] == ["a"]
        other.into(["202401"])
    assert held(warehouse) == [(D1, "b", 0.2), (D2, "b", 0.2)]


def test_missing_values_stay_missing(warehouse) -> None:
    known = {"as_of": D1, "store_id": "s", "product_id": "p", "order_units": 3.0, "rank": 1, "model_version": "1"}
    fill(warehouse, ORDERS, pd.DataFrame([dict.fromkeys(ORDERS.names) | known]))
    found = warehouse.query("SELECT on_hand IS NULL AS a, why IS NULL AS b, supplier_id IS NULL AS c, rank FROM orders")
    assert found.iloc[0].tolist() == [1, 1, 1, 1]


def test_a_folder_in_use_is_waited_for_then_told(warehouse, monkeypatch) -> None:
    warehouse.bootstrap()
    hold = "import sys, time, clickhouse_connect as c; held = c.get_client(dsn=sys.argv[1]); print('held', flush=True); time.sleep(4)"
    with subprocess.Popen([sys.executable, "-c", hold, warehouse.url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
        with pytest.raises(NotReady, match="cannot be opened"):
            warehouse.query("SELECT 1")
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 60.0)
        assert len(warehouse.query("SELECT 1 AS one")) == 1


def test_a_password_is_sent_by_tls_or_not_at_all(monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hear() -> None:
            caller, _ = server.accept()
            with caller, server:  # nobody is there for a second try
                heard.append(caller.recv(4096))

        listener = threading.Thread(target=hear)
        listener.start()
        with pytest.raises(NotReady, match="cannot be opened") as told:
            Warehouse(f"clickhouses://me:secret@127.0.0.1:{server.getsockname()[1]}/db").query("SELECT 1")
        listener.join(10)
    handshake = 0x16
    assert heard[0][0] == handshake and b"HTTP" not in heard[0] and "secret" not in str(told.value)


def test_names_that_are_not_there_are_told() -> None:
    with pytest.raises(BadInput, match="analytics_sales_trend"):
        named_query("nonsense")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "analytics_conversion asks for since (Date), until (Date): nothing was given"),
        ({"since": "2024-01-01", "until": "2024-02-01", "top": "3"}, "since, until, top was given"),
        (
            {"since": "2024-01-01", "until": "yesterday"},
            "expects since as Date, until as Date: since=2024-01-01, until=yesterday was given",
        ),
    ],
)
def test_what_a_query_asks_for_must_be_given(warehouse, given, sentence) -> None:
    warehouse.bootstrap()
    with pytest.raises(BadInput, match=re.escape(sentence)):
        warehouse.named("analytics_conversion", given)


def test_statements_are_split_at_line_ends_and_comments_dropped() -> None:
    assert statements("-- a; b\nSELECT ';' AS x;\n\nSELECT 2;\n-- end") == ["SELECT ';' AS x", "SELECT 2"]
    assert redacted("clickhouse://me:secret@host:9000/db") == "clickhouse://me:***@host:9000/db"


def test_a_table_declares_the_same_types_to_spark_and_arrow(spark) -> None:
    table = Table("t", "silver", columns(("a", "string"), ("b", "double"), ("c", "bigint"), ("d", "int"), ("e", "date"), ("f", "timestamp"),
                                         ("g", "boolean"), ("h", "binary"), ("i", "array<int>")), ("a",))  # fmt: skip
    schema = spark.createDataFrame([], table.spark_schema()).toArrow().schema
    assert [field.type for field in schema] == [field.type for field in table.arrow_schema()]
    assert isinstance(table.arrow_schema(), pa.Schema)
