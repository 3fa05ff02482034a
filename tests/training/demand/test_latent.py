"""Demand beside sales: what shoppers would have bought of shelves that busy days emptied, against the rate that made them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.demand.examples import Rows
from training.demand.forecast import forecast
from training.demand.forecaster import Forecaster
from training.demand.history_file import bring
from training.demand.latent import LatentDemand


def emptied(pairs: int = 80, days: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Shelves filled each morning to about the mean's 75th percentile: shoppers come at random times of the day and find it
    empty once it is. One day in 25 nothing is delivered. Also the (pairs,) rates a day."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(2, 1.2, pairs) + 0.3
    filled = np.ceil(rate + 0.5 * np.sqrt(rate))
    wanted = rng.poisson(np.repeat(rate, days))
    shelf = np.where(rng.random(pairs * days) < 0.04, 0, np.repeat(filled, days))
    # the last unit goes at the time of the shelf's-th of `wanted` uniform times, a Beta variable
    runs_out = wanted >= shelf
    gone_at = np.where(shelf > 0, rng.beta(np.maximum(shelf, 1), np.maximum(wanted - shelf + 1, 1)), 0.0)
    keys = pd.DataFrame({"store_id": [f"s{i % 4}" for i in range(pairs)], "product_id": [f"p{i // 4}" for i in range(pairs)]})
    frame = keys.loc[keys.index.repeat(days)].reset_index(drop=True)
    ds = np.tile(pd.date_range("2024-01-01", periods=days), pairs)
    return frame.assign(ds=ds, units=np.minimum(wanted, shelf).astype(float), in_stock=np.where(runs_out, gone_at, 1.0)), rate


def test_demand_is_what_was_wanted_and_units_what_a_day_in_stock_sells() -> None:
    sold, rate = emptied()
    found = forecast(sold, 7)
    wanted = 7 * rate.sum()
    full = sold[sold["in_stock"] == 1]
    per_pair = full.groupby(["store_id", "product_id"])["units"].mean().sum() * 7
    assert sold["units"].sum() / 240 * 7 < 0.92 * wanted, "a fair part is lost"
    assert found["units"].sum() == pytest.approx(per_pair, rel=0.04)
    assert found["demand"].sum() == pytest.approx(wanted, rel=0.03)
    assert (found["demand"] >= found["units"]).all()
    # for slow and for fast pairs alike
    by_pair = found.groupby(["store_id", "product_id"])["demand"].sum().to_numpy()
    keys = sold.drop_duplicates(["store_id", "product_id"]).assign(rate=rate).sort_values(["store_id", "product_id"])["rate"].to_numpy()
    for half in (keys < np.median(keys), keys >= np.median(keys)):
        assert by_pair[half].sum() == pytest.approx(7 * keys[half].sum(), rel=0.06)


def test_nothing_is_added_where_nothing_sold_out() -> None:
    sold, _ = emptied(12, 90)
    found = forecast(sold.drop(columns="in_stock"), 5)
    np.testing.assert_array_equal(found["demand"], found["units"])


def test_a_series_that_is_never_out_gains_less_than_one_that_often_is() -> None:
    often, _ = emptied(40, 240, 1)
    never, rate = emptied(40, 240, 2)
    never = never.assign(store_id="n" + never["store_id"], units=np.random.default_rng(3).poisson(np.repeat(rate, 240)), in_stock=1.0)
    brought = bring(pd.concat([often, never]), 7)
    found = Forecaster.learn(brought, 7).answer([])
    gain = (found["demand"] / found["units"]).groupby(found["store_id"].str.startswith("n")).mean()
    assert gain[True] < 1.03 < 1.08 < gain[False]


def test_days_that_emptied_early_count_as_days() -> None:
    """Each day has a rate of its own, so that units over time in stock is the rate of the quiet ones."""
    rng = np.random.default_rng(5)
    wanted = rng.poisson(rng.gamma(2, 4 / 2, 200_000))
    shelf = 6
    gone_at = rng.beta(shelf, np.maximum(wanted - shelf + 1, 1))
    units, in_stock = np.minimum(wanted, shelf).astype(float), np.where(wanted >= shelf, gone_at, 1.0)
    assert units.sum() / in_stock.sum() < 0.92 * 4
    days = pd.DatetimeIndex(np.full(len(units), "2024-01-01", dtype="datetime64[ns]"))
    rows = Rows(("in_stock_28",), np.full((len(units), 1), 0.9, dtype=np.float32), np.ones(len(units)), days)
    mean = np.full(len(units), units[in_stock == 1].mean())
    assert mean[0] < 0.8 * 4
    assert LatentDemand.fit(rows, mean, units, in_stock).demand(rows, mean)[0] == pytest.approx(4, rel=0.02)
