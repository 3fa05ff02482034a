"""Habits against the plain definition, pair by pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.training.recommend.shop import lines
from training.recommend.candidates import known_at, own_products
from training.recommend.habits import FEATURES, Habits, habits, product_gaps
from training.recommend.purchases import Purchases, encode


@pytest.fixture(scope="module")
def past() -> Purchases:
    return encode(lines(customers=12, days=80))


@pytest.fixture(scope="module")
def made(past: Purchases) -> Habits:
    return habits(past, 28, product_gaps(past))


def test_counts_ages_decay_and_trips_of_every_pair(past: Purchases, made: Habits) -> None:
    frame = pd.DataFrame({"c": past.customer, "p": past.product, "day": past.day})
    assert len(made.key) == len(frame[["c", "p"]].drop_duplicates())
    for key, values in zip(made.key[::7], made.values[::7], strict=True):
        said = dict(zip(FEATURES, values, strict=True))
        customer, product = divmod(int(key), len(past.products))
        days = np.unique(frame[(frame["c"] == customer) & (frame["p"] == product)]["day"])
        trips = np.unique(frame[frame["c"] == customer]["day"])
        age = past.last_day - days
        assert said["days_bought"] == len(days)
        assert said["since_last"] == age.min()
        assert said["since_first"] == age.max()
        assert said["days_bought_28"] == (age < 28).sum()
        assert said["decay_45"] == pytest.approx((0.5 ** (age / 45)).sum(), rel=1e-5)
        assert said["trips_since_last"] == (trips > days.max()).sum()
        assert said["trip_share"] == pytest.approx(len(days) / (trips >= days.min()).sum(), rel=1e-6)
        assert np.isnan(said["last_gap"]) if len(days) == 1 else said["last_gap"] == days[-1] - days[-2]


def test_unknown_pairs_have_no_habit(past: Purchases, made: Habits) -> None:
    total = len(past.products)
    unbought = np.setdiff1d(np.arange(len(past.customers) * total), made.key)
    assert np.isnan(made.of(np.append(unbought, -1))).all()


def test_what_follows_an_origin_does_not_change_its_habits(past: Purchases) -> None:
    early = past.until(past.last_day - 20)
    altered = encode(lines(customers=12, days=80).query("ds <= '2024-02-29'"), past.products, early.last_day)
    ours, theirs = habits(early, 28, product_gaps(early)), habits(altered.until(early.last_day), 28, product_gaps(early))
    assert early.last_day == (pd.Timestamp("2024-02-29") - pd.Timestamp(0)).days
    np.testing.assert_array_equal(ours.key, theirs.key)
    np.testing.assert_allclose(ours.values, theirs.values)


def test_what_is_brought_back_is_a_habit_until_it_is(past: Purchases) -> None:
    sold = lines(customers=12, days=80).query("customer_id == 'c00' and product_id == 'milk'")
    back = sold.assign(units=-1.0, basket_id="back", ds=pd.Timestamp("2024-03-10"))
    found = encode(pd.concat([lines(customers=12, days=80), back]))
    milk = found.product[(found.customer == 0) & ~found.kept]
    assert set(found.products[milk]) == {"milk"} and len(milk) == len(sold)
    before = int((back["ds"].iloc[0] - pd.Timestamp(0)).days) - 1
    np.testing.assert_array_equal(
        habits(found.until(before), 28, product_gaps(past)).key, habits(past.until(before), 28, product_gaps(past)).key
    )
    assert not found.until(before + 1).kept.all()


def test_customers_times_products_beyond_two_billion_stay_whose_they_are(past: Purchases) -> None:
    known = known_at(past, 28)
    customers, total = np.arange(len(past.customers), dtype=np.int32), 2**30
    customer, product = np.divmod(known.habits.key, len(past.products))
    many = replace(
        known, past=replace(past, products=np.broadcast_to(past.products[:1], total)),
        habits=replace(known.habits, key=customer * total + product),
    )  # fmt: skip
    np.testing.assert_array_equal(own_products(many, customers, 5), own_products(known, customers, 5))


def test_customers_times_days_beyond_two_billion_keep_their_trips(past: Purchases, made: Habits) -> None:
    many = replace(past, customer=past.customer + np.int32(300_000), last_day=past.last_day + 8_000)
    np.testing.assert_array_equal(habits(many, 28, product_gaps(many)).column("trips_since_last"), made.column("trips_since_last"))
