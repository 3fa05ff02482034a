"""Complete Journey as it is read: its traps, its money, its calendar. The figures are those of the set's one release."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from data_ingest import complete_journey as cj


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return cj.read_lines(cj.data_folder())


def test_the_traps_are_out_and_the_rest_is_there(lines: pd.DataFrame) -> None:
    raw = pd.read_parquet(cj.data_folder() / "transactions.parquet")
    products = pd.read_parquet(cj.data_folder() / "products.parquet").set_index("product_id")
    other = raw["product_id"].map(products["department"]).isin(["FUEL", "MISCELLANEOUS"])
    usable = raw[~other & (raw["quantity"] > 0)]
    assert len(lines) == len(usable) == 1_442_645
    assert lines["units"].sum() == usable["quantity"].sum() < 2.5e6
    assert lines["revenue"].sum() == pytest.approx(usable["sales_value"].sum())
    assert not lines.duplicated(["basket", "line"]).any()


def test_units_times_price_less_discount_is_what_the_retailer_received(lines: pd.DataFrame) -> None:
    off = lines["units"] * lines["unit_price"] - lines["discount"] - lines["revenue"]
    assert off.abs().max() < 0.001
    assert (lines["discount"] >= 0).all() and 0.3 < (lines["discount"] > 0).mean() < 0.6


def test_the_local_day_is_five_hours_behind(lines: pd.DataFrame) -> None:
    local = lines["occurred_at"] - pd.Timedelta(hours=5)
    assert lines["day"].min() == 0 and lines["day"].max() == 364
    assert ((local.dt.dayofyear - 1) == lines["day"]).all()
    assert (local.dt.hour == lines["second"] // 3600).all()
    # the shops are quietest before dawn, local time
    assert lines["second"].floordiv(3600).value_counts().idxmin() in (3, 4)


def test_week_one_is_one_sunday_and_the_others_begin_on_mondays() -> None:
    weeks = np.arange(cj.WEEKS)
    starts, ends = cj.week_days(weeks)
    assert (starts[0], ends[0], starts[1], ends[1], ends[-1]) == (0, 0, 1, 7, 364)
    assert all((cj.FIRST + timedelta(days=int(day))).weekday() == 0 for day in starts[1:])
    assert (cj.week_of(starts) == weeks).all() and (cj.week_of(ends) == weeks).all()
    assert cj.FIRST + timedelta(days=cj.DAYS - 1) == date(2017, 12, 31)


def test_the_pairs_are_those_sold_on_26_days(lines: pd.DataFrame) -> None:
    pairs = cj.choose_pairs(lines)
    assert (len(pairs), pairs["store"].nunique(), pairs["product"].nunique()) == (2979, 112, 642)
    busiest = cj.choose_pairs(lines, 10)
    counts = lines.groupby(["store", "product"]).size()
    assert counts.reindex(pd.MultiIndex.from_frame(busiest)).min() >= counts.reindex(pd.MultiIndex.from_frame(pairs)).nlargest(10).min()


def test_the_catalogue_knows_every_product_and_earns_a_margin(lines: pd.DataFrame) -> None:
    goods = cj.catalogue(cj.read_products(cj.data_folder()), lines)
    assert set(goods["product_id"]) == set(lines["product"].unique().astype(str)) and goods["product_id"].is_unique
    price = lines.groupby("product")["unit_price"].median()
    cost = goods.set_index("product_id")["unit_cost"]
    assert (cost <= price.set_axis(price.index.astype(str)).reindex(cost.index) * 0.75 + 0.01).all()
    assert goods.groupby("supplier_id")["lead_time_days"].nunique().max() == 1
    assert goods.loc[goods["department"] == "PRODUCE", "shelf_life_days"].notna().all()
    assert goods.loc[goods["department"] == "GROCERY", "shelf_life_days"].isna().all()
