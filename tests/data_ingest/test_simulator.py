"""The simulated retailer: the same by its seed, true to its parameters, and strange only where it was told to be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from data_ingest.contracts import TOPICS, problem
from data_ingest.simulated_world import UPLIFT, WEEKDAY, expected_demand, latent_demand, make_world, planted
from data_ingest.simulator import Block, block_feed, live_block, simulate
from data_ingest.tables import PRODUCTS, PURCHASE_HISTORY, STORES
from data_ingest.truth import truth_path
from infra.errors import BadInput
from infra.lake import Lake
from infra.settings import Settings, load_settings

START = date(2024, 1, 1)


def bytes_of(settings: Settings) -> dict[str, str]:
    root = Path(settings.events_url.removeprefix("file://"))
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(root.rglob("*.jsonl"))}


def run(spark: SparkSession, home: Path, seed: int = 3):
    settings = load_settings(home=home)
    return settings, simulate(spark, settings, stores=2, products=8, days=30, seed=seed, start=START)


def test_a_seed_gives_the_same_bytes_and_another_seed_others(spark: SparkSession, tmp_path: Path) -> None:
    one, first = run(spark, tmp_path / "one")
    two, second = run(spark, tmp_path / "two")
    assert bytes_of(one) == bytes_of(two) and first == second
    for name in ("demand", "anomalies", "parameters"):
        pd.testing.assert_frame_equal(pd.read_parquet(truth_path(one, name)), pd.read_parquet(truth_path(two, name)))
    repeated = run(spark, tmp_path / "one")[1]
    assert repeated == replace(first, written=0)
    lake = Lake(one.lake_url)
    assert len(lake.read_pandas(STORES)) == 2 and len(lake.read_pandas(PRODUCTS)) == 8
    sold = [
        json.loads(line) for f in Path(one.events_url.removeprefix("file://")).glob("sales/*.jsonl") for line in f.read_text().splitlines()
    ]
    bought = [e for e in sold if e["event_type"] == "purchase"]
    remembered = lake.read_pandas(PURCHASE_HISTORY)
    assert len(remembered) == len(bought) and remembered["units"].sum() == sum(e["units"] for e in bought)
    assert first.written == sum(first.events.values()) == sum(len(v) for v in events_of(one).values())


def events_of(settings: Settings) -> dict[str, list[dict]]:
    root = Path(settings.events_url.removeprefix("file://"))
    return {t: [json.loads(line) for f in sorted((root / t).glob("*.jsonl")) for line in f.read_text().splitlines()] for t in TOPICS}


@pytest.fixture(scope="module")
def block() -> Block:
    return live_block(make_world(3, 20, 120, 5, START), np.arange(3))


def test_every_event_obeys_the_contract(spark: SparkSession, tmp_path: Path) -> None:
    settings, _ = run(spark, tmp_path / "home", seed=11)
    events = events_of(settings)
    assert all(events[topic] for topic in TOPICS)
    for topic, found in events.items():
        assert not [said for e in found if (said := problem(TOPICS[topic], e))]
        assert len({e["event_id"] for e in found}) == len(found)


def test_demand_is_sold_or_lost(block: Block) -> None:
    lost = block.lines["units"] - block.lines["sold"]
    assert (lost >= 0).all() and lost.sum() > 0
    assert block.shelf.demand.sum() == block.lines["sold"].sum() + lost.sum() == block.lines["units"].sum()
    assert 0.01 < (block.shelf.in_stock < 1).mean() < 0.15


def test_a_block_alone_is_the_block_within_a_larger_run(block: Block) -> None:
    alone = live_block(make_world(9, 20, 120, 5, START), np.array([2]))
    np.testing.assert_array_equal(alone.shelf.units, block.shelf.units[40:])


def test_latent_demand_follows_its_parameters() -> None:
    """Over many stores the mean is the stated rate: weekday, offers and elasticity included."""
    world = make_world(400, 12, 14, 8, START)
    nothing = planted(world, world.stores["store_id"].to_numpy()[:1]).iloc[:0]
    drawn = sum(latent_demand(world, store, nothing) for store in range(400))
    expected = sum(expected_demand(world, size) for size in world.stores["size"])
    variance = expected * (1 + (expected / 400) / np.nan_to_num(world.products["shape"].to_numpy()[:, None], nan=np.inf) * 1.5)
    assert (np.abs(drawn - expected) < 5.5 * np.sqrt(variance)).all()


def test_price_and_promotion_effects_are_the_stated_ones() -> None:
    world = make_world(1, 300, 70, 2, START)
    none = {kind: np.zeros_like(mask) for kind, mask in world.flags.items()}
    plain = expected_demand(replace(world, price=world.regular, flags=none), 1.0)
    ratio = (expected_demand(world, 1.0) / plain)[:, ::7]
    alone = world.flags["discount"] & ~world.flags["mailer"] & ~world.flags["display"]
    elasticity = np.broadcast_to(world.products["elasticity"].to_numpy()[:, None], alone.shape)
    np.testing.assert_allclose(ratio[alone], (UPLIFT["discount"] * (world.price / world.regular) ** -elasticity)[alone])
    flat = replace(world, price=world.regular, flags=none, products=world.products.assign(amplitude=0.0, trend=0.0))
    week = expected_demand(flat, 1.0)[:, :7]
    np.testing.assert_allclose(week / week.mean(axis=1, keepdims=True), np.tile(WEEKDAY / WEEKDAY.mean(), (300, 1)))


def test_baskets_hold_several_products_of_one_customer_and_one_time(block: Block) -> None:
    baskets = block.lines.groupby("basket_id")
    assert baskets["customer_id"].nunique().max() == 1 and baskets["day"].nunique().max() == 1
    assert 1.8 < baskets.size().mean() < 10 and not block.lines.duplicated(["basket_id", "pair"]).any()
    taste = block.pairs["taste"].to_numpy()[block.lines["pair"]]
    own = block.lines["customer_id"].str.extract(r"-c(\d+)$")[0].astype(int) % 8
    assert (own == taste).mean() > 0.5


def test_planted_anomalies_show() -> None:
    world = make_world(6, 20, 200, 5, START)
    block = live_block(world, np.arange(6))
    found = block.anomalies
    assert set(found["kind"]) == {"spike", "dip", "price_error", "feed_gap"}
    for kind, low, high in (("spike", 2.5, 8), ("dip", 0, 0.5)):
        rows = found[found["kind"] == kind]
        expected = sum(expected_demand(world, world.stores["size"].iloc[r.store])[r.product, r.day] for r in rows.itertuples())
        seen = block.shelf.demand[rows["store"] * 20 + rows["product"], rows["day"]].sum()
        assert low <= seen / expected <= high
    wrong = found[found["kind"] == "price_error"]
    cells = set(zip(wrong["store"] * 20 + wrong["product"], wrong["day"], strict=True))
    lines = block.lines
    dear = lines["unit_price"].to_numpy() > 5 * world.regular[lines["pair"] % 20, lines["day"] // 7]
    assert dear.any() and set(zip(lines["pair"][dear], lines["day"][dear], strict=True)) <= cells


def test_a_feed_gap_is_a_day_without_any_event_of_the_store() -> None:
    world = make_world(8, 4, 365, 21, START)
    block = live_block(world, np.arange(8))
    gaps = block.anomalies[block.anomalies["kind"] == "feed_gap"]
    assert len(gaps)
    for topic, table in block_feed(world, block).items():
        frame = table.to_pandas()
        day = ((frame["occurred_at"] + pd.Timedelta(hours=1)).dt.normalize() - pd.Timestamp(START)).dt.days
        at = set(zip(frame["store_id"], day, strict=True))
        gone = {(block.stores[g.store], g.day) for g in gaps.itertuples()}
        assert topic == "supply" or not (at & gone)


def test_counts_below_one_are_refused(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(BadInput, match="products is 0: expected at least 1"):
        simulate(spark, settings, stores=1, products=0, days=1, seed=1, start=START)
