"""A user's file as events: what it says is what is written, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from data_ingest.catalogue import declare_stores
from data_ingest.contracts import TOPICS, problem
from data_ingest.csv_import import import_csv
from data_ingest.ingest import ingest
from data_ingest.tables import EVENTS, PRODUCTS, PURCHASE_HISTORY, STORES
from data_ingest.user_file import UserFile, read_user_file
from infra.alone import alone
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings, load_settings

TILL = """Shop,Article,When,Qty,Price,Ticket,Client
north,milk,2024-05-31T23:30:00,2,1.20,t1,anna
north,bread,2024-05-31T23:30:00,1,3.00,t1,anna
south,milk,2024-06-01T09:00:00+00:00,1,1.20,t2,
"""
NAMES = {"store_id": "Shop", "product_id": "Article", "occurred_at": "When", "units": "Qty",
         "unit_price": "Price", "basket_id": "Ticket", "customer_id": "Client"}  # fmt: skip
DAYS = "store_id,product_id,ds,units,price,category\ns1,p1,2024-01-01,3,2.0,tea\ns1,p1,2024-01-02,0,2.0,tea\ns1,p2,2024-01-01,1.5,9.0,\n"


def events(settings: Settings) -> dict[str, list[dict]]:
    root = Path(settings.events_url.removeprefix("file://"))
    return {t: [json.loads(line) for f in sorted((root / t).glob("*.jsonl")) for line in f.read_text().splitlines()] for t in TOPICS}


def write(folder: Path, text: str, name: str = "own.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_till_lines_become_purchases_and_the_same_file_again_doubles_nothing(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    path = write(tmp_path, TILL)
    done = import_csv(spark, settings, path, mapping=NAMES, utc_offset_hours=2.0, source="erp")
    first = events(settings)
    assert done.rows == 3 and done.events["sales"] == 3 and done.written == sum(done.events.values()) and done.new_stores == 2
    assert not [said for t, found in first.items() for e in found if (said := problem(TOPICS[t], e))]
    milk, bread, south = first["sales"]
    assert (milk["occurred_at"], milk["basket_id"], milk["customer_id"], milk["units"], milk["unit_price"], milk["source"]) == (
        "2024-05-31T21:30:00Z", "erp-north-20240531-t1", "anna", 2, 1.2, "erp")  # fmt: skip
    assert south["occurred_at"] == "2024-06-01T09:00:00Z" and "customer_id" not in south and bread["basket_id"] == milk["basket_id"]
    again = import_csv(spark, settings, path, mapping=NAMES, utc_offset_hours=2.0, source="erp")
    assert again.written == 0 and (again.new_stores, again.new_products) == (0, 0) and events(settings) == first
    lake = Lake(settings.lake_url)
    assert set(lake.read_pandas(STORES)["store_id"]) == {"north", "south"} and set(lake.read_pandas(PRODUCTS)["product_id"]) == {
        "milk",
        "bread",
    }
    history = lake.read_pandas(PURCHASE_HISTORY)
    assert len(history) == 3 and history["revenue"].sum() == pytest.approx(6.6) and str(history["ds"].min()) == "2024-05-31"


def test_a_file_that_overlaps_adds_what_is_new_and_equal_rows_of_a_file_all_count(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    head, *lines = TILL.splitlines()
    lines.append(lines[0])  # the same line twice on a receipt
    later = "north,milk,2024-06-01T10:00:00,1,1.20,t9,"
    for name, rows in (("may.csv", lines), ("saved again.csv", lines[::-1]), ("june.csv", [*lines[1:], later])):
        import_csv(spark, settings, write(tmp_path, "\n".join([head, *rows]) + "\n", name), mapping=NAMES, source="erp")
    said = ingest(spark, settings, now=datetime(2024, 6, 3))
    found = Lake(settings.lake_url).read_pandas(EVENTS, ["event_type", "product_id", "units"])
    sold = found[found["event_type"] == "purchase"]
    assert (len(sold), sold["units"].sum()) == (5, 2 + 1 + 1 + 2 + 1)
    assert set(said.quarantined) == {"duplicate_event"}
    # what was corrected is another row: both count
    import_csv(spark, settings, write(tmp_path, "\n".join([head, lines[1].replace(",1,", ",4,")]) + "\n"), mapping=NAMES, source="erp")
    assert ingest(spark, settings, now=datetime(2024, 6, 3)).accepted["sales"] == 1


def test_a_receipt_number_is_one_basket_a_store_and_day(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    rows = [("7", "2024-01-01"), ("7", "2024-01-01"), ("8", "2024-01-01"), ("7", "2024-01-02")]
    text = "store_id,product_id,ds,units,basket_id\n" + "".join(f"{store},p{n},{ds},1,0001\n" for n, (store, ds) in enumerate(rows))
    import_csv(spark, settings, write(tmp_path, text))
    sold = [e["basket_id"] for e in events(settings)["sales"]]
    assert sold[0] == sold[1] and len(set(sold)) == 3
    assert set(Lake(settings.lake_url).read_pandas(PURCHASE_HISTORY)["basket_id"]) == set(sold)
    other = load_settings(home=tmp_path / "other")
    import_csv(spark, other, write(tmp_path, text), unique_baskets=True)
    assert {e["basket_id"] for e in events(other)["sales"]} == {"0001"}


def test_another_offset_of_a_known_store_is_refused(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, DAYS)
    import_csv(spark, settings, path, utc_offset_hours=-5.0)
    before = events(settings)
    with pytest.raises(BadInput, match=r"own.csv: store 's1' is known with utc_offset_hours -5, and 0 was given; expected the same"):
        import_csv(spark, settings, write(tmp_path, "store_id,product_id,ds,units\ns1,p1,2024-01-02,5\n"), kind="stock")
    assert events(settings) == before


def test_day_rows_are_a_basket_each_and_a_zero_says_the_store_was_open(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    done = import_csv(spark, settings, write(tmp_path, DAYS))
    found = events(settings)
    assert [e["units"] for e in found["sales"]] == [3, 1.5] and len({e["basket_id"] for e in found["sales"]}) == 2
    assert found["sales"][0]["occurred_at"] == "2024-01-01T12:00:00Z"
    pos = pd.DataFrame(found["pos"])
    assert (pos["event_type"] == "store_opened").sum() == 2 and (pos["event_type"] == "price_changed").sum() == 2
    goods = Lake(settings.lake_url).read_pandas(PRODUCTS).set_index("product_id")
    assert goods.loc["p1", "category"] == "tea" and goods.loc["p2", "description"] == "p2" and (done.first.day, done.last.day) == (1, 2)


def test_a_later_file_completes_what_is_not_known_of_a_product_and_changes_nothing_else(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    import_csv(spark, settings, write(tmp_path, DAYS))
    more = "store_id,product_id,ds,units,category,unit_cost,lead_time_days,description\ns1,p1,2024-01-03,1,coffee,1.5,,Green tea\n"
    done = import_csv(spark, settings, write(tmp_path, more))
    assert (done.new_products, done.completed_products, done.completed_stores) == (0, 1, 0)
    lake = Lake(settings.lake_url)
    goods = lake.read_pandas(PRODUCTS).set_index("product_id")
    assert goods.loc["p1", ["category", "unit_cost", "description"]].tolist() == ["tea", 1.5, "Green tea"]
    assert pd.isna(goods.loc["p1", "lead_time_days"]) and goods.loc["p2", "description"] == "p2" and pd.isna(goods.loc["p2", "unit_cost"])
    version = lake.version(PRODUCTS)
    again = import_csv(spark, settings, write(tmp_path, more.replace("1.5,", "9,").replace("Green", "Black")))
    assert again.completed_products == 0 and lake.version(PRODUCTS) == version
    lake.overwrite(spark.createDataFrame([("s1", 0.0, None, None)], STORES.spark_schema()), STORES)
    assert import_csv(spark, settings, write(tmp_path, more.replace("p1", "p2"))).completed_stores == 1
    assert lake.read_pandas(STORES)[["open_hour", "close_hour"]].values.tolist() == [[7, 22]]


def test_two_imports_at_once_lose_none_of_each_others_stores(spark: SparkSession, settings: Settings) -> None:
    lake, place = Lake(settings.lake_url), {"utc_offset_hours": 0.0, "open_hour": 7, "close_hour": 22}
    lake.overwrite(spark.createDataFrame([("s1", 0.0, 7, 22)], STORES.spark_schema()), STORES)
    second = Thread(target=declare_stores, args=(spark, settings, pd.DataFrame([{"store_id": "s2", **place}])), kwargs={"keep": True})
    with alone(settings, "dimensions"):
        there = lake.read_pandas(STORES)
        second.start()
        second.join(5)
        lake.overwrite(
            spark.createDataFrame(pd.concat([there, pd.DataFrame([{"store_id": "s3", **place}])]), STORES.spark_schema()), STORES
        )
    second.join()
    assert set(lake.read_pandas(STORES)["store_id"]) == {"s1", "s2", "s3"}


def test_parquet_reads_as_csv_does(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"store_id": [1, 2], "product_id": [7.0, 8.0], "ds": pd.to_datetime(["2024-01-01", "2024-01-02"]), "units": [1, 2]}
    )
    frame.to_parquet(tmp_path / "own.parquet")
    import_csv(spark, settings, tmp_path / "own.parquet")
    assert [(e["store_id"], e["product_id"], e["unit_price"]) for e in events(settings)["sales"]] == [("1", "7", 0), ("2", "8", 0)]


def test_stock_rows_are_counts_or_what_they_say(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    rows = "store_id,product_id,ds,units,event_type\ns1,p1,2024-01-01,5,count\ns1,p1,2024-01-02,-2,adjustment\n"
    import_csv(spark, settings, write(tmp_path, rows), kind="stock")
    assert [(e["event_type"], e["units"]) for e in events(settings)["stock"]] == [("count", 5), ("adjustment", -2)]


def test_a_count_of_a_day_is_of_its_end_and_what_moved_on_a_day_moved_before(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    sold = "store_id,product_id,occurred_at,units\ns1,p1,2024-01-01T09:00,3\ns1,p1,2024-01-01T23:30,3\n"
    import_csv(spark, settings, write(tmp_path, sold), utc_offset_hours=-5.0)
    rows = "store_id,product_id,ds,units,event_type\ns1,p1,2024-01-01,5,count\ns1,p1,2024-01-01,9,receipt\n"
    import_csv(spark, settings, write(tmp_path, rows), kind="stock", utc_offset_hours=-5.0)
    import_csv(spark, settings, write(tmp_path, "store_id,product_id,ds,units\ns1,p1,2024-01-03,4\n"), kind="stock", utc_offset_hours=-5.0)
    times = {(e["event_type"], e["units"]): e["occurred_at"] for e in events(settings)["stock"]}
    assert times == {("count", 5): "2024-01-02T04:59:59Z", ("receipt", 9): "2024-01-01T17:00:00Z", ("count", 4): "2024-01-04T04:59:59Z"}
    assert max(e["occurred_at"] for e in events(settings)["sales"]) < times["count", 5]
    import_csv(spark, settings, write(tmp_path, "store_id,product_id,occurred_at,units\ns1,p1,2024-01-05T06:00,4\n"), kind="stock",
               utc_offset_hours=-5.0)  # fmt: skip
    assert "2024-01-05T11:00:00Z" in {e["occurred_at"] for e in events(settings)["stock"]}


def test_an_id_may_read_as_no_value_and_a_number_or_a_customer_may_not(tmp_path: Path) -> None:
    text = "store_id,product_id,customer_id,discount,units\nNA,null,NULL,NA,1\nnorth,None,anna,,\n"
    file = read_user_file(write(tmp_path, text), {})
    assert file.text("store_id").tolist() == ["NA", "north"] and file.text("product_id").tolist() == ["null", "None"]
    assert file.text("customer_id", required=False).tolist() == [None, "anna"]
    assert file.number("discount", 0, 9, default=0.0).tolist() == [0.0, 0.0]
    with pytest.raises(BadInput, match=r"column 'units', row 2: is empty; expected units as a number"):
        file.number("units", 0, 9)


@pytest.mark.parametrize("zone", ["+02", "+0200", "+02:00", " +02"])
def test_a_time_says_its_own_zone_and_one_without_is_local(zone: str) -> None:
    told = ["2024-05-31 10:00:00" + zone, "2024-05-31T10:00:00Z", "2024-05-31t10:00:00z", "2024-05-31 10:00:00", "2024-05-31"]
    times = UserFile("own.csv", pd.DataFrame({"occurred_at": told}), {}).times("occurred_at", -5.0)
    assert [str(time)[:16] for time in times] == ["2024-05-31T08:00", *["2024-05-31T10:00"] * 2, "2024-05-31T15:00", "2024-05-31T05:00"]


@pytest.mark.parametrize("zone", ["+2", "-5:00", "+020", "+02:00:00"])
def test_a_zone_that_is_none_of_iso_8601_is_refused(zone: str) -> None:
    told = pd.DataFrame({"occurred_at": ["2024-05-31 10:00:00", "2024-05-31 10:00:00" + zone]})
    with pytest.raises(BadInput, match=r"own.csv: column 'occurred_at', row 2: '2024-05-31 10:00:00\S+' is not a time; expected"):
        UserFile("own.csv", told, {}).times("occurred_at", 0.0)


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (TILL, {"mapping": {**NAMES, "units": "Pieces"}}, "column 'Pieces' for units is missing; it has Shop, Article"),
        (DAYS.replace("2024-01-02", "2024-13-02"), {}, r"own.csv: column 'ds', row 2: '2024-13-02' is not a day; expected ds as YYYY"),
        (DAYS.replace(",1.5,", ",-1.5,"), {}, r"column 'units', row 3: '-1.5' is out of range; expected units as a number from 0"),
        (DAYS.replace(",1.5,", ",many,"), {}, r"column 'units', row 3: 'many' is not a number"),
        (DAYS.replace("s1,p2,", ",p2,"), {}, r"column 'store_id', row 3: is empty; expected store_id as text"),
        (TILL.replace("2024-06-01T09", "yesterday"), {"mapping": NAMES}, r"column 'When', row 3: .* is not a time; expected occurred_at"),
        (DAYS.splitlines()[0] + "\n", {}, "has no rows"),
        ("", {}, "own.csv is empty"),
        (DAYS.replace("2024-01-02", "2042-01-02"), {}, r"column 'ds', row 2: '2042-01-02' is in the future; expected nothing later than"),
        (TILL.replace("05-31T23:30:00,1", "06-02T23:30:00,1"), {"mapping": NAMES, "now": datetime(2024, 6, 1, 23, tzinfo=UTC)},
         r"column 'When', row 2: '2024-06-02T23:30:00' is in the future; expected nothing later than 2024-06-02 23:00 UTC"),
        ("\x00\x00", {"name": "own.parquet"}, "cannot be read as parquet"),
        (DAYS, {"name": "own.xls"}, "expected a .csv or .parquet file"),
        (DAYS, {"kind": "fish"}, "kind is 'fish': expected sales or stock"),
        (DAYS, {"mapping": {"colour": "price"}}, "there is no field 'colour'"),
        (DAYS, {"utc_offset_hours": 100.0}, "utc_offset_hours is 100.0: expected -14 to 14"),
        (DAYS.replace("units", "units,event_type").replace(",2.0", ",eaten,2.0").replace(",9.0", ",count,9.0"), {"kind": "stock"},
         "column 'event_type', row 1: 'eaten' of 3 units; expected one of receipt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_written(
    spark: SparkSession, settings: Settings, tmp_path: Path, text: str, more: dict, said: str
) -> None:
    path = write(tmp_path, text, more.pop("name", "own.csv"))
    with pytest.raises(BadInput, match=said) as caught:
        import_csv(spark, settings, path, **more)
    assert "\n" not in str(caught.value)
    assert not any(events(settings).values()) and not Lake(settings.lake_url).exists(STORES)


def test_a_path_that_is_no_file_is_named(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a file: expected a \.csv or \.parquet file"):
        import_csv(spark, settings, tmp_path)


def test_bytes_that_are_no_text_are_refused(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(b"store_id,product_id,ds,units\n\xff\xfe,p,2024-01-01,1\n")
    with pytest.raises(BadInput, match=r"own.csv cannot be read as csv"):
        import_csv(spark, settings, path)


@pytest.mark.parametrize("source", ["../x", "till/7", "", "_till", "a b"])
def test_a_source_that_cannot_begin_a_files_name_is_refused(settings: Settings, tmp_path: Path, source: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"--source is {source!r}: expected letters")):
        import_csv(None, settings, write(tmp_path, DAYS), source=source)  # type: ignore[arg-type]  # refused before Spark is asked
    assert not settings.home.exists()
