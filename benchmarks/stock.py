"""Orders by several rules on the same replay of real weekly sales: `python benchmarks/stock.py --data DIR --set vn2`.

VN2's replay: the last 56 weeks are simulated and the last 52 scored; demand is the recorded sales, lost when not served. In
a week receipts arrive, the rule orders knowing earlier weeks only, the order arrives at the start of the week two later,
demand is served, and the week costs 0.2 x stock left + 1.0 x units lost. Start: four times the mean of the in-stock weeks
among the 13 before, rounded up; nothing in transit. Each rule's one number is chosen by the same replay on the 56 weeks
before; ours chooses its own inside `training.stock.plan` from what it is given."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from training.stock import plan
from training.stock.simulate import Costs, Outcome, simulate

HOLDING, SHORTAGE, LEAD, WEEKS, WARM_UP = 0.2, 1.0, 2, 56, 4
#: a rule: (week, stock on hand, units arriving next week) -> units; made from the sales and one number
Rule = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sales:
    """`units` and `in_stock` (series, weeks), `weeks` their Mondays, `keys` store_id and product_id a series."""

    units: np.ndarray
    in_stock: np.ndarray
    weeks: pd.DatetimeIndex
    keys: pd.DataFrame
    history: pd.DataFrame


def vn2(folder: Path) -> Sales:
    """VN2's weekly sales of a folder that holds `vn2/sales_weekly.parquet`."""
    rows = pd.read_parquet(folder / "vn2" / "sales_weekly.parquet")
    rows = rows.rename(columns={"Store": "store_id", "Product": "product_id", "week": "ds", "sales": "units"})
    rows = rows.astype({"store_id": str, "product_id": str, "in_stock": float}).sort_values(["store_id", "product_id", "ds"])
    wide = rows.pivot(index=["store_id", "product_id"], columns="ds", values=["units", "in_stock"])
    keys = wide.index.to_frame(index=False)
    return Sales(wide["units"].to_numpy(float), wide["in_stock"].to_numpy(float), pd.DatetimeIndex(wide["units"].columns), keys, rows)


