"""The family on Spark: examples, contenders on equal terms, parity, decisions, and alerts on the stream."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from data_ingest.tables import EVENTS, PRICE_DAILY
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES
from infra.alone import alone
from infra.errors import BadInput, NothingToDo, NotReady
from infra.lake import Lake
from infra.registry import Registry
from infra.settings import Settings, load_settings
from infra.tables import Table
from tests.serving.tiny import register
from tests.training.anomaly.sales import world
from training.anomaly import examples as made
from training.anomaly.alerts import merge_alerts
from training.anomaly.examples import examples
from training.anomaly.family import FAMILY
from training.anomaly.stream import Watched, _judge, watch
from training.fill_in import fill_in
from training.score import score
from training.tables import ALERTS


@pytest.fixture(scope="module")
def home(spark, tmp_path_factory) -> Settings:
    """Settings of a lake with 30 pairs over 120 days."""
    from feature_repo.demand_snapshots import demand_features_frame

    settings = load_settings(home=tmp_path_factory.mktemp("anomaly"))
    lake, rows = Lake(settings.lake_url), world(20, 120, mean=3.0)
    daily = rows.rename(columns={"returns": "returned_units"}).assign(
        open=True, in_stock=1.0, price=(rows["revenue"] / rows["units"]).groupby([rows["store_id"], rows["product_id"]]).transform("mean"),
        regular_price=np.nan, promotion=0.0, display=0.0, mailer=0.0, ds=rows["ds"].dt.date,
    )  # fmt: skip
    for name in ("lines", "baskets"):
        daily[name] = daily[name].astype("int64")
    lake.overwrite(spark.createDataFrame(daily[DEMAND_DAILY.names], DEMAND_DAILY.spark_schema()), DEMAND_DAILY)
    products = spark.createDataFrame([(p, "c") for p in sorted(set(daily["product_id"]))], "product_id string, category string")
    last = daily["ds"].max()
    lake.overwrite(demand_features_frame(lake.read(spark, DEMAND_DAILY), products, last), DEMAND_FEATURES)
    return settings


@pytest.fixture(scope="module")
def data(spark, home):
    patched = pytest.MonkeyPatch()
    patched.setattr(made, "INJECTED", 0.05)
    rows = examples(spark, home).localCheckpoint()  # a cache is let go after each test
    patched.undo()
    return rows


def test_examples_know_only_the_day_before(spark, home, data) -> None:
    lake = Lake(home.lake_url)
    one = data.where("not injected").orderBy("store_id", "product_id", "ds").limit(5).toPandas()
    features = lake.read(spark, DEMAND_FEATURES).toPandas().set_index(["store_id", "product_id", "ds"])
    for row in one.itertuples():
        before = features.loc[(row.store_id, row.product_id, (pd.Timestamp(row.ds) - pd.Timedelta(days=1)).date())]
        assert row.level == pytest.approx(before["level"], rel=1e-6)


def test_injection_stays_in_the_judged_windows_and_repeats(spark, home, data) -> None:
    kinds = data.where("injected").groupBy("truth").count().toPandas()
    assert set(kinds["truth"]) == {"spike", "drop", "price", "feed", "returns"}
    folds = FAMILY.folds(data)
    assert len(folds) == made.WINDOWS
    assert folds[0].train.where("injected").count() == 0


def test_every_contender_ranks_and_its_export_says_the_same(data) -> None:
    fold = FAMILY.folds(data)[-1]
    values = {}
    for contender in FAMILY.contenders():
        fitted = contender.fit(fold.train, {"k": 4})
        predicted = fitted.predict(fold.test)
        assert predicted.count() == fold.test.count()
        judged = FAMILY.judge(fitted, fold)
        values[contender.name] = judged.query("segment == 'all' and metric == 'one_minus_average_precision'")["value"].iloc[0]
        assert FAMILY.parity(fitted, FAMILY.finish(fitted, data), fold.test) < 1e-4
    assert values["pooled_tails"] < values["residual_bands"]


def test_scoring_fills_the_alerts_table(spark, home, data) -> None:
    model = FAMILY.contenders()[1].fit(data, {}).portable()
    rows = FAMILY.score(spark, home, model, "7").toPandas()
    assert list(rows.columns) == ALERTS.names and len(rows) == 20 * 7 and set(rows["model_version"]) == {"7"}
    assert set(FAMILY.card.response) <= set(model.predict(FAMILY.example(data)).columns)


def _events(spark, units: float, day: date, event: str, price: float = 2.0):
    row = dict.fromkeys(EVENTS.names) | {
        "topic": "sales",
        "event_id": event, "event_type": "purchase", "store_id": "S0", "product_id": "P1", "basket_id": event,
        "units": units, "unit_price": price,
        "ds": day, "source": "till", "schema_version": 1, "position": event,
    }  # fmt: skip
    return spark.createDataFrame([tuple(row[name] for name in EVENTS.names)], EVENTS.spark_schema())


@pytest.fixture
def shop(spark, home, tmp_path) -> Settings:
    """The same lake, whose pair S0, P1 was charged tenfold on the last day with a sale, and no shelf told its price."""
    settings = load_settings(home=tmp_path / "shop")
    shutil.copytree(
        Lake(home.lake_url).path(DEMAND_FEATURES).removeprefix("file://"),
        Lake(settings.lake_url).path(DEMAND_FEATURES).removeprefix("file://"),
    )
    paid = F.col("revenue") * F.when(_charged(_sold_on(spark, home)), 10.0).otherwise(1.0)
    daily = Lake(home.lake_url).read(spark, DEMAND_DAILY).withColumn("revenue", paid)
    Lake(settings.lake_url).overwrite(daily.withColumn("price", F.expr("nullif(revenue, 0) / nullif(units, 0)")), DEMAND_DAILY)
    return settings


def _sold_on(spark, home: Settings) -> date:
    return (
        Lake(home.lake_url)
        .read(spark, DEMAND_DAILY)
        .where("store_id = 'S0' AND product_id = 'P1' AND units > 0")
        .agg({"ds": "max"})
        .first()[0]
    )


def _charged(day: date):
    return (F.col("store_id") == "S0") & (F.col("product_id") == "P1") & (F.col("ds") == F.lit(day))


def test_batch_and_stream_hold_what_was_paid_against_what_was_known_before(spark, shop, data) -> None:
    lake, model = Lake(shop.lake_url), FAMILY.contenders()[1].fit(data, {}).portable()
    day = _sold_on(spark, shop)
    sold = lake.read(spark, DEMAND_DAILY).where(_charged(day)).first()
    batch = _events(spark, sold.units, day, "e1", price=sold.revenue / sold.units)

    def judged() -> tuple:
        (row,) = FAMILY.score(spark, shop, model, "7").where(_charged(day)).collect()
        return row.alert, row.kind, row.score, row.why

    (alert, kind, score, why) = judged()
    assert (alert, kind) == (True, "price") and f"paid {sold.price:.2f} a unit" in why
    lake.append(batch, EVENTS, "test", 0)
    assert _judge(lake, batch, model, "7") == Watched(1, 1)
    (streamed,) = lake.read(spark, ALERTS).collect()
    assert (streamed.alert, streamed.kind, streamed.score, streamed.why) == (alert, kind, score, why)
    told = dict.fromkeys(PRICE_DAILY.names) | {"store_id": "S0", "product_id": "P1", "ds": day, "price": sold.price}
    lake.overwrite(spark.createDataFrame([tuple(told.values())], PRICE_DAILY.spark_schema()), PRICE_DAILY)
    assert _judge(lake, batch, model, "7") == Watched(1, 0)
    assert not judged()[0]


def test_the_batch_leaves_an_alert_on_what_its_facts_do_not_know(spark, shop, data) -> None:
    lake, model = Lake(shop.lake_url), FAMILY.contenders()[1].fit(data, {}).portable()
    day = _sold_on(spark, shop)
    batch = _events(spark, 500.0, day, "late")
    lake.append(batch, EVENTS, "test", 0)
    assert _judge(lake, batch, model, "watch") == Watched(1, 1)

    def scored() -> tuple[str, str, int]:
        rows = FAMILY.score(spark, shop, model, "batch").toPandas()
        (row,) = rows[(rows["store_id"] == "S0") & (rows["product_id"] == "P1") & (rows["ds"] == day)].itertuples()
        return row.model_version, row.kind, len(rows)

    assert scored() == ("watch", "spike", 20 * 7)
    facts = {"units": F.lit(500.0), "lines": F.lit(1).cast("bigint"), "returned_units": F.lit(0.0), "revenue": F.lit(1000.0)}
    daily = lake.read(spark, DEMAND_DAILY)
    lake.overwrite(
        daily.withColumns({name: F.when(_charged(day), value).otherwise(F.col(name)) for name, value in facts.items()}), DEMAND_DAILY
    )
    assert scored() == ("batch", "spike", 20 * 7)


def test_a_batch_on_the_stream_alerts_once_and_a_correction_takes_it_back(spark, home, data) -> None:
    lake, model = Lake(home.lake_url), FAMILY.contenders()[1].fit(data, {}).portable()
    day = (data.agg({"ds": "max"}).first()[0]) + pd.Timedelta(days=1)
    batch = _events(spark, 500.0, day, "e1")
    lake.append(batch, EVENTS, "test", 0)
    for _ in range(2):
        assert _judge(lake, batch, model, "7") == Watched(1, 1)
    rows = lake.read(spark, ALERTS).toPandas()
    assert len(rows) == 1 and rows["alert"][0] and rows["kind"][0] == "spike" and rows["ds"][0] == day
    calm = lake.read(spark, ALERTS).toPandas().assign(alert=False, score=0.1)
    merge_alerts(lake, spark.createDataFrame(calm, ALERTS.spark_schema()))
    assert not lake.read(spark, ALERTS).toPandas()["alert"].any()
    # what the batch has seen in the whole day, an open day cannot take back
    dropped = calm.assign(alert=True, kind="drop")
    lake.overwrite(spark.createDataFrame(dropped, ALERTS.spark_schema()), ALERTS)
    merge_alerts(lake, spark.createDataFrame(calm, ALERTS.spark_schema()))
    assert lake.read(spark, ALERTS).toPandas()["alert"].all()


def test_a_watch_judges_what_lands_by_the_champion_of_the_moment(spark, home, data, tmp_path) -> None:
    lake, model, registry = Lake(home.lake_url), FAMILY.contenders()[1].fit(data, {}).portable(), Registry(home)
    with pytest.raises(NothingToDo, match="anomaly has no champion"):
        watch(spark, home)
    for folder in ("one", "two"):
        register(home, "anomaly", model, tmp_path / folder)
    registry.promote("anomaly", "1", "test", "first")
    day = (data.agg({"ds": "max"}).first()[0]) + pd.Timedelta(days=2)
    long_ago = day - pd.Timedelta(days=60)
    lake.overwrite(_events(spark, 500.0, day, "w1").unionByName(_events(spark, 500.0, long_ago, "w0")), EVENTS)
    assert watch(spark, home) == Watched(1, 1)
    assert watch(spark, home) == Watched(0, 0)
    registry.promote("anomaly", "2", "test", "second")
    lake.append(_events(spark, 100.0, day, "w2"), EVENTS, "watch", 0)
    assert watch(spark, home) == Watched(1, 1)
    (row,) = lake.read(spark, ALERTS).where(F.col("ds") == F.lit(day)).collect()
    assert (row.alert, row.kind, row.model_version) == (True, "spike", "2")
    with alone(home, "watch"), pytest.raises(NotReady, match="another watch"):
        watch(spark, home)


def test_a_watch_that_was_off_until_upkeep_removed_what_it_had_not_read_says_what_to_do(spark, shop, data, tmp_path) -> None:
    register(shop, "anomaly", FAMILY.contenders()[1].fit(data, {}).portable(), tmp_path / "model")
    Registry(shop).promote("anomaly", "1", "test", "first")
    lake, day = Lake(shop.lake_url), _sold_on(spark, shop)
    lake.append(_events(spark, 1.0, day, "e0"), EVENTS, "test", 0)
    watch(spark, shop)
    for number in (1, 2):
        lake.append(_events(spark, 500.0, day, f"e{number}"), EVENTS, "test", number)
    before = lake.files(EVENTS)
    spark.sql(f"OPTIMIZE delta.`{lake.path(EVENTS)}`")
    for file in before - lake.files(EVENTS):  # as VACUUM does a week later
        Path(file.removeprefix("file://")).unlink()
    with pytest.raises(NotReady, match=f"remove {shop.checkpoints / 'alerts'}, and the next watch judges"):
        watch(spark, shop)
    shutil.rmtree(shop.checkpoints / "alerts")
    assert watch(spark, shop).days >= 1


def test_a_day_that_was_missed_is_filled_in_by_its_champion_and_never_replaced(spark, shop, data, tmp_path) -> None:
    lake, registry, day = Lake(shop.lake_url), Registry(shop), _sold_on(spark, shop) - timedelta(days=3)
    for version in ("1", "2"):
        register(shop, "anomaly", FAMILY.contenders()[1].fit(data, {}).portable(), tmp_path / version)
    registry.promote("anomaly", "1", "test", "first")
    with pytest.raises(NothingToDo, match=f"anomaly had no champion on {day}"):
        fill_in(spark, shop, "anomaly", day)
    _at(registry, "2000-01-01T00:00:00+00:00")
    registry.promote("anomaly", "2", "test", "second")
    filled = fill_in(spark, shop, "anomaly", day)
    assert (filled.version, filled.days) == ("1", [day]) and filled.rows > 1
    rows = lake.read_pandas(ALERTS)
    assert set(rows["ds"]) == {day} and set(rows["model_version"]) == {"1"} and len(rows) == filled.rows
    with pytest.raises(NothingToDo, match=f"alerts has rows of {day}"):
        fill_in(spark, shop, "anomaly", day)
    with pytest.raises(BadInput, match="--day is 2016-01-01: the lake has no features of it"):
        fill_in(spark, shop, "anomaly", date(2016, 1, 1))
    assert len(lake.read_pandas(ALERTS)) == filled.rows


def _at(registry: Registry, moment: str) -> None:
    """Write the only move so far as one of that moment."""
    tags = registry.client.get_registered_model("shelfcast-anomaly").tags
    ((key, value),) = [(key, value) for key, value in tags.items() if ".move." in key]
    registry.client.set_registered_model_tag("shelfcast-anomaly", key, json.dumps(json.loads(value) | {"at": moment}))


def test_watch_and_score_never_write_the_alerts_at_the_same_time(spark, shop, data, tmp_path, monkeypatch) -> None:
    register(shop, "anomaly", FAMILY.contenders()[1].fit(data, {}).portable(), tmp_path / "model")
    Registry(shop).promote("anomaly", "1", "test", "first")
    Lake(shop.lake_url).append(_events(spark, 500.0, _sold_on(spark, shop), "e1"), EVENTS, "test", 0)
    held = []

    def published(settings: Settings, *tables: Table) -> None:
        with pytest.raises(NotReady, match="another alerts"), alone(settings, "alerts"):
            pass
        held.extend(tables)

    for writer in ("training.anomaly.stream", "training.score"):
        monkeypatch.setattr(f"{writer}.publish", published)
    watch(spark, shop)
    score(spark, shop, ["anomaly"])
    assert held == [ALERTS, ALERTS]
