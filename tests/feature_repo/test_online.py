"""Online reads: the same values as offline, without Spark."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from feature_repo.definitions import SERVICES, VIEWS, service_features, service_key, service_types
from feature_repo.history import history
from feature_repo.materialize import materialize
from feature_repo.online import OnlineFeatures, online
from feature_repo.store import apply
from infra.errors import BadInput, NotReady
from infra.lake import Lake
from infra.settings import Settings
from tests.feature_repo.facts import PAIRS, day
from tests.feature_repo.test_history import spine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def assert_online_is_offline(spark: SparkSession, settings: Settings, service: str, at: date) -> None:
    """Every value of the service at the end of day `at` is the same in both stores."""
    keys = list(service_key(service).columns)
    offline = history(spark, settings, spine(spark, service, [at]), service).toPandas().sort_values(keys).reset_index(drop=True)
    found = online(settings, offline[keys], service)
    assert found["found"].all()
    for name, kind in service_types(service).items():
        if kind == "double":
            np.testing.assert_array_equal(found[name].to_numpy(dtype=float), offline[name].to_numpy(dtype=float), err_msg=name)
        else:
            assert found[name].tolist() == offline[name].tolist(), name


@pytest.mark.parametrize("service", SERVICES)
def test_online_equals_offline_value_by_value(spark: SparkSession, built: Settings, service: str) -> None:
    assert_online_is_offline(spark, built, service, day(39))


def test_materializing_an_earlier_day_again_gives_that_day(spark: SparkSession, built: Settings, tmp_path: Path) -> None:
    # another online store over the same lake; its registry lies in the shared home
    settings = built.model_copy(update={"online_url": f"sqlite:///{tmp_path}/online.db"})
    apply(settings)
    for until in (day(39), day(33), day(33)):
        written = materialize(spark, settings, until)
    assert written == {view.name: 2 if view.name == "customer_features" else len(PAIRS) for view in VIEWS}
    for service in SERVICES:
        assert_online_is_offline(spark, settings, service, day(33))


def test_of_many_keys_the_driver_holds_a_part_at_once(
    spark: SparkSession, built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = type(spark.range(1))
    collect, held = frame.toPandas, []

    def collected(rows: DataFrame) -> pd.DataFrame:
        found = collect(rows)
        held.append(len(found))
        return found

    monkeypatch.setattr("feature_repo.materialize.COLLECTED_ROWS", 2)
    monkeypatch.setattr(frame, "toPandas", collected)
    settings = built.model_copy(update={"online_url": f"sqlite:///{tmp_path}/online.db"})
    apply(settings)
    written = materialize(spark, settings, day(39))
    assert sum(held) == sum(written.values()) and max(held) < len(PAIRS)
    monkeypatch.undo()
    assert_online_is_offline(spark, settings, "demand_v1", day(39))


def test_a_key_that_is_not_known_gives_nulls_and_says_so(built: Settings) -> None:
    keys = pd.DataFrame({"product_id": ["23", "23", "23", None], "store_id": ["1", "nowhere", "1", "1"]}, index=[7, 5, 3, 1])
    found = online(built, keys, "stock_v1")
    assert found.index.tolist() == [7, 5, 3, 1]
    assert found["found"].tolist() == [True, False, True, False]
    assert found.loc[[5, 1], service_features("stock_v1")].isna().all(axis=None)
    assert found["store_id"].tolist() == keys["store_id"].tolist()
    assert found["known_at"].tolist()[::2] == [pd.Timestamp(datetime.combine(day(40), datetime.min.time()))] * 2
    assert found["known_at"].isna().tolist() == [False, True, False, True]


def test_no_keys_give_no_rows_of_the_right_columns(built: Settings) -> None:
    found = OnlineFeatures(built).read("demand_v1", pd.DataFrame({"store_id": [], "product_id": []}))
    assert found.empty
    assert list(found.columns) == ["store_id", "product_id", *service_features("demand_v1"), "found", "known_at"]


def test_a_reader_answers_alike_however_often_it_is_asked(built: Settings) -> None:
    reader = OnlineFeatures(built)
    keys = pd.DataFrame(PAIRS, columns=["store_id", "product_id"])
    first = reader.read("demand_v1", keys)
    for _ in range(3):
        pd.testing.assert_frame_equal(reader.read("demand_v1", keys), first)


def test_missing_key_columns_services_and_registries_are_named(built: Settings, settings: Settings) -> None:
    with pytest.raises(BadInput, match="column 'product_id' is missing"):
        online(built, pd.DataFrame({"store_id": ["1"]}), "demand_v1")
    with pytest.raises(BadInput, match="no feature service 'nothing'"):
        online(built, pd.DataFrame({"store_id": ["1"], "product_id": ["5"]}), "nothing")
    with pytest.raises(NotReady, match="run `shelfcast features`"):
        OnlineFeatures(settings)


def test_what_is_older_than_its_view_allows_is_none_online_as_in_the_history(spark: SparkSession, built: Settings, tmp_path: Path) -> None:
    moved = built.model_copy(
        update={"lake_url": f"file://{tmp_path}/lake", "online_url": f"sqlite:///{tmp_path}/online.db", "home": tmp_path}
    )
    # the stock of one pair is heard of no more, and of another pair nothing is
    for view in VIEWS:
        rows = Lake(built.lake_url).read(spark, view.table)
        if "store_id" in rows.columns:
            silent = [*([("9", "23")] if view.name == "stock_features" else []), ("12", "5")]
            for store, product in silent:
                rows = rows.where(~((rows["store_id"] == store) & (rows["product_id"] == product) & (rows["ds"] > day(35))))
        Lake(moved.lake_url).overwrite(rows, view.table)
    apply(moved)
    for until, counted in ((day(35), True), (day(38), True), (day(39), False)):
        materialize(spark, moved, until)
        found = online(moved, pd.DataFrame(PAIRS, columns=["store_id", "product_id"]), "stock_v1").set_index(["store_id", "product_id"])
        assert pd.notna(found.loc[("9", "23"), "on_hand"]) == counted == found.loc[("12", "5"), "found"]
    assert found["found"].drop(("12", "5")).all() and found.loc[("9", "23"), "level"] > 0
    assert found.loc[("12", "5"), "known_at"] == pd.Timestamp(day(36))
    offline = history(spark, moved, spine(spark, "stock_v1", [day(39)]), "stock_v1").toPandas().set_index(["store_id", "product_id"])
    names = service_features("stock_v1")
    pd.testing.assert_frame_equal(found[names].isna().sort_index(), offline[names].isna().sort_index())


WITHOUT_SPARK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "py4j"):
            raise ImportError(name + " is not installed here")

sys.meta_path.insert(0, Absent())
import pandas as pd
from feature_repo.online import OnlineFeatures
from infra.settings import load_settings

reader = OnlineFeatures(load_settings(home=sys.argv[1]))
found = reader.read("stock_v1", pd.DataFrame({"store_id": ["1", "0"], "product_id": ["23", "0"]}))
assert "pyspark" not in sys.modules
print(found["found"].tolist(), found["supplier_id"].tolist(), repr(float(found["level"][0])))
"""


