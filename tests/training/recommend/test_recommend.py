"""`recommend` on a shop whose habits are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from tests.training.recommend.shop import lines, split
from training.recommend.blended import Blend
from training.recommend.candidates import known_at, market_at
from training.recommend.metrics import ranking_metrics
from training.recommend.purchases import encode
from training.recommend.ranking import Lists, learned_ranker
from training.recommend.reasons import customer_reasons
from training.recommend.recommend import recommend, recommend_file


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return lines()


@pytest.fixture(scope="module")
def answer(shop: pd.DataFrame) -> pd.DataFrame:
    return recommend(shop, 8)


def _lists(frame: pd.DataFrame, key: str = "customer_id") -> dict[str, list[str]]:
    return frame.groupby(key)["product_id"].agg(list).to_dict()


def test_every_customer_gets_k_distinct_products_best_first(shop: pd.DataFrame, answer: pd.DataFrame) -> None:
    assert list(answer.columns) == ["customer_id", "product_id", "rank", "score", "why"]
    assert set(answer["customer_id"]) == set(shop["customer_id"])
    for _, rows in answer.groupby("customer_id"):
        assert rows["rank"].tolist() == list(range(1, 9))
        assert rows["product_id"].is_unique
        assert rows["score"].is_monotonic_decreasing
    assert answer["score"].between(0, 1).all()


def test_beats_popularity_and_plain_frequency_on_the_days_that_follow() -> None:
    past, future = split(lines(customers=150, days=220), 21)
    truth = future.groupby("customer_id")["product_id"].agg(set).to_dict()
    popular = past["product_id"].value_counts().index[:10].tolist()
    counts = past.groupby(["customer_id", "product_id"]).size().reset_index(name="n").sort_values("n", ascending=False, kind="stable")
    ours = ranking_metrics(_lists(recommend(past, 10)), truth)["ndcg"]
    assert ours > 1.2 * ranking_metrics(dict.fromkeys(truth, popular), truth)["ndcg"]
    assert ours > 0.98 * ranking_metrics(_lists(counts), truth)["ndcg"]


def test_novel_products_were_never_bought_and_never_brought_back(shop: pd.DataFrame) -> None:
    owned = set(zip(shop["customer_id"], shop["product_id"], strict=True))
    answer = recommend(shop, 10, novel=True)
    assert not owned & set(zip(answer["customer_id"], answer["product_id"], strict=True))
    assert answer.groupby("customer_id").size().eq(10).all()


def test_the_order_of_rows_changes_nothing(shop: pd.DataFrame, answer: pd.DataFrame) -> None:
    again = recommend(shop.sample(frac=1.0, random_state=3), 8)
    pd.testing.assert_frame_equal(again, answer)


def test_a_product_wholly_brought_back_is_no_habit(shop: pd.DataFrame) -> None:
    bought = shop[(shop["customer_id"] == "c00") & (shop["product_id"] == "bread")]
    assert len(bought) > 2
    back = bought.assign(units=-1.0, basket_id=bought["basket_id"] + "-r", ds=bought["ds"] + pd.Timedelta(days=1))
    rows = recommend(pd.concat([shop, back]), 8).query("customer_id == 'c00' and product_id == 'bread'")
    assert not rows["why"].str.startswith("bought o").any()
    assert "bread" not in recommend(pd.concat([shop, back]), 8, novel=True).query("customer_id == 'c00'")["product_id"].tolist()


def test_a_product_brought_back_was_bought_before_the_lines_began(shop: pd.DataFrame) -> None:
    new = recommend(shop, 1, novel=True).query("customer_id == 'c00'")["product_id"].item()
    back = pd.DataFrame({"customer_id": ["c00"], "basket_id": ["r"], "product_id": [new], "ds": [shop["ds"].min()], "units": [-1.0]})
    with_back = pd.concat([shop, back])
    baskets = pd.DataFrame({"basket_id": ["x"], "product_id": ["milk"], "customer_id": ["c00"]})
    assert new not in recommend(with_back, 60, novel=True).query("customer_id == 'c00'")["product_id"].tolist()
    assert new not in recommend(with_back, 60, novel=True, baskets=baskets)["product_id"].tolist()


def test_a_group_of_customers_who_only_brought_back_is_listed_by_what_sells(shop: pd.DataFrame) -> None:
    past = encode(shop)
    blend = Blend(past.products, market_at(past, 28), learned_ranker(past, novel=False), 28, past.last_day)
    assert blend.lists(shop.head(3).assign(units=-1.0)).empty
    assert set(blend.lists(shop.head(40))["customer_id"]) == set(shop.head(40)["customer_id"])


def test_reasons_tell_the_habit_as_it_is(shop: pd.DataFrame, answer: pd.DataFrame) -> None:
    for row in answer[answer["why"].str.startswith("bought on ")].head(40).itertuples():
        days = shop[(shop["customer_id"] == row.customer_id) & (shop["product_id"] == row.product_id)]["ds"].unique()
        assert row.why.startswith(f"bought on {len(days)} days, about every ")
        ago = (shop["ds"].max() - days.max()).days
        assert row.why.endswith("last on the last day" if ago == 0 else f"last {ago} day{'s' if ago != 1 else ''} ago")


def test_what_sells_is_told_of_all_customers_though_a_share_of_them_made_the_market(shop: pd.DataFrame) -> None:
    known = known_at(encode(shop), 28)
    unknown = replace(known, taste=known.taste * 0, habits=replace(known.habits, key=known.habits.key[:0], values=known.habits.values[:0]))
    milk = Lists(np.zeros(1, dtype=np.int64), np.flatnonzero(known.past.products == "milk"), np.ones(1))
    sold = ((shop["product_id"] == "milk") & (shop["ds"] > shop["ds"].max() - pd.Timedelta(days=28))).sum()
    assert customer_reasons(unknown, milk) == [f"sold in {sold} baskets of the last 28 days"]
    assert customer_reasons(unknown, milk, share=0.5) == [f"sold in {2 * sold} baskets of the last 28 days"]


def test_a_basket_is_completed_by_what_goes_with_it_and_never_by_what_it_holds(shop: pd.DataFrame) -> None:
    held, who = ["bread", "p01", "butter", "unheard of"], ["c01", "c01", None, "c02"]
    baskets = pd.DataFrame({"basket_id": ["x", "x", "y", "z"], "product_id": held, "customer_id": who})
    answer = recommend(shop, 5, baskets=baskets)
    lists = _lists(answer, "basket_id")
    assert list(answer.columns) == ["basket_id", "product_id", "rank", "score", "why"]
    assert "butter" in lists["x"][:2]
    assert lists["y"][0] == "bread"
    assert all(len(found) == 5 for found in lists.values())
    assert not set(lists["x"]) & {"bread", "p01"}
    assert "bought with butter in 100% of its baskets" in answer.query("basket_id == 'y' and rank == 1")["why"].item()


def test_a_receipt_number_that_begins_again_each_day_is_another_basket(shop: pd.DataFrame) -> None:
    daily = shop.assign(basket_id=shop.groupby("ds")["basket_id"].transform(lambda ids: pd.factorize(ids)[0]).astype(str))
    assert daily["basket_id"].nunique() < shop["basket_id"].nunique()
    pd.testing.assert_frame_equal(recommend(daily, 3), recommend(shop, 3))


@pytest.mark.parametrize("novel", [False, True])
def test_a_handful_of_lines_still_gives_full_lists(shop: pd.DataFrame, novel: bool) -> None:
    few = shop.iloc[::40].head(30)
    answer = recommend(few, 4, novel=novel)
    assert answer.groupby("customer_id").size().eq(4).all()


def test_one_line_is_enough(shop: pd.DataFrame) -> None:
    answer = recommend(shop.head(1), 3)
    assert answer["product_id"].tolist() == [shop["product_id"].iloc[0]]
    assert recommend(shop.head(1), 3, novel=True).empty


def test_lines_without_a_customer_count_for_products_only(shop: pd.DataFrame) -> None:
    strangers = shop.assign(customer_id=np.where(np.arange(len(shop)) % 3 == 0, None, shop["customer_id"]))
    assert set(recommend(strangers, 3)["customer_id"]) == set(strangers["customer_id"].dropna())
    with pytest.raises(BadInput, match="customer_id"):
        recommend(shop.assign(customer_id=None), 3)


def test_from_file_to_file(shop: pd.DataFrame, tmp_path: Path) -> None:
    shop.to_csv(tmp_path / "lines.csv", index=False)
    shop.head(3)[["basket_id", "product_id"]].to_csv(tmp_path / "baskets.csv", index=False)
    written = recommend_file(tmp_path / "lines.csv", 4, baskets=tmp_path / "baskets.csv", out=tmp_path / "out.parquet")
    assert written == len(pd.read_parquet(tmp_path / "out.parquet")) == 4 * shop.head(3)["basket_id"].nunique()


@pytest.mark.parametrize(("change", "said"), [
    ({"units": "many"}, "column 'units', row 1 is 'many'; expected a number"),
    ({"ds": "soon"}, "column 'ds', row 1 is 'soon'; expected a date"),
    ({"product_id": None}, "column 'product_id', row 1 is blank"),
    ({"units": -1}, "column 'units' has no value above 0"),
    ({"customer_id": None}, "column 'customer_id' is blank in every row"),
    ({"ds": lambda shop: shop["ds"].mask(shop.index == 1, pd.Timestamp("2042-01-01"))}, "column 'ds', row 2 is 2042-01-01"),
])  # fmt: skip
def test_bad_lines_are_named(shop: pd.DataFrame, tmp_path: Path, change: dict, said: str) -> None:
    shop.assign(**change).to_csv(tmp_path / "lines.csv", index=False)
    with pytest.raises(BadInput, match=f"^lines file {tmp_path / 'lines.csv'}: {said}"):
        recommend_file(tmp_path / "lines.csv", 4, out=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_basket_is_one_customers(shop: pd.DataFrame, tmp_path: Path) -> None:
    baskets = pd.DataFrame({"basket_id": ["x", "y", "x", "x"], "product_id": "milk", "customer_id": [None, "c02", "c01", "c02"]})
    said = "column 'customer_id', row 4 is 'c02', and an earlier row of basket 'x' says 'c01'; expected one customer a basket"
    with pytest.raises(BadInput, match=f"^baskets: {said}"):
        recommend(shop, 3, baskets=baskets)
    shop.to_csv(tmp_path / "lines.csv", index=False)
    baskets.to_csv(tmp_path / "baskets.csv", index=False)
    with pytest.raises(BadInput, match=f"^baskets file {tmp_path / 'baskets.csv'}: {said}"):
        recommend_file(tmp_path / "lines.csv", 3, baskets=tmp_path / "baskets.csv", out=tmp_path / "out.csv")


@pytest.mark.parametrize("k", [0, -1, 10_000])
def test_k_has_bounds(shop: pd.DataFrame, k: int) -> None:
    with pytest.raises(BadInput, match="k is"):
        recommend(shop, k)
