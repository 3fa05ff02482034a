"""A rule's orders replayed on what was sold: the judge of the stock family.

A window is REVIEWS weekly snapshots of features in a row, 70 days, of which the first three weeks only run the start stock
down. Each pair orders at its own review period; within a week by the snapshot of its start. Every rule meets the same
demand, the same lead times (drawn from what was learned of the supplier, each delivery promised for the mean), the same
start stock. Money: holding, margin lost, and the unit cost of what outlives its shelf life. Stock left at the end has paid
for its holding and earned nothing: seven weeks that count are long against one order of most pairs, and no rule knows
where they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_ingest.chance import keys_of, uniform
from infra.errors import TooLittleHistory
from training.demand.examples import Rows
from training.portable import Portable
from training.stock.cover import FixedCover
from training.stock.demand_distribution import Demand
from training.stock.lead_time_demand import LEAD_TIME_FEATURES, LeadTimeDemand
from training.stock.model import StockModel, terms_of
from training.stock.policies import Shelf, decision_of
from training.stock.simulate import Costs, Outcome, simulate
from training.stock.terms import Terms
from training.tabular import FEATURES, matrix_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: days between snapshots; snapshots of a window, and those of them whose days do not count
WEEK, REVIEWS, WARM_UP = 7, 10, 3
#: the columns that the stock model reads, carried through the dataset as state_*
STATE = (
    "level",
    "dispersion",
    "origin_day",
    *(f"dow_{day}" for day in range(7)),
    "learned_lead_time_days",
    "learned_lead_time_days_sd",
    "lead_time_days",
    "review_period_days",
    "shelf_price",
    "unit_cost",
    "pack_size",
    "shelf_life_days",
    "on_hand",
    "on_order",
)
#: what a rule says of an example: units expected over lead time and review, patience, days of cover (NaN: not that rule)
POLICY = ("expected", "patience", "cover")
#: pairs that are simulated on the driver, about and at most; chosen by hash. With 500 in the race, 20 s less, two contenders tied and
#: the one that cost 3.6 % more in the newest fold was taken
SIMULATED_PAIRS = 1_500
_PAIR = ["store_id", "product_id"]


def ruled(rows: pd.DataFrame, rule: Portable) -> pd.DataFrame:
    """Examples with the columns of POLICY, by a portable rule: FixedCover or a StockModel."""
    plain = rows["base"].to_numpy(dtype=float)
    if isinstance(rule, FixedCover):
        life = rows["state_shelf_life_days"].fillna(np.inf).to_numpy(dtype=float)
        return rows.assign(expected=plain, patience=1.0, cover=rule.cover(life))
    assert isinstance(rule, StockModel)
    if not isinstance(rule.demand, LeadTimeDemand):
        return rows.assign(expected=plain, patience=rule.patience, cover=np.nan)
    matrix, unused = matrix_of(rows[FEATURES], len(LEAD_TIME_FEATURES)), pd.DatetimeIndex([pd.NaT] * len(rows))
    learned = rule.demand.mean.predict(Rows(LEAD_TIME_FEATURES, matrix, plain, unused))
    return rows.assign(expected=learned, patience=rule.patience, cover=np.nan)


def state_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the stock model reads, under its names."""
    return frame[[f"state_{name}" for name in STATE]].rename(columns=lambda name: name.removeprefix("state_"))


def collected(frame: DataFrame) -> pd.DataFrame:
    """The rows of the `simulated` pairs of a frame, with what a replay reads of them."""
    names = [*_PAIR, "origin", "segment", "week", "base", *(f"state_{name}" for name in STATE)]
    return frame.where("simulated").select(*names).toPandas()


def whole(frame: pd.DataFrame, reviews: int) -> pd.DataFrame:
    """The rows of pairs that have all `reviews` snapshots, by pair and origin; raises TooLittleHistory where no pair has."""
    counts = frame.groupby(_PAIR)["origin"].transform("size")
    if not (counts == reviews).any():
        raise TooLittleHistory(f"stock: none of {frame[_PAIR].drop_duplicates().shape[0]} pairs is known on {reviews} weekly review days.")
    return frame[counts == reviews].sort_values([*_PAIR, "origin"]).reset_index(drop=True)


def replay(rows: pd.DataFrame, reviews: int = REVIEWS, warm_up: int = WARM_UP) -> Outcome:
    """The outcome, a series a pair, of the rule in `rows`: as `whole` gives them, with the examples' columns and the rule's
    POLICY. The first `warm_up` weeks do not count."""
    turns = [rows.iloc[turn::reviews].reset_index(drop=True) for turn in range(reviews)]
    states = [state_of(turn) for turn in turns]
    costs = terms_of(states[0])
    demand = np.stack(list(rows["week"])).reshape(len(turns[0]), reviews * WEEK)

    def policy(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        due = np.flatnonzero(period % costs.review == 0)
        out = np.zeros(len(stock))
        if len(due):
            turn, later = divmod(period, WEEK)
            state = states[turn].iloc[due].assign(origin_day=lambda frame: frame["origin_day"] + later)
            out[due] = _orders(turns[turn].iloc[due], state, costs.take(due), stock[due], pipeline[due])
        return out

    return simulate(
        policy, demand, _start(states[0]), lead_times(turns[0], costs, demand.shape[1]),
        Costs(costs.holding, costs.shortage, costs.fixed, costs.unit_cost),
        warm_up=warm_up * WEEK, shelf_life=costs.shelf_life, promise=np.round((costs.leads * costs.lead_share).sum(axis=1)),
    )  # fmt: skip


def lead_times(pairs: pd.DataFrame, costs: Terms, days: int) -> np.ndarray:
    """Days (pairs, days) until an order of that day arrives, drawn by pair and date: the same for every rule and window."""
    first = pd.to_datetime(pairs["origin"]).to_numpy("datetime64[D]").astype(int)
    keys = keys_of(pairs["store_id"], pairs["product_id"])
    draw = uniform(0, "lead", keys[:, None], first[:, None] + np.arange(days)[None, :])
    place = (draw[:, :, None] > np.cumsum(costs.lead_share, axis=1)[:, None, :-1]).sum(axis=2)
    return np.take_along_axis(costs.leads, place, axis=1)


def _start(state: pd.DataFrame) -> np.ndarray:
    """What the shelf holds and expects, all at once (pairs,)."""
    return np.maximum(state[["on_hand", "on_order"]].fillna(0.0).to_numpy(dtype=float).sum(axis=1), 0.0)


def _orders(rows: pd.DataFrame, state: pd.DataFrame, costs: Terms, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
    cover = rows["cover"].to_numpy(dtype=float)
    if np.isfinite(cover).all():
        return FixedCover.up_to(cover, state["level"].to_numpy(dtype=float), stock + pipeline.sum(axis=1), costs.pack)
    plain = StockModel().expected(state, costs)
    scale = rows["expected"].to_numpy(dtype=float) / np.maximum(rows["base"].to_numpy(dtype=float), 1e-9)
    demand = Demand(plain.mean * scale[:, None], plain.common, plain.single)
    # an order placed now sees what is due from tomorrow on
    return decision_of(demand, Shelf(stock, np.pad(pipeline, ((0, 0), (1, 0)))), costs, rows["patience"].to_numpy(dtype=float)).order
