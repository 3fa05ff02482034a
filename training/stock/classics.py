"""The textbook's policies, as rules for the simulator, and their best levels, as closed forms and exact searches.

Levels are for backorders, as in the textbook (Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd ed., ch. 3 to 6);
with a lead time of L periods the demand meant is that of L + review periods. `plan` has its own rule
(`policies.decision_of`), which these are a yardstick for: lost sales, random lead times and packs have no closed form. A user
who wants one of them names it (`training.stock.named`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import nbinom, norm, poisson

from training.stock.simulate import Policy

#: chance of a demand beyond the values that a search looks at
TAIL = 1e-12


def order_up_to(level: np.ndarray | float, review: int = 1) -> Policy:
    """(R,S): every `review` periods up to `level`, counting what is on order."""
    return reorder_up_to(np.asarray(level) - 1e-9, level, review)


def reorder_up_to(point: np.ndarray | float, level: np.ndarray | float, review: int = 1) -> Policy:
    """(R,s,S): every `review` periods, where the position is at most `point`, up to `level`."""

    def order(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        position = stock + pipeline.sum(axis=1)
        return np.where((position <= point) & (period % review == 0), np.maximum(level - position, 0.0), 0.0)

    return order


def reorder_quantity(point: np.ndarray | float, quantity: np.ndarray | float) -> Policy:
    """(r,Q): where the position is at most `point`, as many times `quantity` as lift it above."""

    def order(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        short = point - stock - pipeline.sum(axis=1)
        return np.where(short >= 0, (np.floor(short / quantity) + 1) * quantity, 0.0)

    return order


def newsvendor_normal(holding: np.ndarray, shortage: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and expected cost of normal demand: the critical ratio shortage / (shortage + holding)."""
    z = norm.ppf(shortage / (shortage + holding))
    return mean + z * deviation, (holding + shortage) * norm.pdf(z) * deviation


def newsvendor_poisson(holding: np.ndarray, shortage: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and expected cost of Poisson demand."""
    level = poisson.ppf(shortage / (shortage + holding), mean)
    short = mean * poisson.sf(level - 2, mean) - level * poisson.sf(level - 1, mean)
    return level, holding * (level - mean) + (holding + shortage) * short


def negative_binomial_level(ratio: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The least units that cover demand with chance `ratio`; a Poisson one where `variance` is not above `mean`."""
    over = np.maximum(variance, mean * (1 + 1e-6))
    return nbinom.ppf(ratio, mean**2 / (over - mean), mean / over)


def newsvendor_negative_binomial(
    holding: np.ndarray, shortage: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Level and expected cost of negative binomial demand, `variance` above `mean`."""
    share, size = mean / variance, mean**2 / (variance - mean)
    level = negative_binomial_level(shortage / (shortage + holding), mean, variance)
    # k p(k; n) = mean p(k - 1; n + 1)
    short = mean * nbinom.sf(level - 2, size + 1, share) - level * nbinom.sf(level - 1, size, share)
    return level, holding * (level - mean) + (holding + shortage) * short


def fresh_poisson(holding: np.ndarray, shortage: np.ndarray, waste: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Base stock of what spoils before the next delivery: a newsvendor that pays holding and the unit for what is left."""
    return newsvendor_poisson(holding + waste, shortage, mean)


def economic_order_quantity(fixed: np.ndarray, holding: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantity and cost a period of steady demand: sqrt(2 fixed rate / holding)."""
    quantity = np.sqrt(2.0 * fixed * rate / holding)
    return quantity, holding * quantity


def best_reorder_quantity(holding: float, shortage: float, fixed: float, mean: float, lead: float) -> tuple[int, int, float]:
    """r, Q and cost a period of the best (r,Q) under Poisson demand of `mean` a period, reviewed continuously (Federgruen and
    Zheng 1992): positions are added in the order of their cost while the next one costs less than the average."""
    cost = _position_cost(holding, shortage, mean * lead)
    low = high = int(np.argmin([cost(y) for y in range(int(poisson.isf(TAIL, mean * lead)) + 2)]))
    total, count = fixed * mean + cost(low), 1
    while min(cost(low - 1), cost(high + 1)) < total / count:
        if cost(low - 1) <= cost(high + 1):
            low -= 1
            total += cost(low)
        else:
            high += 1
            total += cost(high)
        count += 1
    return low - 1, count, total / count


def best_reorder_up_to(holding: float, shortage: float, fixed: float, mean: float, lead: int = 0) -> tuple[int, int, float]:
    """s, S and cost a period of the best (s,S), reviewed every period, Poisson demand of `mean` (Zheng and Federgruen 1991)."""
    cost = _position_cost(holding, shortage, mean * (lead + 1))
    chance = poisson.pmf(np.arange(int(poisson.isf(TAIL, mean)) + 2), mean)
    lowest = int(np.argmin([cost(y) for y in range(int(poisson.isf(TAIL, mean * (lead + 1))) + 2)]))
    renewals = _renewals(chance)

    def average(point: int, level: int) -> float:
        visits = np.array([renewals(k) for k in range(level - point)])
        return (fixed + sum(visits[k] * cost(level - k) for k in range(level - point))) / float(visits.sum())

    point = lowest - 1
    while average(point, lowest) > cost(point):
        point -= 1
    best, level, beyond = average(point, lowest), lowest, lowest + 1
    while cost(beyond) <= best:
        if average(point, beyond) < best:
            level = beyond
            while average(point, level) <= cost(point + 1):
                point += 1
            best = average(point, level)
        beyond += 1
    return point, level, best


def _position_cost(holding: float, shortage: float, mean: float) -> Callable[[int], float]:
    """Holding and shortage a period at an inventory position, Poisson demand of `mean` until it can be told."""
    seen: dict[int, float] = {}

    def cost(position: int) -> float:
        if position not in seen:
            short = mean * poisson.sf(position - 2, mean) - position * poisson.sf(position - 1, mean)
            seen[position] = holding * (position - mean) + (holding + shortage) * short
        return seen[position]

    return cost


def _renewals(chance: np.ndarray) -> Callable[[int], float]:
    """Expected periods in which the demand since an order is exactly k, from the chances of a period's demand."""
    seen = [1.0 / (1.0 - chance[0])]

    def visits(k: int) -> float:
        while len(seen) <= k:
            n = len(seen)
            reach = min(n, len(chance) - 1)
            seen.append(float(sum(chance[j] * seen[n - j] for j in range(1, reach + 1)) / (1.0 - chance[0])))
        return seen[k]

    return visits
