"""What an order costs and when it arrives: the economics of each pair, with stated defaults, and the stock that is
there or on its way. Times are in periods (days or weeks), money is per unit and period."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from difflib import get_close_matches

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.stock.named import MARGINAL, policy_number
from training.stock.order_days import weekdays
from training.stock.panel import PAIR

#: what is taken where the items say nothing (docs: the order verb)
DEFAULTS = {
    "price": 1.0,  # money; else the last price of the history, else what the unit cost is the usual share of
    "cost_share": 0.7,  # unit cost as a share of the price
    "holding_year": 0.25,  # money a year to hold a unit, as a share of its cost
    "lead_time_days": 7.0,
    "pack_size": 1.0,
}
#: lead times that one pair may have in the arithmetic; finer distributions are merged to as many
LEADS = 5
NUMBERS = {
    "price", "unit_cost", "holding_cost", "shortage_cost", "fixed_order_cost", "lead_time_days", "lead_time_days_sd",
    "review_period_days", "pack_size", "minimum_order", "maximum_order", "shelf_life_days", "service_level",
}  # fmt: skip
#: what items and rules say in words: JSON of days to probability, weekdays on which orders go out, the centre that supplies, how an
#: order is found
WORDS = {"lead_time_distribution", "order_days", "supplied_by", "policy"}
#: how alike two names are of which one may be the other misspelt, 0 to 1
_ALIKE = 0.75
#: what lasts longer than this does not spoil within any order: days
KEEPS_DAYS = 365
#: a service level beyond this asks for more than a grid can tell
HIGHEST_SERVICE = 0.9999


@dataclass(frozen=True)
class Terms:
    """Arrays over pairs: `holding` money a unit and period, `shortage` money a unit lost, `fixed` money an order line,
    `unit_cost` money a wasted unit, `review` periods between orders, `pack`, `minimum`, `maximum` units (infinite: none),
    `service` the least chance of no stockout between this order's arrival and the next one's (0: what pays), `shelf_life`
    periods (infinite: keeps); `leads` and `lead_share` (pairs, options): periods that pass before the order arrives, with
    probabilities; `policy` the number of the one that is named (training.stock.named)."""

    holding: np.ndarray
    shortage: np.ndarray
    fixed: np.ndarray
    unit_cost: np.ndarray
    review: np.ndarray
    pack: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    service: np.ndarray
    shelf_life: np.ndarray
    leads: np.ndarray
    lead_share: np.ndarray
    policy: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Terms:
        """The terms of some pairs."""
        return Terms(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def terms(known: pd.DataFrame, price: np.ndarray, days: int) -> Terms:
    """The terms of each row of `known` (the columns of NUMBERS, `lead_time_distribution` and `policy`, where present; what is blank or
    absent takes DEFAULTS). `price` (rows,): the last one seen, NaN where none; `days` a period."""
    count, seen = len(known), price

    def value(name: str, default: np.ndarray | float) -> np.ndarray:
        found = known[name].to_numpy(float) if name in known else np.full(count, np.nan)
        return np.where(np.isfinite(found), found, default)

    cost = value("unit_cost", np.nan)
    usual = np.where(cost > 0, cost / DEFAULTS["cost_share"], DEFAULTS["price"])
    price = value("price", np.where(np.isfinite(seen), seen, usual))
    cost = np.where(np.isfinite(cost), cost, DEFAULTS["cost_share"] * price)
    day = value("holding_cost", DEFAULTS["holding_year"] / 365.0 * cost)
    shelf = value("shelf_life_days", np.inf)
    leads, share = _leads(known, value("lead_time_days", DEFAULTS["lead_time_days"]), value("lead_time_days_sd", 0.0), days)
    return Terms(
        holding=day * days,
        shortage=value("shortage_cost", np.maximum(price - cost, 0.05 * price)),
        fixed=value("fixed_order_cost", 0.0),
        unit_cost=cost,
        review=np.maximum(np.round(value("review_period_days", days) / days), 1).astype(int),
        pack=np.maximum(value("pack_size", DEFAULTS["pack_size"]), 1e-9),
        minimum=value("minimum_order", 0.0),
        maximum=value("maximum_order", np.inf),
        service=value("service_level", 0.0),
        shelf_life=np.where(shelf <= KEEPS_DAYS, np.maximum(np.floor(shelf / days), 1), np.inf),
        leads=leads,
        lead_share=share,
        policy=_policies(known),
    )


def check_items(items: pd.DataFrame, where: str) -> None:
    """Raise BadInput unless each row names a product and/or a store once, and each distribution can be read."""
    keys = [name for name in PAIR if name in items]
    if not keys:
        raise BadInput(f"{where}: expected a column product_id or store_id; it has {', '.join(map(str, items.columns))}")
    nameless = items[keys].isna().all(axis=1).to_numpy()
    again = items.duplicated(keys).to_numpy()
    if nameless.any():
        raise BadInput(f"{where}: row {int(nameless.argmax()) + 1} has a blank {' and '.join(keys)}; expected one of them")
    if again.any():
        raise BadInput(f"{where}: row {int(again.argmax()) + 1} repeats the {' and '.join(keys)} of an earlier row; expected one row each")
    for name, read in (("lead_time_distribution", lead_points), ("order_days", weekdays), ("policy", policy_number)):
        for text in items[name].dropna().unique() if name in items else ():
            try:
                read(text)
            except BadInput as problem:
                row = int((items[name] == text).to_numpy().argmax()) + 1
                raise BadInput(f"{where}: row {row}: {problem}") from problem


def misspelt(items: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns of `items` that are not known but look like one that is, such as `lead_time`, with the name that is known."""
    known = sorted(NUMBERS | WORDS)
    unknown = [str(name) for name in items.columns if name not in {*known, *PAIR}]
    meant = {name: get_close_matches(name.lower(), known, 1, _ALIKE) for name in unknown}
    return [(name, found[0]) for name, found in meant.items() if found and found[0] not in items]


