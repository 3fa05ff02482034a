"""What is watched: every drift column of every family is found in a gold table."""

from __future__ import annotations

from feature_repo.tables import DEMAND_FEATURES, STOCK_FEATURES
from monitoring.watched import tables_of
from training.family import family_names, load_card


def test_columns_are_looked_up_in_the_fewest_tables_each_once() -> None:
    found = tables_of(["in_stock_28d", "level", "dispersion", "learned_lead_time_days", "on_hand", "nowhere"])
    assert found == [(STOCK_FEATURES, ["in_stock_28d", "learned_lead_time_days", "on_hand"]), (DEMAND_FEATURES, ["level", "dispersion"])]
    assert tables_of([]) == []


def test_every_familys_drift_columns_exist() -> None:
    for name in family_names():
        card = load_card(name)
        held = [column for _, columns in tables_of(card.drift_columns) for column in columns]
        assert sorted(held) == sorted(card.drift_columns), name
