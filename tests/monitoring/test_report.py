"""One report over a real lake, warehouse and registry: a planted shift is found, words come first, and a second run of the
day replaces the first."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from data_ingest.tables import STORE_DAYS
from feature_repo.tables import DEMAND_DAILY, DEMAND_FEATURES, STOCK_FEATURES
from infra.alone import alone
from infra.errors import NothingToDo, NotReady
from infra.lake import Lake
from infra.registry import Registry
from infra.settings import Settings
from infra.tables import Table
from infra.upkeep_verbs import works
from infra.warehouse import Warehouse
from monitoring.report import _keep, _service, family_drift, past_readings, report
from monitoring.tables import ACCURACY, DRIFT, MONITORING, POLICY
from monitoring.watched import Span
from serving.events import line_of, prediction_events, write_batch
from tests.infra.filled import lay
from tests.serving.tiny import Times, register
from training.family import Card, load_card
from training.stock.model import StockModel
from training.tables import FORECASTS, QUANTILES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LAST = date(2024, 6, 30)
DAYS = [LAST - timedelta(days=back) for back in range(419, -1, -1)]
CARDS = {
    "demand": Card(
        "demand",
        "units of the days ahead",
        "units",
        (),
        "wql",
        (),
        "/v1/demand/forecast",
        {},
        {},
        drift_columns=("units", "price", "promotion"),
    )
}


def _panel() -> pd.DataFrame:
    """40 pairs over 420 days; prices rise by 60 % in the last four weeks and nothing else changes."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame([("S1", f"P{p}", day) for p in range(40) for day in DAYS], columns=["store_id", "product_id", "ds"])
    late = (frame["ds"] > LAST - timedelta(days=28)).to_numpy()
    price = rng.lognormal(1, 0.4, len(frame)) * np.where(late, 1.6, 1.0)
    units = rng.poisson(3.0, len(frame)).astype(float)
    return frame.assign(
        units=units, open=True, in_stock=1.0, price=price, regular_price=price, promotion=(rng.random(len(frame)) < 0.1).astype(float),
        display=0.0, mailer=0.0, revenue=units * price, lines=1, baskets=1, returned_units=0.0,
    )  # fmt: skip


def _forecasts(origin: date) -> pd.DataFrame:
    rows = [(origin, "S1", f"P{p}", origin + timedelta(days=h), h, 3.0) for p in range(40) for h in range(1, 8)]
    frame = pd.DataFrame(rows, columns=["origin", "store_id", "product_id", "ds", "horizon", "units"])
    quantiles = {"q05": 1.0, "q10": 1.0, "q25": 2.0, "q50": 3.0, "q75": 4.0, "q90": 5.0, "q95": 6.0}
    return frame.assign(**{name: quantiles[name] for name in QUANTILES}, model_version="1")


@pytest.fixture
def watched(settings: Settings, spark: SparkSession) -> Settings:
    lake = Lake(settings.lake_url)

    def write(table: Table, frame: pd.DataFrame) -> None:
        lake.overwrite(spark.createDataFrame(frame[table.names], table.spark_schema()), table)

    write(STORE_DAYS, pd.DataFrame({"store_id": "S1", "ds": DAYS, "status": "open"}))
    write(DEMAND_DAILY, _panel())
    write(FORECASTS, pd.concat([_forecasts(LAST - timedelta(days=back)) for back in (14, 3, 0)]))
    version = register(settings, "demand", Times(1.0), settings.home / "work")
    Registry(settings).promote("demand", version, "tester", "test")
    return settings


def test_a_report_finds_what_was_planted_and_a_second_run_of_the_day_replaces_it(watched: Settings, spark: SparkSession) -> None:
    answers = [{"ok": True, "results": [{"units": 2.0}]}]
    write_batch(watched.home / "predictions", map(line_of, prediction_events("demand", "1", "champion", [{}], answers, "r")))
    first = report(watched, spark, cards=CARDS)
    again = report(watched, spark, cards=CARDS)
    assert first == again
    assert first.drifted == {"demand": ["price"]}
    assert first.actions == {"demand": "alert"}
    _page_reads_well(first.page.read_text())
    assert (first.page.parent / "demand.html").stat().st_size > 1e6
    lake, warehouse = Lake(watched.lake_url), Warehouse(watched.warehouse_url)
    for table in MONITORING:
        held = lake.read_pandas(table)
        assert len(held) == first.rows[table.name] == warehouse.query(f"SELECT count() AS n FROM {table.name}")["n"].item() > 0
        assert not held.duplicated(list(table.key)).any()
    drift = lake.read_pandas(DRIFT).set_index("column_name")
    assert drift["method"].to_dict() == {"units": "wasserstein", "price": "wasserstein", "promotion": "wasserstein"}
    assert drift.loc["price", "reference_days"] == "2023-06-05/2023-07-02"
    _accuracy_is_of_what_arrived(lake.read_pandas(ACCURACY))
    assert lake.read_pandas(POLICY)["action"].tolist() == ["alert"]
    _evidently_agrees(watched, drift["statistic"].to_dict())


