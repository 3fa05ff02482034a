"""Orders by several rules on the same replays of real sales: `python -m benchmarks.stock --data DIR --set vn2|demo`.

`vn2` is the replay that the data's README defines, `demo` the demo's 2,979 pairs (benchmarks/stock_worlds.py says both).
Each rule's number is the cheapest of a grid on the window before the scored one, one for pairs that keep and one for pairs
that spoil; Shelfcast's `plan` chooses for itself, from what it is given at each call."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import stock_rules as rules
from benchmarks.stock_worlds import World, demo, replay, vn2
from training.stock.simulate import Outcome

FACTORS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
DEVIATIONS = (-1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8, 2.3, 3.0)
RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99)
RULES: dict[str, tuple[rules.Numbered, tuple[float, ...]]] = {
    "fixed cover": (rules.fixed_cover, FACTORS),
    "normal reorder point": (rules.normal_point, DEVIATIONS),
    "negative-binomial newsvendor": (rules.binomial_newsvendor, RATIOS),
    "empirical quantile": (rules.empirical_quantile, RATIOS),
    "LightGBM mean + projected stock": (rules.projected_mean, FACTORS),
}


def table(world: World) -> Iterator[dict[str, object]]:
    """A row for each rule: its numbers, cost and its parts, fill rate and wall seconds."""
    for name, (rule, numbers) in RULES.items():
        started = time.perf_counter()
        chosen = tuned(world, rule, numbers)
        yield _row(world, name, chosen, replay(world, _numbered(world, rule, chosen), world.scored), started)
        if name == "normal reorder point":
            started = time.perf_counter()
            chosen = np.maximum(chosen, 0.0)  # the package refuses targets below zero, which fewer deviations give
            outcome = replay(world, _numbered(world, rules.stockcast_point, chosen), world.scored)
            yield _row(world, "stockcast order-up-to", chosen, outcome, started)
    if world.days == 7:
        started = time.perf_counter()
        chosen = tuned(world, rules.seasonal_cover, (2.0, 2.5, 3.0, 3.5, 4.0, 4.5))
        yield _row(
            world,
            "organiser-like seasonal cover",
            chosen,
            replay(world, _numbered(world, rules.seasonal_cover, chosen), world.scored),
            started,
        )
    started = time.perf_counter()
    yield _row(world, "Shelfcast", None, replay(world, partial(rules.shelfcast, world), world.scored), started)


def tuned(world: World, rule: rules.Numbered, numbers: tuple[float, ...]) -> np.ndarray:
    """The number of each pair (pairs,): the cheapest on the tuning window over the pairs that keep, or that spoil."""
    money = np.stack([replay(world, _numbered(world, rule, np.full(len(world.units), number)), world.tuning).money for number in numbers])
    chosen, spoils = np.empty(len(world.units)), np.isfinite(world.life)
    for kind in (spoils, ~spoils):
        chosen[kind] = numbers[int(money[:, kind].sum(axis=1).argmin())]
    return chosen


def _numbered(world: World, rule: rules.Numbered, numbers: np.ndarray):
    def order(place: int, stock: np.ndarray, receipts: np.ndarray) -> np.ndarray:
        return rule(world, numbers, place, stock, receipts)

    return order


def _row(world: World, name: str, chosen: np.ndarray | None, outcome: Outcome, started: float) -> dict[str, object]:
    spoils = np.isfinite(world.life)
    numbers = "own" if chosen is None else " ".join(f"{chosen[kind][0]:g}" for kind in (~spoils, spoils) if kind.any())
    return {
        "rule": name, "number": numbers, "cost": round(outcome.cost), "holding": round(float(outcome.holding.sum())),
        "shortage": round(float(outcome.shortage.sum())), "waste": round(float(outcome.waste.sum())),
        "keeps": round(float(outcome.money[~spoils].sum())), "spoils": round(float(outcome.money[spoils].sum())),
        "fill": f"{outcome.fill_rate:.3f}", "s": f"{time.perf_counter() - started:.1f}",
    }  # fmt: skip


def main() -> None:
    """Print the table, a row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", choices=["vn2", "demo", "all"], default="all")
    arguments = parser.parse_args()
    for name in ("vn2", "demo") if arguments.set == "all" else (arguments.set,):
        world = vn2(arguments.data) if name == "vn2" else demo()
        widths = {"rule": 32, "number": 9, "cost": 7, "holding": 7, "shortage": 8, "waste": 7, "keeps": 7, "spoils": 7, "fill": 5, "s": 6}
        print(f"\n{name}: {len(world.keys):,} pairs, {world.window - world.warm_up} of {world.window} periods scored, money by kind")
        print("| " + " | ".join(f"{title:{width}}" for title, width in widths.items()) + " |")
        print("|" + "|".join("-" * (width + 2) for width in widths.values()) + "|")
        for row in table(world):
            print("| " + " | ".join(f"{row[title]:{width}}" for title, width in widths.items()) + " |", flush=True)


if __name__ == "__main__":
    main()
