"""Accuracy once the actuals have arrived: closed forms, and what is left out."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from monitoring.accuracy import forecast_accuracy, order_accuracy, pooled, recommendation_accuracy, slow_mover_accuracy
from training.tables import QUANTILES

DAY = date(2024, 3, 4)


def _of(frame: pd.DataFrame, segment: str = "all") -> dict[str, float]:
    part = frame[frame["segment"] == segment]
    return dict(zip(part["metric"], part["value"], strict=True))


def _forecasts(units: list[float]) -> pd.DataFrame:
    rows = pd.DataFrame({"store_id": "S1", "product_id": [f"P{i}" for i in range(len(units))], "ds": DAY, "horizon": 1, "units": units})
    return rows.assign(**{name: rows["units"] * 2 * level for name, level in QUANTILES.items()})


def _actuals(units: list[float | None], **more: list) -> pd.DataFrame:
    pairs = [f"P{i}" for i in range(len(units))]
    frame = pd.DataFrame({"store_id": "S1", "product_id": pairs, "ds": DAY, "units": units, "open": True, "in_stock": 1.0})
    return frame.assign(**more)


def test_wape_bias_and_coverage_by_their_formulas() -> None:
    found = _of(forecast_accuracy(_forecasts([2.0, 4.0]), _actuals([1.0, 5.0])))
    assert found["wape"] == pytest.approx(2 / 6)
    assert found["bias"] == pytest.approx(0.0)
    assert found["coverage_q50"] == 0.5  # 1 <= 2 and not 5 <= 4
    assert found["coverage_q95"] == 1.0
    assert found["censored"] == 0.0


def test_days_that_say_nothing_about_demand_are_left_out() -> None:
    actuals = _actuals([1.0, 0.0, None, 9.0, 3.0], in_stock=[1.0, 0.4, 1.0, 1.0, 1.0], open=[True, True, True, False, True])
    table = forecast_accuracy(_forecasts([1.0, 5.0, 5.0, 5.0, 3.0]), actuals)
    found = _of(table)
    assert found["wape"] == 0.0
    assert found["censored"] == pytest.approx(1 / 3)
    assert table.loc[(table["segment"] == "all") & (table["metric"] == "wape"), "n"].item() == 2


def test_a_day_of_few_sales_weighs_little_in_errors_relative_to_sales() -> None:
    few, many = (_forecasts([4.0] * 2), _actuals([1.0] * 2)), (_forecasts([100.0] * 2), _actuals([90.0, 110.0]))
    found = _of(pooled(pd.concat([forecast_accuracy(*few), forecast_accuracy(*many)])))
    assert found["wape"] == pytest.approx((6 + 20) / 202) and found["bias"] == pytest.approx(6 / 202)
    together = forecast_accuracy(*[pd.concat([old.assign(store_id="S2"), new]) for old, new in zip(few, many, strict=True)])
    assert found == pytest.approx(_of(together))


def test_segments_are_by_horizon_and_by_the_speed_that_was_forecast() -> None:
    table = forecast_accuracy(_forecasts([0.05, 0.5, 5.0]), _actuals([1.0, 1.0, 5.0]))
    assert set(table["segment"]) == {"all", "horizon 1", "under 0.1 a day", "0.1 to 1 a day", "over 1 a day"}
    assert _of(table, "over 1 a day")["wape"] == 0.0
    assert _of(table, "under 0.1 a day")["wape"] == pytest.approx(0.95)


def test_nothing_sold_has_no_relative_error_and_no_actual_no_row() -> None:
    assert "wape" not in _of(forecast_accuracy(_forecasts([1.0]), _actuals([0.0])))
    assert forecast_accuracy(_forecasts([1.0]), _actuals([None])).empty
    assert forecast_accuracy(_forecasts([1.0]), _actuals([1.0]).head(0)).empty


def test_the_cost_of_orders_is_holding_and_the_margin_lost() -> None:
    orders = pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["P0", "P1"]})
    days = pd.DataFrame({
        "store_id": "S1", "product_id": ["P0", "P1", "P1", "P2"], "ds": [DAY, DAY - timedelta(days=1), DAY, DAY],
        "units": [4.0, 6.0, 3.0, 9.0], "in_stock": [1.0, 1.0, 0.5, 1.0], "price": 10.0, "on_hand_close": [73.0, 99.0, 0.0, 1e6],
    })  # fmt: skip
    products = pd.DataFrame({"product_id": ["P0", "P1", "P2"], "unit_cost": [4.0, 6.0, 1.0]})
    found = _of(order_accuracy(orders, days, products, DAY - timedelta(days=1)))
    assert found["holding_cost"] == pytest.approx(73 * 4 * 0.25 / 365 / 2)
    assert found["shortage_cost"] == pytest.approx(3 * (10 - 6) / 2)  # a day and a half sold 9: the empty half would have sold 3
    assert found["cost_per_pair_day"] == pytest.approx(found["holding_cost"] + found["shortage_cost"])
    assert found["out_of_stock"] == 0.5


def test_a_shelf_that_stays_empty_costs_what_it_sold_before() -> None:
    orders = pd.DataFrame({"store_id": ["S1"], "product_id": ["P0"]})
    products = pd.DataFrame({"product_id": ["P0"], "unit_cost": [6.0]})
    full = [(DAY - timedelta(days=back), 4.0, 1.0, 10.0) for back in range(14)]
    empty = [(DAY + timedelta(days=on), 0.0, 0.0, None) for on in range(1, 15)]
    days = pd.DataFrame([*empty, *full], columns=["ds", "units", "in_stock", "price"]).assign(
        store_id="S1", product_id="P0", on_hand_close=0.0
    )
    table = order_accuracy(orders, days, products, DAY)
    assert _of(table)["shortage_cost"] == pytest.approx(4 * (10 - 6)) and set(table["n"]) == {14}


def test_what_slow_movers_and_recommendations_were_judged_by_before_is_what_they_are_judged_by_live() -> None:
    decided = pd.DataFrame({"store_id": "S1", "product_id": ["P0", "P1"], "probability": [0.9, 0.2]})
    found = _of(slow_mover_accuracy(decided, pd.DataFrame({"store_id": ["S1", "S1"], "product_id": ["P1", "P1"]})))
    assert found["brier"] == pytest.approx((0.1**2 + 0.2**2) / 2)
    assert found["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert found["bias"] == pytest.approx(np.mean([0.9 - 1, 0.2 - 0]))
    told = pd.DataFrame({"customer_id": ["A", "A", "B", "C"], "rank": [2, 1, 1, 1], "product_id": ["P0", "P1", "P0", "P0"]})
    bought = pd.DataFrame({"customer_id": ["A", "B", "D"], "product_id": ["P1", "P9", "P0"]})
    assert _of(recommendation_accuracy(told, bought)) == {"one_minus_recall": 0.5, "one_minus_ndcg": 0.5, "miss_rate": 0.5}
    assert recommendation_accuracy(told, bought.tail(1)).empty