def test_drift_that_lasts_calls_for_a_retraining_whether_or_not_an_actual_has_arrived(watched: Settings, spark: SparkSession) -> None:
    lake, when = Lake(watched.lake_url), pd.Timestamp("2024-06-29")
    earlier = Table("policy", "monitoring", POLICY.columns[:5], POLICY.key, POLICY.day)  # as the release before wrote it
    old = pd.DataFrame([(LAST - timedelta(days=3), when, "demand", "nothing", "all was well.")], columns=earlier.names)
    lake.replace_days(spark.createDataFrame(old, earlier.spark_schema()), earlier, [LAST - timedelta(days=3)])
    lake.overwrite(spark.createDataFrame([], FORECASTS.spark_schema()), FORECASTS)
    assert report(watched, spark, cards=CARDS).actions == {"demand": "alert"}
    rows = lake.read_pandas(POLICY).sort_values("ds")
    assert rows["action"].tolist() == ["nothing", "alert"] and rows["drifted"].tolist()[1:] == [1]
    for back in (2, 1):
        day = LAST - timedelta(days=back)
        lake.replace_days(spark.createDataFrame(rows.tail(1).assign(ds=day), POLICY.spark_schema()), POLICY, [day])
    assert [r.ds for r in past_readings(lake.read_pandas(POLICY))] == [LAST - timedelta(days=back) for back in (2, 1, 0)]
    assert report(watched, spark, cards=CARDS).actions == {"demand": "retrain"}


def _accuracy_is_of_what_arrived(accuracy: pd.DataFrame) -> None:
    pooled = accuracy[(accuracy["segment"] == "all") & (accuracy["metric"] == "wape")].set_index("origin")["n"]
    assert pooled.to_dict() == {LAST - timedelta(days=14): 280, LAST - timedelta(days=3): 120}
    assert {f"horizon {h}" for h in range(1, 8)} <= set(accuracy["segment"])


def _page_reads_well(page: str) -> None:
    assert page.startswith("<!doctype html>")
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    assert words.index("1 of 1 models needs a look: demand.") < words.index("1 of 3 columns drifted") < words.index("wape")
    assert "the same weeks a year earlier" in words and "price drifted" in words
    assert "The service answered 1 items by demand version 1" in words
    assert 'href="demand.html"' in page
    assert not re.search(r"(src|href)=[\"']https?:", page), "the page must not need a network"


def _evidently_agrees(settings: Settings, statistics: dict[str, float]) -> None:
    from evidently.ui.workspace import Workspace

    workspace = Workspace(str(settings.home / "evidently"))
    (project,) = workspace.search_project("demand")
    (run,) = workspace.list_runs(project.id)
    model = workspace.get_run(project.id, run)
    assert model is not None
    values = sorted(float(result.value) for result in model.metric_results.values())
    assert values == pytest.approx(sorted(statistics.values()), rel=1e-6)


def test_without_a_champion_the_sentence_says_which_step_is_missing(settings: Settings, spark: SparkSession) -> None:
    lake = Lake(settings.lake_url)
    with pytest.raises(NotReady, match="ingest"):
        report(settings, spark, cards=CARDS)
    frame = pd.DataFrame({"store_id": "S1", "ds": DAYS, "status": "open"})
    lake.overwrite(spark.createDataFrame(frame, STORE_DAYS.spark_schema()), STORE_DAYS)
    with pytest.raises(NothingToDo, match="shelfcast train"):
        report(settings, spark, cards=CARDS)


@pytest.mark.parametrize("left", [0, 1])
def test_a_table_that_fell_silent_is_told_and_hides_no_other(settings: Settings, left: int) -> None:
    lake, span = Lake(settings.lake_url), Span(DAYS[0], LAST)
    lay(lake, DEMAND_DAILY, _panel())
    pairs = {day: 10 if day < LAST - timedelta(days=34) else left for day in DAYS}
    rows = [("S1", f"P{p}", day, 5.0) for day, count in pairs.items() for p in range(count)]
    lay(lake, STOCK_FEATURES, pd.DataFrame(rows, columns=["store_id", "product_id", "ds", "on_hand"]))
    card = replace(CARDS["demand"], drift_columns=("price", "units", "on_hand"))
    _, verdicts, _, _ = family_drift(lake, card, span, settings.seed)
    told = {verdict.column: verdict for verdict in verdicts}
    assert [name for name, verdict in told.items() if verdict.drifted] == ["price", "on_hand"]
    assert (told["on_hand"].method, told["on_hand"].n, told["price"].method) == ("too few rows", 28 * left, "wasserstein")


def test_what_service_costs_is_of_the_newest_whole_day_and_a_model_out_of_reach_is_one_sentence(settings: Settings) -> None:
    lake, registry, card = Lake(settings.lake_url), Registry(settings), load_card("stock")
    version = register(settings, "stock", StockModel(), settings.home / "work")
    pairs = pd.DataFrame({"store_id": "S1", "product_id": ["P1", "P2"], "ds": LAST - timedelta(days=1)})
    lay(lake, STOCK_FEATURES, pairs.assign(on_hand=5.0, on_order=0.0))
    lay(lake, DEMAND_FEATURES, pairs.assign(level=3.0))
    registry.promote("stock", version, "tester", "test")
    champions = [(card, row) for row in registry.models()]
    curve, away = _service(settings, registry, champions, LAST)
    assert set(curve["group"]) == {"all"} and not away
    shutil.rmtree(registry.folder("stock", version))
    shutil.rmtree(settings.home / "artifacts")
    curve, away = _service(settings, registry, champions, LAST)
    assert curve.empty and "stock version 1 is out of reach (" in away


def test_report_and_upkeep_never_write_a_table_at_the_same_time(settings: Settings, spark: SparkSession, monkeypatch) -> None:
    held = []

    def published(settings: Settings, *tables: Table) -> None:
        for table in tables:
            with pytest.raises(NotReady, match=f"another {table.name}"), alone(settings, table.name):
                pass
        held.extend(tables)

    monkeypatch.setattr("monitoring.report.publish", published)
    _keep(settings, spark, date(2024, 5, 1), [])
    assert set(held) == set(MONITORING)
    assert all(works(table) == (table.name,) for table in MONITORING)