def replay(sales: Sales, rule: Rule, first: int) -> Outcome:
    """The outcome of `rule` over WEEKS weeks from column `first`."""
    before = slice(first - 13, first)
    shown = sales.in_stock[:, before]
    mean = (sales.units[:, before] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)

    def order(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        return np.round(rule(first + period, stock, pipeline[:, 0]))

    demand = sales.units[:, first : first + WEEKS]
    return simulate(order, demand, np.ceil(4 * mean), LEAD, Costs(HOLDING, SHORTAGE), warm_up=WARM_UP)


def level(sales: Sales, week: int, weeks: int = 13) -> np.ndarray:
    """Mean units of the in-stock weeks among the last `weeks` before `week`."""
    shown = sales.in_stock[:, week - weeks : week]
    return (sales.units[:, week - weeks : week] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)


def fixed_cover(sales: Sales, cover: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """Up to `cover` weeks of the 13-week mean."""
    return cover * level(sales, week) - stock - coming


def normal_point(sales: Sales, z: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """Up to three weeks' mean plus z standard deviations of three weeks."""
    deviation = sales.units[:, week - 26 : week].std(axis=1)
    return 3 * level(sales, week) + z * np.sqrt(3) * deviation - stock - coming


def binomial_newsvendor(sales: Sales, ratio: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """Up to the negative binomial's quantile of three weeks' demand."""
    mean, variance = np.maximum(3 * level(sales, week), 0.05), 3 * sales.units[:, week - 26 : week].var(axis=1)
    over = np.maximum(variance / mean, 1.001)
    return nbinom.ppf(ratio, mean / (over - 1), 1 / over) - stock - coming


def empirical_quantile(sales: Sales, ratio: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """Up to the quantile of the sums of three consecutive weeks seen in the last year."""
    recent = sales.units[:, max(week - 52, 0) : week]
    sums = recent[:, 2:] + recent[:, 1:-1] + recent[:, :-2]
    return np.quantile(sums, ratio, axis=1) - stock - coming


def seasonal_cover(sales: Sales, cover: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """As the organiser's rule: up to `cover` weeks of a seasonal 13-week moving average (all series' weekly pattern)."""
    index = season_index(sales, week)
    recent = slice(week - 13, week)
    shown = sales.in_stock[:, recent]
    plain = (sales.units[:, recent] / index[_of_year(sales.weeks[recent])] * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    ahead = sales.weeks[week - 1] + pd.to_timedelta(7 * np.arange(1, 5), unit="D")
    return cover / 4 * plain * index[_of_year(pd.DatetimeIndex(ahead))].sum() - stock - coming


def season_index(sales: Sales, week: int) -> np.ndarray:
    """Pooled sales by week of the year before `week`, over their mean."""
    of_year = _of_year(sales.weeks[:week])
    total = pd.Series(sales.units[:, :week].sum(axis=0)).groupby(of_year).mean()
    index = np.ones(54)
    index[total.index] = total / total.mean()
    return index


def _of_year(days: pd.DatetimeIndex) -> np.ndarray:
    return ((days.dayofyear - 1) // 7).to_numpy()


def projected_mean(sales: Sales, factor: float, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """LightGBM's mean of the third week times `factor`, beyond the stock that its means of the first two would leave."""
    first, second, third = boosted_means(id(sales), week)
    left = np.maximum(np.maximum(stock - first, 0) + coming - second, 0)
    return factor * third - left


_SALES: dict[int, Sales] = {}


@cache
def boosted_means(key: int, week: int) -> tuple[np.ndarray, ...]:
    """LightGBM's mean of the next three weeks, from a fit of at most four weeks ago."""
    sales = _SALES[key]
    model = boosted(key, week - week % 4)
    return tuple(np.maximum(model.predict(_lags(sales, week, step)), 0) for step in (1, 2, 3))


@cache
def boosted(key: int, week: int):
    """A plain LightGBM regressor (Tweedie) on lags, means, the week of the year and the step, over all series."""
    import lightgbm

    sales = _SALES[key]
    cells = [(origin, step) for origin in range(max(26, week - 104), week) for step in (1, 2, 3) if origin + step <= week]
    rows = np.concatenate([_lags(sales, origin, step) for origin, step in cells])
    target = np.concatenate([sales.units[:, origin + step - 1] for origin, step in cells])
    model = lightgbm.LGBMRegressor(
        objective="tweedie", n_estimators=150, learning_rate=0.06, num_leaves=31, min_child_samples=40,
        subsample=0.7, subsample_freq=1, colsample_bytree=0.8, n_jobs=1, verbose=-1, random_state=3,
    )  # fmt: skip
    return model.fit(rows, target)


def _lags(sales: Sales, week: int, step: int) -> np.ndarray:
    units = sales.units[:, :week]
    year = units[:, week + step - 53] if week + step > 52 else np.full(len(units), np.nan)
    means = [units[:, -k:].mean(axis=1) for k in (4, 13, 26)]
    target = sales.weeks[0] + pd.Timedelta(weeks=week + step - 1)
    place = np.full(len(units), (target.dayofyear - 1) // 7)
    return np.column_stack([units[:, -1], units[:, -2], units[:, -3], units[:, -4], *means, year, place, np.full(len(units), step)])


def ours(sales: Sales, week: int, stock: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """`training.stock.plan` on frames, as an outside simulator calls it."""
    known = sales.history[sales.history["ds"] < sales.weeks[week]]
    on_hand = sales.keys.assign(on_hand=stock, on_order=np.nan, arrives_on=pd.NaT)
    transit = sales.keys.assign(on_hand=np.nan, on_order=coming, arrives_on=sales.weeks[week] + pd.Timedelta(days=7))
    frame = pd.concat([on_hand, transit[coming > 0]]).astype({"arrives_on": "datetime64[ns]"})
    items = sales.keys[["product_id"]].drop_duplicates()
    items = items.assign(holding_cost=HOLDING / 7, shortage_cost=SHORTAGE, lead_time_days=14, review_period_days=7)
    orders = plan(known, frame, items, sales.weeks[week - 1])
    return sales.keys.merge(orders, on=["store_id", "product_id"])["order_units"].to_numpy(float)


RULES: dict[str, tuple[Callable[..., np.ndarray], tuple[float, ...]]] = {
    "fixed cover": (fixed_cover, (2.5, 3.0, 3.5, 4.0)),
    "normal reorder point": (normal_point, (-0.2, 0.0, 0.2, 0.4)),
    "organiser-like seasonal cover": (seasonal_cover, (2.5, 3.0, 3.5, 4.0)),
    "empirical quantile": (empirical_quantile, (0.5, 0.6, 0.7, 0.8)),
    "negative binomial newsvendor": (binomial_newsvendor, (0.5, 0.6, 0.7, 0.8)),
    "LightGBM mean + projected stock": (projected_mean, (1.0, 1.2, 1.4, 1.6)),
}


def table(sales: Sales) -> Iterator[dict[str, object]]:
    """A row for each rule: its chosen number, cost, its parts, fill rate and wall seconds."""
    _SALES[id(sales)] = sales
    first = sales.units.shape[1] - WEEKS
    for name, (rule, numbers) in RULES.items():
        started = time.perf_counter()
        chosen = min(numbers, key=lambda number: replay(sales, partial(rule, sales, number), first - WEEKS).cost)
        yield _row(name, f"{chosen:g}", replay(sales, partial(rule, sales, chosen), first), started)
    started = time.perf_counter()
    yield _row("Shelfcast", "own", replay(sales, partial(ours, sales), first), started)


def _row(name: str, chosen: str, outcome: Outcome, started: float) -> dict[str, object]:
    return {
        "rule": name, "number": chosen, "cost": round(outcome.cost), "holding": round(float(outcome.holding.sum())),
        "shortage": round(float(outcome.shortage.sum())), "fill_rate": round(outcome.fill_rate, 3),
        "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def main() -> None:
    """Print the table, a row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", choices=["vn2"], default="vn2")
    arguments = parser.parse_args()
    sales = vn2(arguments.data)
    print(f"| {'rule':32} | {'number':>6} | {'cost':>7} | {'holding':>7} | {'shortage':>8} | {'fill':>5} | {'s':>6} |")
    for row in table(sales):
        print(
            f"| {row['rule']:32} | {row['number']:>6} | {row['cost']:>7} | {row['holding']:>7} | {row['shortage']:>8} "
            f"| {row['fill_rate']:>5} | {row['seconds']:>6} |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
