"""Features of a hand-made ledger, and the closed form's limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.slow_mover.actions import decide
from training.slow_mover.closed_form import BetaGeometric, fit_beta_geometric
from training.slow_mover.features import alive, features, ledger, silent

_DAYS = pd.date_range("2024-01-01", periods=100)


def _book(upto: int = 99):
    history = pd.DataFrame({"product_id": ["A"] * 4 + ["B"] * 2, "ds": _DAYS[[0, 10, 30, 95, 5, 50]], "units": [1.0, 2, 3, 4, 5, 0]})
    return ledger(history, ["product_id"], _DAYS[upto], 1)


def test_features_by_hand() -> None:
    row = features(_book(), 40, 28).iloc[0]
    assert (row["recency"], row["age"], row["sales"]) == (10, 40, 3)
    assert row["gap"] == 15 and row["gap_cv"] == pytest.approx(5 / 15) and row["late"] == pytest.approx(10 / 15)
    assert row["late_longest"] == pytest.approx(10 / 20)
    assert row["sales_28"] == 1 and row["sales_56"] == 3 and row["units_91"] == 6


def test_features_do_not_depend_on_later_days() -> None:
    pd.testing.assert_frame_equal(features(_book(40), 40, 28), features(_book(99), 40, 28))


def test_days_out_of_stock_are_days_that_did_not_pass() -> None:
    sold, gone = [0, 10, 30, 95], range(40, 80)
    rows = pd.DataFrame({"product_id": "A", "ds": _DAYS[sorted([*sold, *gone])]})
    rows["units"] = rows["ds"].isin(_DAYS[sold]).astype(float)
    told = features(ledger(rows.assign(in_stock=rows["units"]), ["product_id"], _DAYS[99], 1), 99, 28)
    # the same sales without the forty days
    short = pd.DataFrame({"product_id": "A", "ds": _DAYS[[0, 10, 30, 55]], "units": 1.0})
    expected = features(ledger(short, ["product_id"], _DAYS[59], 1), 59, 28)
    own = ["recency", "age", "sales", "gap", "gap_cv", "late", "late_longest"]
    pd.testing.assert_frame_equal(told[own], expected[own])


def test_a_row_without_units_is_no_sale() -> None:
    book = _book()
    assert features(book, 99, 28)["recency"].tolist() == [4, 94]
    assert silent(book, 40, 28).tolist() == [1, 1] and silent(book, 70, 28).tolist() == [0, 1]
    assert alive(book, 99).all()


def test_closed_form_is_a_chance_that_falls_with_the_horizon_and_rises_with_silence() -> None:
    frame = pd.DataFrame({"recency": [1.0, 20, 60], "age": [100.0] * 3, "sales": [20.0] * 3})
    form = BetaGeometric()
    near, far = form.no_sale(frame, 7), form.no_sale(frame, 56)
    assert (far < near).all() and (np.diff(near) > 0).all()
    assert ((near > 0) & (near < 1)).all()


def test_the_fit_beats_the_default_numbers() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"recency": random.integers(0, 60, 500) * 1.0, "age": 100.0, "sales": random.integers(1, 30, 500) * 1.0})
    label = (random.random(500) < frame["recency"] / 60).to_numpy().astype(int)

    def loss(form: BetaGeometric) -> float:
        p = form.no_sale(frame, 28)
        return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))

    assert loss(fit_beta_geometric(frame, label, 28)) < loss(BetaGeometric())


def test_actions_follow_the_stock() -> None:
    base = {"recency": 40.0, "gap": 9.0, "sales_91": 3.0, "units_91": 3.0}
    rows = pd.DataFrame(
        [
            {**base, "probability": 0.1, "on_hand": 50.0},
            {**base, "probability": 0.3, "on_hand": 50.0},
            {**base, "probability": 0.6, "on_hand": 50.0, "unit_cost": 1.0, "price": 2.0},
            {**base, "probability": 0.6, "on_hand": 50.0, "unit_cost": 2.0, "price": 2.0},
            {**base, "probability": 0.9, "on_hand": 0.0},
            {**base, "probability": 0.9, "on_hand": 5.0, "product_others": 8.0},
            {**base, "probability": 0.9, "on_hand": 5.0},
        ]
    )
    said = decide(rows, 56)
    assert said["action"].tolist() == ["keep", "watch", "mark down", "clear", "delist", "transfer", "clear"]
    assert "50 x 1.00 = 50.00 tied up" in said["why"][2]