def test_a_process_without_pyspark_reads_the_same(built: Settings) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_SPARK, str(built.home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = online(built, pd.DataFrame({"store_id": ["1"], "product_id": ["23"]}), "stock_v1")
    assert done.stdout.strip().splitlines()[-1] == f"[True, False] ['north', None] {float(here['level'][0])!r}"


def test_corrected_values_replace_what_is_online(spark: SparkSession, built: Settings, tmp_path: Path) -> None:
    view = VIEWS[0]
    moved = built.model_copy(
        update={"lake_url": f"file://{tmp_path}/lake", "online_url": f"sqlite:///{tmp_path}/online.db", "home": tmp_path}
    )
    for each in VIEWS:
        Lake(moved.lake_url).overwrite(Lake(built.lake_url).read(spark, each.table), each.table)
    apply(moved)
    materialize(spark, moved, day(39))
    # asked before the correction too, since the answer is cached
    assert_online_is_offline(spark, moved, "demand_v1", day(39))
    gold = Lake(moved.lake_url).read(spark, view.table)
    Lake(moved.lake_url).replace_days(gold.where(gold["ds"] == day(39)).withColumn("level", gold["level"] + 1000), view.table, [day(39)])
    materialize(spark, moved, day(39))
    assert_online_is_offline(spark, moved, "demand_v1", day(39))
    keys = pd.DataFrame(PAIRS, columns=["store_id", "product_id"])
    before, after = online(built, keys, "demand_v1"), online(moved, keys, "demand_v1")
    np.testing.assert_allclose(after["level"], before["level"] + 1000)
    assert (after["known_at"] == before["known_at"]).all()
