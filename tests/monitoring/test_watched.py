"""What is watched: every drift column of every family is found in a gold table, and decisions meet what came after."""

from __future__ import annotations

from datetime import date, timedelta

from data_ingest.tables import BASKETS
from feature_repo.tables import DEMAND_FEATURES, STOCK_FEATURES
from infra.lake import Lake
from monitoring.watched import Span, judged, tables_of
from training.family import family_names, load_card
from training.tables import RECOMMENDATIONS


def test_columns_are_looked_up_in_the_fewest_tables_each_once() -> None:
    found = tables_of(["in_stock_28d", "level", "dispersion", "learned_lead_time_days", "on_hand", "nowhere"])
    assert found == [(STOCK_FEATURES, ["in_stock_28d", "learned_lead_time_days", "on_hand"]), (DEMAND_FEATURES, ["level", "dispersion"])]
    assert tables_of([]) == []


def test_every_familys_drift_columns_exist() -> None:
    for name in family_names():
        card = load_card(name)
        held = [column for _, columns in tables_of(card.drift_columns) for column in columns]
        assert sorted(held) == sorted(card.drift_columns), name


def test_recommendations_are_judged_by_the_purchases_that_events_told_of(spark, settings) -> None:
    lake, origin = Lake(settings.lake_url), date(2024, 1, 1)
    told = [(origin, customer, 1, "x", 0.5, "why", "1") for customer in ("anna", "ben")]
    lake.overwrite(spark.createDataFrame(told, RECOMMENDATIONS.spark_schema()), RECOMMENDATIONS)
    bought = [(who, "1", who, what, origin + timedelta(days=3), 1.0, 2.0) for who, what in (("anna", "x"), ("ben", "y"))]
    lake.overwrite(spark.createDataFrame(bought, BASKETS.spark_schema()), BASKETS)
    found, _ = judged(lake, "recommend", Span(origin, origin + timedelta(days=28)))
    assert found.set_index("metric")["value"].to_dict() == {"one_minus_recall": 0.5, "one_minus_ndcg": 0.5, "miss_rate": 0.5}
