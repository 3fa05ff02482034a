"""Orders by several rules on the same replays of real sales: `python -m benchmarks.stock --data DIR --set vn2|demo`.

`vn2` is the replay that the data's README defines, `demo` the demo's 2,979 pairs (benchmarks/stock_worlds.py says both).
Each rule's number is the cheapest of a grid on the window before the scored one, one for pairs that keep and one for pairs
that spoil; Shelfcast's `plan` chooses for itself, from what it is given at each call."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stock_rules as rules
from benchmarks.stock_worlds import World, demo, replay, vn2
from training.stock.named import POLICIES
from training.stock.simulate import Outcome

FACTORS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0)
DEVIATIONS = (-1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8, 2.3, 3.0, 4.0, 5.5, 7.5)
RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
COVERS = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5)
OWN = "Shelfcast"
RULES: dict[str, tuple[rules.Numbered, tuple[float, ...]]] = {
    "fixed cover": (rules.fixed_cover, FACTORS),
    "normal reorder point": (rules.normal_point, DEVIATIONS),
    "negative-binomial newsvendor": (rules.binomial_newsvendor, RATIOS),
    "empirical quantile": (rules.empirical_quantile, RATIOS),
    "LightGBM mean + projected stock": (rules.projected_mean, FACTORS),
}


def table(world: World, policies: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """A row for each rule: its numbers, cost and its parts, fill rate, mean stock of all pairs in units, and processor seconds, of
    which those of the choice of the numbers are a part. `policies`: those of training.stock.named by which Shelfcast orders too."""
    for name, (rule, numbers) in RULES.items():
        started = time.process_time()
        chosen = tuned(world, rule, numbers)
        yield _row(world, name, chosen, replay(world, _numbered(world, rule, chosen), world.scored), started)
        if rule is rules.normal_point:
            started = time.process_time()
            chosen = np.maximum(chosen, 0.0)  # the package refuses targets below zero, which fewer deviations give
            outcome = replay(world, _numbered(world, rules.stockcast_point, chosen), world.scored)
            yield _row(world, "stockcast order-up-to", chosen, outcome, started)
    if world.days == 7:
        started = time.process_time()
        chosen = tuned(world, rules.seasonal_cover, COVERS)
        outcome = replay(world, _numbered(world, rules.seasonal_cover, chosen), world.scored)
        yield _row(world, "organiser-like seasonal cover", chosen, outcome, started)
    for policy in ("marginal", *policies):
        started = time.process_time()
        told = replace(world, items=world.items.assign(policy=policy))
        outcome = replay(world, partial(rules.shelfcast, told), world.scored)
        yield _row(world, OWN if policy == "marginal" else f"{OWN}, {policy}", None, outcome, started)


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


def _row(world: World, name: str, chosen: np.ndarray | None, outcome: Outcome, started: float) -> dict[str, Any]:
    spoils = np.isfinite(world.life)
    numbers = "own" if chosen is None else " ".join(f"{chosen[kind][0]:g}" for kind in (~spoils, spoils) if kind.any())
    return {
        "rule": name, "number": numbers, "cost": round(outcome.cost), "holding": round(float(outcome.holding.sum())),
        "shortage": round(float(outcome.shortage.sum())), "waste": round(float(outcome.waste.sum())), "fill": round(outcome.fill_rate, 3),
        "stock": round(float(outcome.stock.sum())), "cpu s": round(time.process_time() - started, 1),
    }  # fmt: skip


def verdict(rows: list[dict[str, Any]]) -> str:
    """Our cost and fill rate against those of the cheapest other rule, in words."""
    own = next(row for row in rows if row["rule"] == OWN)
    best = min((row for row in rows if row["number"] != own["number"]), key=lambda row: row["cost"])
    less = 1.0 - own["cost"] / best["cost"]
    return (
        f"{OWN} costs {less:.1%} less than {best['rule']}, the cheapest other rule, at a fill rate of {own['fill']} against {best['fill']}"
    )


def main() -> None:
    """Print a table a set, a row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", choices=["vn2", "demo", "all"], default="all")
    parser.add_argument("--policies", action="store_true", help="the named policies of Shelfcast beside what pays")
    arguments = parser.parse_args()
    widths = {"rule": 31, "number": 9, "cost": 7, "holding": 7, "shortage": 8, "waste": 7, "fill": 5, "stock": 7, "cpu s": 7}
    for name in ("vn2", "demo") if arguments.set == "all" else (arguments.set,):
        world = vn2(arguments.data) if name == "vn2" else demo()
        print(f"\n{name}: {len(world.keys):,} pairs, {world.window - world.warm_up} of {world.window} periods scored\n")
        print("| " + " | ".join(f"{title:{width}}" for title, width in widths.items()) + " |")
        print("|" + "|".join("-" * (width + 2) for width in widths.values()) + "|")
        rows = []
        for row in table(world, POLICIES[1:] if arguments.policies else ()):
            rows.append(row)
            print("| " + " | ".join(f"{row[title]:{width}}" for title, width in widths.items()) + " |", flush=True)
        print(f"\n{verdict(rows)}", flush=True)


if __name__ == "__main__":
    main()
