"""The lake: a batch counts once, days are replaced in one commit, and what changed since a version is known."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from data_ingest.tables import INGESTED
from infra.errors import NotReady
from infra.lake import Lake, months_between, months_of, of_parts
from infra.publish import publish
from infra.settings import load_settings
from infra.tables import Table, columns
from infra.warehouse import Warehouse
from tests.infra.filled import lay
from training.tables import SLOW_MOVERS

T = Table("t", "silver", columns(("k", "string"), ("ds", "date"), ("x", "double")), ("k", "ds"), "ds")
JAN, FEB = date(2024, 1, 31), date(2024, 2, 1)


def frame(spark, *rows):
    return spark.createDataFrame(rows, T.spark_schema())


def held(lake: Lake, table: Table = T) -> list[tuple]:
    return sorted(lake.read_pandas(table).itertuples(index=False, name=None))


def test_a_batch_counts_once_for_each_app(spark, settings) -> None:
    lake = Lake(settings.lake_url)
    for app, batch in (("a", 0), ("a", 0), ("a", 1), ("b", 0), ("a", 1)):
        lake.append(frame(spark, (f"{app}{batch}", JAN, 1.0)), T, app, batch)
    assert [row[0] for row in held(lake)] == ["a0", "a1", "b0"]
    assert lake.version(T) == 2


def test_days_are_replaced_and_others_kept(spark, settings) -> None:
    lake = Lake(settings.lake_url)
    lake.replace_days(frame(spark, ("a", JAN, 1.0), ("a", FEB, 2.0)), T, [JAN, FEB])
    lake.replace_days(frame(spark, ("b", FEB, 3.0)), T, [FEB])
    assert held(lake) == [("a", JAN, 1.0), ("b", FEB, 3.0)]
    lake.replace_days(frame(spark), T, [FEB])
    assert held(lake) == [("a", JAN, 1.0)]
    lake.replace_days(frame(spark, ("z", FEB, 9.0)), T, [])
    assert lake.version(T) == 2
    with pytest.raises(Exception, match=r"(?i)replaceWhere|DELTA_REPLACE_WHERE_MISMATCH"):
        lake.replace_days(frame(spark, ("c", JAN, 1.0)), T, [FEB])


def test_files_tell_what_changed_since_a_version(spark, settings) -> None:
    lake = Lake(settings.lake_url)
    assert lake.files(T) == set() and not lake.exists(T)
    lake.append(frame(spark, ("a", JAN, 1.0)), T, "a", 0)
    first = lake.files(T, 0)
    lake.append(frame(spark, ("b", FEB, 1.0)), T, "a", 1)
    assert lake.files(T, 0) == first
    assert months_of(lake.files(T) - first) == {"2024-02"}
    assert lake.files_seen(T, 99) == set()
    with pytest.raises(NotReady, match="does not have its version 99"):
        lake.files(T, 99)
    assert sorted(spark.read.parquet(*lake.files(T)).select("k").toPandas().k) == ["a", "b"]
    assert sum(batch.num_rows for batch in lake.arrow(T, "2024-01")) == 1
    assert [row.k for row in lake.read(spark, T, 0).collect()] == ["a"]


def test_a_table_that_was_never_written_says_what_to_run(spark, settings) -> None:
    with pytest.raises(NotReady, match="silver/t yet: run `shelfcast ingest`"):
        Lake(settings.lake_url).read(spark, T)
    with pytest.raises(NotReady, match="shelfcast"):
        Lake(settings.lake_url).read_pandas(T)


def test_days_are_told_by_bounds_and_the_newest_without_the_months_before(settings) -> None:
    lake = Lake(settings.lake_url)
    assert lake.days(SLOW_MOVERS) == []
    days = [date(2024, 1, 30), JAN, FEB, FEB]
    lay(lake, SLOW_MOVERS, pd.DataFrame({"origin": days, "product_id": list("abcd")}))
    assert lake.days(SLOW_MOVERS) == [date(2024, 1, 30), JAN, FEB]
    assert lake.days(SLOW_MOVERS, since=JAN, until=JAN) == [JAN]
    assert lake.days(SLOW_MOVERS, until=JAN, newest=1) == [JAN]
    shutil.rmtree(Path(lake.path(SLOW_MOVERS).removeprefix("file://")) / "month=2024-01")
    assert lake.days(SLOW_MOVERS, newest=1) == [FEB]


def test_publishing_copies_what_changed_and_survives_a_lost_warehouse(spark, settings) -> None:
    lake, warehouse = Lake(settings.lake_url), Warehouse(settings.warehouse_url)
    names = "origin date, store_id string, product_id string, probability double, action string, why string, model_version string"

    def movers(*rows):
        return spark.createDataFrame([(day, "s", p, x, "keep", None, "1") for day, p, x in rows], names)

    def published() -> list[tuple]:
        rows = warehouse.query("SELECT toString(origin) AS d, product_id, probability FROM slow_movers ORDER BY d, product_id")
        return list(rows.itertuples(index=False, name=None))

    lake.replace_days(movers((JAN, "a", 0.5), (FEB, "a", 0.25)), SLOW_MOVERS, [JAN, FEB])
    assert publish(settings, SLOW_MOVERS) == 2
    assert publish(settings, SLOW_MOVERS) == 0
    lake.replace_days(movers((FEB, "b", 0.75)), SLOW_MOVERS, [FEB])
    assert publish(settings, SLOW_MOVERS) == 1  # February only
    both = [("2024-01-31", "a", 0.5), ("2024-02-01", "b", 0.75)]
    assert published() == both
    lake.replace_days(movers(), SLOW_MOVERS, [FEB])
    publish(settings, SLOW_MOVERS)
    assert published() == both[:1]
    shutil.rmtree(settings.warehouse_url.removeprefix("chdb://"))
    assert publish(settings, SLOW_MOVERS) == 1
    assert published() == both[:1]
    shutil.rmtree(lake.path(SLOW_MOVERS).removeprefix("file://"))
    lake.replace_days(movers((FEB, "new", 0.125)), SLOW_MOVERS, [FEB])  # a table made anew, at a version that was seen before
    publish(settings, SLOW_MOVERS)
    assert published() == [("2024-02-01", "new", 0.125)]


def test_a_month_that_grew_gets_what_is_new_once_however_often_the_copy_is_cut_off(spark, settings) -> None:
    lake, warehouse = Lake(settings.lake_url), Warehouse(settings.warehouse_url)

    def land(batch: int, *days: date) -> None:
        rows = [("q", batch, "sales", None, None, day, batch + 1, datetime(2024, 3, 1)) for day in days]
        lake.append(spark.createDataFrame(rows, INGESTED.spark_schema()).coalesce(1), INGESTED, "q", batch)

    def copied() -> list[tuple[str, int]]:
        rows = warehouse.query("SELECT toString(ds) AS d, toInt64(batch) AS b FROM ingested ORDER BY b, d")
        return list(rows.itertuples(index=False, name=None))

    land(0, JAN, FEB)
    assert publish(settings, INGESTED) == 2
    for batch in (1, 2):
        land(batch, JAN, FEB)
        assert publish(settings, INGESTED) == 2 * batch  # what came since the memory, not all that the months hold by now
        with warehouse.client() as client:  # the memory is written last: a kill before it leaves the one of the run before
            client.command("DELETE FROM published WHERE version = (SELECT max(version) FROM published)")
    land(3, FEB)
    publish(settings, INGESTED)
    everything = [(str(day), batch) for batch, days in enumerate([(JAN, FEB)] * 3 + [(FEB,)]) for day in days]
    assert copied() == everything
    # a month that lost a row is another month
    spark.sql(f"DELETE FROM delta.`{lake.path(INGESTED)}` WHERE ds = '{FEB}' AND batch = 1")
    land(4, FEB)
    publish(settings, INGESTED)
    assert copied() == sorted([*(row for row in everything if row != (str(FEB), 1)), (str(FEB), 4)], key=lambda row: (row[1], row[0]))


def test_a_lake_behind_a_link_loses_no_row_on_the_way_to_the_warehouse(spark, tmp_path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    settings = load_settings(home=tmp_path / "home", lake_url=f"file://{tmp_path}/link//lake")
    for batch in range(2):  # the second is appended, file by file
        row = ("q", batch, "sales", None, None, JAN, 1, datetime(2024, 3, 1))
        Lake(settings.lake_url).append(spark.createDataFrame([row], INGESTED.spark_schema()), INGESTED, "q", batch)
        assert publish(settings, INGESTED) == 1
    assert Warehouse(settings.warehouse_url).query("SELECT count() AS n FROM ingested")["n"].tolist() == [2]
    around = Lake(f"file://{tmp_path}/link/lake")
    with pytest.raises(NotReady, match=r"ingested does not have 2 of its files any more, such as .*: run the same again"):
        list(around.arrow_of(INGESTED, around.files(INGESTED)))


def test_parts_and_months_are_told_by_paths() -> None:
    files = {
        f"/lake/events/topic={topic}/month={month}/a.parquet" for topic in ("sales", "pos") for month in ("2023-12", "2024-01", "2024-02")
    }
    assert of_parts(files, topic=["sales"], month=["2023-12", "2024-02", "2024-03"]) == {
        f"/lake/events/topic=sales/month={month}/a.parquet" for month in ("2023-12", "2024-02")
    }
    assert of_parts(files, topic=["stock"]) == set() and len(of_parts(files, month={"2024-01": 1})) == 2
    assert months_between(date(2023, 12, 31), date(2024, 2, 1)) == {"2023-12", "2024-01", "2024-02"}
    assert (
        months_between(date(2024, 2, 1), date(2024, 2, 29)) == {"2024-02"} and months_between(date(2024, 2, 1), date(2024, 1, 1)) == set()
    )


def test_files_are_read_by_name_and_a_tables_batch_is_known(spark, tmp_path) -> None:
    lake = Lake(f"file://{tmp_path}/a b+c")
    table = Table("split", "bronze", columns(("kind", "string"), ("k", "string"), ("ds", "date")), ("k",), "ds", split="kind")
    rows = [("x", "1", date(2024, 1, 1)), ("y", "2", date(2024, 2, 1))]
    lake.append(spark.createDataFrame(rows, table.spark_schema()), table, "app", 0)
    assert (lake.batch(table, "app"), lake.batch(table, "other")) == (0, None)
    read = lake.read_files(spark, table, of_parts(lake.files(table), kind=["x"]))
    assert [tuple(row) for row in read.collect()] == rows[:1]


#: an S3 store that answers everything with one refusal; a process of its own, since delta-rs holds Python back while it waits
_REFUSING = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Store(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"<Error><Code>{sys.argv[2]}</Code></Error>".encode()
        self.send_response(int(sys.argv[1]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = HTTPServer(("127.0.0.1", 0), Store)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "NoSuchBucket", "no bucket for s3a://b/lake/silver/t: run `shelfcast bootstrap`"),
        (403, "InvalidAccessKeyId", "403 Forbidden.*: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (401, "Unauthorized", "401 Unauthorized.*: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_what_a_store_refuses_is_told_in_one_sentence(monkeypatch, status: int, code: str, said: str) -> None:
    lake = Lake("s3a://b/lake")
    with subprocess.Popen(
        [sys.executable, "-c", _REFUSING, str(status), code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as store:
        assert store.stdout is not None
        endpoint = f"http://127.0.0.1:{store.stdout.readline().strip()}"
        for name, value in {
            "ENDPOINT_URL": endpoint,
            "ALLOW_HTTP": "true",
            "REGION": "us-east-1",
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        for ask in (lake.exists, lake.version, lambda table: lake.files_seen(table, 0)):
            with pytest.raises(NotReady, match=said):
                ask(T)
        store.kill()
