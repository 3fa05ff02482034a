"""What a changed plan changes: the chosen series and days alone, in the right direction, by about the right amount."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from tests.training.demand.test_forecast import ORIGIN, history
from training.demand.forecast import forecast
from training.demand.what_if import change_of, what_if, what_if_file

ELASTICITY = -2.0


def priced(days: int = 300, pairs: int = 40, seed: int = 0) -> pd.DataFrame:
    """Sales whose mean follows the price by ELASTICITY; every fourth ten days it is cut by 10 to 30 %."""
    rng, ds = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=days)
    base = rng.uniform(1, 10, (pairs, 1))
    cut = np.repeat(rng.random((pairs, days // 10)) < 0.25, 10, axis=1)
    price = base * np.where(cut, rng.choice([0.7, 0.8, 0.9], (pairs, days // 10)).repeat(10, axis=1), 1.0)
    mean = rng.gamma(4, 2, (pairs, 1)) * (price / base) ** ELASTICITY * (1 + 0.5 * (ds.dayofweek >= 5))
    keys = pd.DataFrame({"store_id": [f"s{i % 4}" for i in range(pairs)], "product_id": [f"p{i // 4}" for i in range(pairs)]})
    frame = keys.loc[keys.index.repeat(days)].reset_index(drop=True)
    return frame.assign(ds=np.tile(ds, pairs), units=rng.poisson(mean).ravel().astype(float), price=price.ravel())


@pytest.fixture(scope="module")
def sold() -> pd.DataFrame:
    return priced()


@pytest.fixture(scope="module")
def cheaper(sold: pd.DataFrame) -> pd.DataFrame:
    items = pd.DataFrame({"product_id": [f"p{i}" for i in range(10)], "category": ["a", "b"] * 5})
    return what_if(sold, 7, [change_of("price=-20%")], where="category == 'a'", since="2024-10-28", items=items)


def test_a_cut_price_sells_more_by_about_its_elasticity(sold: pd.DataFrame) -> None:
    found = what_if(sold, 7, [change_of("price=-20%")])
    np.testing.assert_allclose(found["price_if"], 0.8 * found["price"])
    series = found.drop_duplicates(["store_id", "product_id"])
    usual = (series["price"] > 0.95 * sold.groupby(["store_id", "product_id"])["price"].max().to_numpy()).to_numpy()
    assert abs(series.loc[usual, "elasticity"].median() - ELASTICITY) < 0.4
    deep = series["price_if"].to_numpy() < 0.99 * sold.groupby(["store_id", "product_id"])["price"].min().to_numpy()
    assert deep.any() and series.loc[deep, "note"].str.contains("has not had").all()


def test_only_what_is_chosen_changes(sold: pd.DataFrame, cheaper: pd.DataFrame) -> None:
    chosen = cheaper["product_id"].isin([f"p{i}" for i in range(0, 10, 2)]) & (cheaper["ds"] >= "2024-10-28")
    assert chosen.sum() == 5 * 4 * 6
    np.testing.assert_allclose(cheaper["price_if"], cheaper["price"] * np.where(chosen, 0.8, 1.0))
    other = ~cheaper["product_id"].isin(cheaper.loc[chosen, "product_id"])
    np.testing.assert_allclose(cheaper.loc[other, "units_if"], cheaper.loc[other, "units"])
    assert (cheaper.loc[chosen, "units_if"] > cheaper.loc[chosen, "units"]).mean() > 0.9
    assert cheaper.loc[other, "elasticity"].isna().all()


def test_a_promotion_on_top_of_the_plan_lifts_it() -> None:
    frame = history(214, 40).drop(columns="mean")
    past, later = frame[frame["ds"] <= ORIGIN - pd.Timedelta(days=7)], frame[frame["ds"] > ORIGIN - pd.Timedelta(days=7)]
    plan = later[["store_id", "product_id", "ds", "promotion"]]
    found = what_if(past, 7, [change_of("promotion=1")], future=plan)
    np.testing.assert_allclose(found["units"], forecast(past, 7, future=plan)["units"])
    promoted = found["promotion"] == 1
    assert 1.4 < found.loc[~promoted, "units_if"].sum() / found.loc[~promoted, "units"].sum() < 2.2
    bare = what_if(past, 7, [change_of("promotion=1")])
    assert (bare["promotion"] == 0).all() and (bare["promotion_if"] == 1).all() and (bare["units_if"] > bare["units"]).mean() > 0.95


def test_text_that_the_history_knows_can_be_planned() -> None:
    frame = history(200, 20).drop(columns=["mean", "promotion"])
    fair = frame["ds"].dt.day.isin([3, 17])
    frame["event"] = np.where(fair, "fair", None)
    frame["units"] *= np.where(fair, 3.0, 1.0)
    found = what_if(frame, 7, [change_of("event=fair")], until=frame["ds"].max() + pd.Timedelta(days=1))
    first = found["ds"] == found["ds"].min()
    assert (found.loc[first, "event_if"] == "fair").all() and found.loc[~first, "event_if"].isna().all()
    assert found.loc[first, "units_if"].sum() > 1.8 * found.loc[first, "units"].sum()


def test_the_elasticity_is_that_of_the_days_on_which_the_price_moves(sold: pd.DataFrame) -> None:
    whole = what_if(sold, 7, [change_of("price=-20%")])
    day = str(whole["ds"].min().date())
    one = what_if(sold, 7, [change_of("price=-20%")], since=day, until=day)
    told = whole[whole["ds"] == whole["ds"].min()]
    own = np.log(told["units_if"] / told["units"]) / np.log(told["price_if"] / told["price"])
    np.testing.assert_allclose(one.loc[one["ds"] == one["ds"].min(), "elasticity"], own, rtol=0.02)


def test_a_shop_that_is_open_stays_open_on_days_that_are_not_changed() -> None:
    """One series, with just enough examples to learn from: another draw of them has too few."""
    rng = np.random.default_rng(1)
    ds = pd.date_range("2024-01-01", periods=300)
    frame = pd.DataFrame({"store_id": "s", "product_id": "p"}, index=range(300)).assign(ds=ds, open=(ds.dayofweek != 6).astype(int))
    frame["units"] = rng.poisson(6, 300) * frame["open"].astype(float)
    day = ds[-1] + pd.Timedelta(days=2)
    found = what_if(frame, 7, [change_of("open=0")], since=str(day.date()), until=str(day.date()))
    week = found[found["ds"].dt.dayofweek != 6]
    assert (week["units"] > 1).all()
    assert week["units_if"].lt(1e-9).tolist() == (week["ds"] == day).tolist()


def test_a_price_against_which_sales_rise_is_told() -> None:
    frame = priced(200, 20)
    usual = frame.groupby(["store_id", "product_id"])["price"].transform("max")
    frame["units"] = (frame["units"] * (frame["price"] / usual) ** 4).round()
    found = what_if(frame, 7, [change_of("price=-10%")])
    wrong = found["elasticity"] > 0
    assert wrong.mean() > 0.5 and found.loc[wrong, "note"].str.contains("does not show what the price does").all()


@pytest.mark.parametrize(
    ("changes", "more", "words"),
    [
        (["price"], {}, "expected column=value"),
        (["colour=1"], {}, "no planned column 'colour'; it has price"),
        (["units=1"], {}, "no planned column 'units'"),
        (["price=cheap"], {}, "holds numbers"),
        (["price=x1.0"], {}, r"holds numbers; expected price=2\.49, or price=-10% of what was planned"),
        (["price=-100%"], {}, "above 0"),
        ([], {}, "nothing is changed"),
        (["price=1"], {"where": "category == 'a'"}, "no column 'category'"),
        (["price=1"], {"where": "store_id == 'nowhere'"}, "no series and day"),
        (["price=1"], {"since": "soon"}, "since is 'soon'"),
    ],
)
def test_what_cannot_be_changed_is_named(sold: pd.DataFrame, changes: list[str], more: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        what_if(sold[sold["ds"] < "2024-02-01"], 3, [change_of(text) for text in changes], **more)


def test_files_in_and_out(tmp_path: Path) -> None:
    priced(60, 4).to_csv(tmp_path / "h.csv", index=False)
    written = what_if_file(tmp_path / "h.csv", 3, [change_of("price=+5%")], tmp_path / "o.csv")
    read = pd.read_csv(tmp_path / "o.csv", parse_dates=["ds", "origin"])
    pd.testing.assert_frame_equal(read, written, check_dtype=False)
    columns = ["store_id", "product_id", "ds", "origin", "units", "units_if", "price", "price_if", "elasticity", "note"]
    assert list(read.columns) == columns and len(read) == 12


def test_an_elasticity_is_the_prices_alone(sold: pd.DataFrame) -> None:
    some = sold[sold["ds"] < "2024-04-01"].assign(fair=lambda rows: (rows["ds"].dt.day == 5).astype(int))
    assert what_if(some, 3, [change_of("price=-10%"), change_of("fair=1")])["elasticity"].isna().all()


def test_a_week_of_the_plan_may_be_labelled_by_any_of_its_days() -> None:
    ds = pd.date_range("2023-01-02", periods=60, freq="W-MON")
    frame = pd.DataFrame({"store_id": "a", "product_id": "x", "ds": ds, "units": 5.0, "price": np.tile([4.0, 5.0, 5.0], 20)})
    thursday = pd.DataFrame({"store_id": "a", "product_id": "x", "ds": [ds[-1] + pd.Timedelta(days=10)], "price": 3.0})
    found = what_if(frame, 2, [change_of("price=+10%")], future=thursday)
    np.testing.assert_allclose(found["price"], [3.0, 5.0])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["price=10%"], "expected a sign and a number before the %"),
        (["price=nan"], "finite"),
        (["price=2", "price=3"], "'price' is changed twice"),
        (["event=Eastr"], "never had 'Eastr'"),
    ],
)
def test_what_would_change_nothing_is_told(texts: list[str], words: str) -> None:
    frame = priced(40, 2).assign(event=lambda rows: np.where(rows["ds"].dt.day == 5, "Easter", None))
    with pytest.raises(BadInput, match=words):
        what_if(frame, 2, [change_of(text) for text in texts])


def test_a_price_of_nothing_tells_no_elasticity() -> None:
    frame = priced(60, 3)
    frame.loc[frame["product_id"].eq("p0") & frame["store_id"].eq("s0"), "price"] = 0.0
    found = what_if(frame, 2, [change_of("price=4")])
    assert found.loc[(found["store_id"] == "s0") & (found["product_id"] == "p0"), "elasticity"].isna().all()


def test_a_price_of_one_is_a_price() -> None:
    frame = priced(60, 3).assign(price=1.0)
    for text, becomes in (("price=1", 1.0), ("price=+0%", 1.0), ("price=0.9", 0.9), ("price=+50%", 1.5)):
        found = what_if(frame, 2, [change_of(text)])
        assert (found["price"] == 1.0).all()
        np.testing.assert_allclose(found["price_if"], becomes)
