"""How fast orders are planned and shelves simulated: `python -m benchmarks.stock_speed --items 1000000`.

Planned: weekly history of `--weeks` weeks, one lead time, packs of 4, a why each. stockpyl plans its normal newsvendor in a
loop over as many of the same items as fit into a second, before each of the `--repeats` plans; medians are told, and processor
seconds, which a busy machine stretches less than the clock's. Simulated: order-up-to with random lead times."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd

from training.stock import plan
from training.stock.classics import order_up_to
from training.stock.simulate import Costs, simulate


def frames(count: int, weeks: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """History, stock and items of `count` pairs, 1,000 products a store."""
    draw = np.random.default_rng(0)
    stores = np.array([f"s{number}" for number in range(max(count // 1000, 1))], dtype=object)
    products = np.array([f"p{number}" for number in range(1000)], dtype=object)
    pairs = pd.DataFrame({"store_id": np.repeat(stores, 1000)[:count], "product_id": np.tile(products, len(stores))[:count]})
    rate = draw.gamma(1, 3, len(pairs))
    days = pd.date_range("2024-01-01", periods=weeks, freq="7D")
    history = pairs.iloc[np.tile(np.arange(len(pairs)), weeks)].reset_index(drop=True)
    history = history.assign(ds=np.repeat(days, len(pairs)), units=draw.poisson(rate, (weeks, len(pairs))).astype(float).ravel())
    stock = pairs.assign(on_hand=draw.poisson(2 * rate).astype(float))
    items = pd.DataFrame({"product_id": products, "holding_cost": 0.02, "shortage_cost": 1.0, "lead_time_days": 14, "pack_size": 4})
    return history, stock, items


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def stockpyl_rate(seconds: float) -> float:
    """Items a processor second of stockpyl's newsvendor_normal."""
    from stockpyl.newsvendor import newsvendor_normal

    started, done = time.process_time(), 0
    while time.process_time() - started < seconds:
        newsvendor_normal(0.02, 1.0, 10.0 + done % 7, 3.0)
        done += 1
    return done / (time.process_time() - started)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    history, stock, items = frames(arguments.items, arguments.weeks)
    runs = [(stockpyl_rate(1.0), *timed(lambda: plan(history, stock, items))) for _ in range(arguments.repeats)]
    rate, wall, cpu = (median(column) for column in zip(*runs, strict=True))
    print(f"plan: {len(stock):,} items of {arguments.weeks} weeks in {wall:.1f} s, {cpu:.1f} cpu s")
    print(
        f"stockpyl newsvendor_normal: {rate:,.0f} items a cpu s; plan {len(stock) / cpu:,.0f}, {len(stock) / cpu / rate:.0f} times as many"
    )
    draw = np.random.default_rng(1)
    demand, lead = draw.poisson(2.0, (100_000, 60)).astype(float), draw.integers(1, 5, (100_000, 60))
    for name, life in (("keeps", None), ("spoils", np.full(100_000, 5.0))):
        wall, _ = timed(
            lambda life=life: simulate(order_up_to(14.0), demand, np.full(100_000, 9.0), lead, Costs(0.2, 1.0, 0.0, 1.0), shelf_life=life)
        )
        print(f"simulate, {name}: {demand.size / wall / 1e6:.1f} M series-periods/s")


if __name__ == "__main__":
    main()
