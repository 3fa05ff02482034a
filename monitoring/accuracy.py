"""How good the decisions were, once what they were about has happened. Each function takes decisions as the tables hold
them and what arrived since, and gives rows `segment, metric, value, n` (ACCURACY without the run's columns) and `weight`, by which
values of several origins are one: units sold where the value is an error relative to them, else `n`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pandas as pd

from training.evaluation.metrics import bias, brier, coverage, log_loss, wape, wql
from training.recommend.metrics import ranking_metrics
from training.recommend.model import DEFAULT_K
from training.tables import QUANTILES

COLUMNS = ["segment", "metric", "value", "n", "weight"]
#: share of open hours with stock from which a day's sales are the demand
IN_STOCK = 0.999
#: segments by the units a day that were forecast: known before the actual is, so they select nothing
_SPEEDS = (-np.inf, 0.1, 1.0, np.inf)
_SPEED_NAMES = ("under 0.1 a day", "0.1 to 1 a day", "over 1 a day")
#: metrics that are errors over sales: few days of few sales must not weigh as much as many
_RELATIVE = ("wape", "bias", "wql")
#: share of a unit's cost that a year on the shelf costs
HOLDING_RATE_A_YEAR = 0.25
_PAIR = ["store_id", "product_id"]


def forecast_accuracy(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """wape, bias, wql and the coverage of each quantile of FORECASTS rows against DEMAND_DAILY rows, for all, by horizon
    and by speed. Days that were closed, unknown or not fully in stock say nothing about demand and are left out; their
    share is the metric `censored`."""
    arrived = actuals[[*_PAIR, "ds", "units", "open", "in_stock"]].rename(columns={"units": "actual"})
    both = forecasts.merge(arrived, on=[*_PAIR, "ds"], how="inner")
    both = both[both["actual"].notna() & both["open"].astype(bool)]
    if both.empty:
        return _table([])
    judged = both[both["in_stock"].fillna(1.0) >= IN_STOCK]
    rows, weights = [("all", "censored", 1 - len(judged) / len(both), len(both))], [float(len(both))]
    for segment, part in _segments(judged):
        sold = float(part["actual"].abs().sum())
        for metric, value in _forecast_metrics(part).items():
            rows.append((segment, metric, value, len(part)))
            weights.append(sold if metric in _RELATIVE else len(part))
    return _table(rows, weights)


def pooled(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Rows `segment, metric, value, n` over all origins of `accuracy`: an error relative to sales as of all their days together."""
    parts = accuracy.assign(value=accuracy["value"] * accuracy["weight"])
    sums = parts.groupby(["segment", "metric"], sort=False)[["value", "n", "weight"]].sum().reset_index()
    return sums.assign(value=sums["value"] / sums["weight"]).drop(columns="weight")


def order_accuracy(orders: pd.DataFrame, days: pd.DataFrame, products: pd.DataFrame, origin: date) -> pd.DataFrame:
    """What followed the ORDERS of `origin`: `days` are the pairs' days (ds, units, in_stock, price, on_hand_close), those after
    `origin` are judged, `products` their unit_cost. `cost_per_pair_day` is money: stock at closing at 25 % of its cost a year, plus
    the margin on the units that the empty hours would have sold at the pair's pace, in units a day in stock over all of `days`."""
    known = days.merge(orders[_PAIR], on=_PAIR).merge(products, on="product_id", how="left")
    known = known[known["in_stock"].notna()].sort_values("ds")
    # days that were empty throughout say nothing of either: the days before them do
    known["price"] = known.groupby(_PAIR)["price"].ffill().fillna(0.0)
    pace = known.groupby(_PAIR)["units"].transform("sum") / known.groupby(_PAIR)["in_stock"].transform("sum").clip(lower=1.0)
    known = known.assign(lost=pace * (1 - known["in_stock"]))[known["ds"] > origin]
    if known.empty:
        return _table([])
    unit_cost = known["unit_cost"].fillna(known["price"] * 0.7)
    held = known["on_hand_close"].fillna(0).clip(lower=0) * unit_cost * HOLDING_RATE_A_YEAR / 365
    missed = known["lost"] * (known["price"] - unit_cost).clip(lower=0)
    n = len(known)
    return _table([
        ("all", "cost_per_pair_day", float((held + missed).mean()), n), ("all", "holding_cost", float(held.mean()), n),
        ("all", "shortage_cost", float(missed.mean()), n), ("all", "out_of_stock", float((known["in_stock"] < IN_STOCK).mean()), n),
    ])  # fmt: skip


def slow_mover_accuracy(decisions: pd.DataFrame, sold: pd.DataFrame) -> pd.DataFrame:
    """Log loss and Brier score of SLOW_MOVERS probabilities of one origin, whose whole horizon has passed, and the gap between
    the mean probability and the share that did not sell; `sold` has the pairs that sold in the horizon, once each."""
    if decisions.empty:
        return _table([])
    outcome = decisions.merge(sold[_PAIR].drop_duplicates().assign(sold=1.0), on=_PAIR, how="left")["sold"].isna().to_numpy(dtype=float)
    probability, n = decisions["probability"].to_numpy(), len(decisions)
    gap = float((probability - outcome).mean())
    return _table([
        ("all", "log_loss", log_loss(outcome, probability), n), ("all", "brier", brier(outcome, probability), n), ("all", "bias", gap, n),
    ])  # fmt: skip


def recommendation_accuracy(recommended: pd.DataFrame, bought: pd.DataFrame) -> pd.DataFrame:
    """One minus recall, NDCG and hit rate at 10 of the RECOMMENDATIONS of the customers who came back; `bought` has
    customer_id, product_id of the days after the origin."""
    back = bought[bought["customer_id"].isin(recommended["customer_id"])]
    if back.empty:
        return _table([])
    lists = {str(customer): list(part) for customer, part in recommended.sort_values("rank").groupby("customer_id")["product_id"]}
    truth = {str(customer): set(part) for customer, part in back.groupby("customer_id")["product_id"]}
    found = ranking_metrics(lists, truth, DEFAULT_K)
    named = {"one_minus_recall": "recall", "one_minus_ndcg": "ndcg", "miss_rate": "hit_rate"}
    return _table([("all", name, 1 - found[good], len(truth)) for name, good in named.items()])


def _segments(judged: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", judged
    for horizon, part in judged.groupby("horizon"):
        yield f"horizon {horizon}", part
    for name, part in judged.groupby(pd.cut(judged["units"], _SPEEDS, labels=_SPEED_NAMES), observed=True):
        yield str(name), part


def _forecast_metrics(part: pd.DataFrame) -> dict[str, float]:
    actual, mean = part["actual"].to_numpy(np.float64), part["units"].to_numpy(np.float64)
    quantiles = part[list(QUANTILES)].to_numpy(np.float64)
    covered = {f"coverage_{name}": coverage(actual, quantiles[:, at]) for at, name in enumerate(QUANTILES)}
    if not np.abs(actual).sum() > 0:
        return covered  # nothing was sold: errors relative to sales have no meaning
    return {"wape": wape(actual, mean), "bias": bias(actual, mean), "wql": wql(actual, quantiles, list(QUANTILES.values())), **covered}


def _table(rows: list[tuple[str, str, float, int]], weights: Sequence[float] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COLUMNS[:-1])
    frame["weight"] = frame["n"] if weights is None else weights
    return frame[np.isfinite(frame["value"].astype("float64"))].reset_index(drop=True)