def by_pair(items: pd.DataFrame | None, pairs: pd.DataFrame, more: Collection[str] = ()) -> pd.DataFrame:
    """What `items`, keyed by `product_id`, `store_id` or both, says of each of `pairs`, in their order: a pair's own row wins
    over its product's, that over its store's. The columns of NUMBERS, WORDS and `more`."""
    out = pairs[PAIR].copy()
    if items is None:
        return out
    names = [name for name in items.columns if name in NUMBERS or name in WORDS or (name in more and name not in PAIR)]
    for key in (["store_id"], ["product_id"], PAIR):
        if not set(key) <= set(items.columns):
            continue
        others = [name for name in PAIR if name in items.columns and name not in key]
        rows = items[items[key].notna().all(axis=1) & items[others].isna().all(axis=1)]
        found = out[PAIR].merge(rows[key + names], on=key, how="left") if len(rows) else out[PAIR]
        for name in names:
            if name in found:
                out[name] = found[name].to_numpy() if name not in out else np.where(found[name].notna(), found[name], out[name])
    return out


def _policies(known: pd.DataFrame) -> np.ndarray:
    out = np.full(len(known), MARGINAL, dtype=np.int8)
    for text in known["policy"].dropna().unique() if "policy" in known else ():
        out[(known["policy"] == text).to_numpy()] = policy_number(text)
    return out


def _leads(known: pd.DataFrame, mean: np.ndarray, sd: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Lead times in periods and their probabilities (pairs, LEADS): from the distribution where there is one, else five
    equally likely points of a gamma with the mean and standard deviation."""
    from scipy.special import gammaincinv

    points, share = np.repeat(mean[:, None], LEADS, axis=1), np.tile(np.arange(LEADS) == 0, (len(mean), 1)).astype(float)
    random = np.flatnonzero((sd > 1e-9) & (mean > 1e-9))
    shape = np.minimum((mean[random] / sd[random]) ** 2, 1e6)[:, None]
    points[random] = gammaincinv(shape, (np.arange(LEADS) + 0.5)[None, :] / LEADS) / np.maximum(shape, 1e-12) * mean[random, None]
    share[random] = 1.0 / LEADS
    if "lead_time_distribution" in known:
        for text in known["lead_time_distribution"].dropna().unique():
            rows = (known["lead_time_distribution"] == text).to_numpy()
            points[rows], share[rows] = lead_points(text)
    # a delivery that comes within a week (weekly data) serves from the next one on
    return np.ceil(np.round(points, 6) / days - 1e-9).astype(int), share


def lead_points(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Days and probabilities (LEADS,) of a distribution written as JSON, days to probability; of more days than LEADS those that
    lie nearest are merged, so that a late delivery stays one. Raises BadInput when it is not one."""
    try:
        pairs = sorted((float(day), float(share)) for day, share in json.loads(text).items())
        days, share = np.array([day for day, _ in pairs]), np.array([part for _, part in pairs])
        fine = len(days) > 0 and bool(np.all(np.isfinite(days)) and np.all(days >= 0) and np.all(share >= 0))
        fine = fine and abs(float(share.sum()) - 1.0) < 0.01
    except (ValueError, AttributeError, TypeError) as problem:
        raise BadInput(_expected(text)) from problem
    if not fine:
        raise BadInput(_expected(text))
    days, share = _merged(days[share > 0], share[share > 0] / share.sum())
    pad = LEADS - len(days)
    return np.append(days, np.repeat(days[-1], pad)), np.append(share, np.zeros(pad))


def _merged(days: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most LEADS points of a distribution: neighbours are merged into their mean, those first whose merging takes the least from
    the variance (Ward 1963); merged ones are whole days."""
    points = list(zip(days.tolist(), share.tolist(), [False] * len(days), strict=True))
    while len(points) > LEADS:
        taken = [p * q / (p + q) * (b - a) ** 2 for (a, p, _), (b, q, _) in itertools.pairwise(points)]
        at = int(np.argmin(taken))
        (a, p, _), (b, q, _) = points[at : at + 2]
        points[at : at + 2] = [((a * p + b * q) / (p + q), p + q, True)]
    return np.array([round(day) if merged else day for day, _, merged in points]), np.array([part for _, part, _ in points])


def _expected(text: str) -> str:
    return (
        f'column \'lead_time_distribution\' is {text!r}; expected JSON of days to probability that sum to 1, such as {{"2": 0.5, "3": 0.5}}'
    )
