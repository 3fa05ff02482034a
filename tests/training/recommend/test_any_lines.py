"""Whatever the lines look like, the lists keep their promises."""

from __future__ import annotations

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.recommend.recommend import recommend

UNITS = st.sampled_from([-1.0, 0.0, 1.0, 2.0])
LINE = st.tuples(st.sampled_from(["c0", "c1", "c2", None]), st.integers(0, 6), st.integers(0, 7), st.integers(0, 250), UNITS)
K = 3


def _frame(rows: list[tuple]) -> pd.DataFrame:
    lines = pd.DataFrame(rows, columns=["customer_id", "basket_id", "product_id", "ds", "units"])
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(lines["ds"], unit="D")
    first = pd.DataFrame({"customer_id": ["c0"], "basket_id": ["b"], "product_id": ["p0"], "ds": [days.min()], "units": [1.0]})
    return pd.concat([lines.assign(ds=days, product_id="p" + lines["product_id"].astype(str)), first], ignore_index=True)


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(LINE, min_size=1, max_size=40), st.booleans())
@example([("c0", 0, 1, 0, 1.0), ("c1", 0, 1, 0, 1.0), ("c0", 0, 0, 0, 1.0)], True)  # two customers with a basket of one id
def test_customers_get_full_lists_of_distinct_products_and_new_ones_are_new(rows: list[tuple], novel: bool) -> None:
    lines = _frame(rows)
    answer = recommend(lines, K, novel=novel)
    assert not answer.duplicated(["customer_id", "product_id"]).any()
    had = lines.groupby("customer_id")["product_id"].agg(set).to_dict()
    products = set(lines["product_id"])
    counts = answer.groupby("customer_id").size().to_dict()
    for customer in lines["customer_id"].dropna().unique():
        free = products - had.get(customer, set()) if novel else products
        assert counts.get(customer, 0) == min(K, len(free))
    for _, mine in answer.groupby("customer_id"):
        assert mine["rank"].tolist() == list(range(1, len(mine) + 1))
        assert mine["score"].is_monotonic_decreasing
        assert not novel or not set(mine["product_id"]) & had.get(mine["customer_id"].iloc[0], set())


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(LINE, min_size=1, max_size=40), st.booleans())
def test_baskets_are_completed_without_what_they_hold(rows: list[tuple], novel: bool) -> None:
    lines = _frame(rows)
    asked = pd.DataFrame(
        {"basket_id": ["x", "x", "y", "z"], "product_id": ["p0", "p1", "p2", "?"], "customer_id": ["c0", "c0", None, "who"]}
    )
    answer = recommend(lines, K, baskets=asked, novel=novel)
    held = asked.groupby("basket_id")["product_id"].agg(set).to_dict()
    for basket, products in held.items():
        mine = set(answer[answer["basket_id"] == basket]["product_id"])
        assert not mine & products
        barred = products | (set(lines.query("customer_id == 'c0'")["product_id"]) if novel and basket == "x" else set())
        assert len(mine) == min(K, len(set(lines["product_id"]) - barred))


def test_a_placeholder_of_a_day_long_ago_is_only_an_old_line() -> None:
    lines = pd.DataFrame({"customer_id": ["a", "b", "a"], "basket_id": ["1", "2", "3"], "product_id": ["p", "q", "q"],
                          "ds": pd.to_datetime(["1900-01-01", "2024-01-02", "2024-01-03"]), "units": 1.0})  # fmt: skip
    assert set(recommend(lines, 2)["customer_id"]) == {"a", "b"}
