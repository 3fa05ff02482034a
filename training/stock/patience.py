"""How much longer than one review an unsold unit is held: the one number of the marginal rule that arithmetic does not
give. It is chosen by replaying the pairs' own earlier history with the plain level as forecast and common demand, once a
month of origins, and remembered in the process by the content it was chosen on."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import fields

import numpy as np
import pandas as pd

from training.stock import demand_distribution
from training.stock.demand_distribution import Demand
from training.stock.named import MARGINAL, TUNED_NEWSVENDOR
from training.stock.panel import Panel
from training.stock.policies import PATIENCE, Shelf, decision_of
from training.stock.simulate import Costs, Outcome, simulate
from training.stock.terms import Terms

#: values tried; pairs, periods replayed and weeks known before them
CANDIDATES = (1.0, 1.4, PATIENCE, 2.4, 3.2)
PAIRS, PERIODS, WEEKS_BEFORE, LEAST_PAIRS = 240, 40, 26, 20
#: periods replayed times deliveries on their way up to which all PAIRS are: both grow with the lead time
STEPS = 4_000
#: a value replaces PATIENCE when it saves at least this share
WORTH = 0.005
_CHOSEN: OrderedDict[str, float] = OrderedDict()


def patience(panel: Panel, terms: Terms) -> np.ndarray:
    """(pairs,) the candidate that cost least over all pairs of the same policy on history before this month of origins; PATIENCE
    where that is too short, 1 where a named policy takes its ratio from the money alone."""
    out = np.ones(len(terms.policy))
    for policy in (MARGINAL, TUNED_NEWSVENDOR):
        rows = np.flatnonzero(terms.policy == policy)
        if len(rows):
            out[rows] = _chosen(panel, terms, rows)
    return out


def _chosen(panel: Panel, terms: Terms, among: np.ndarray) -> float:
    """The candidate of the pairs in the rows `among`."""
    lag = (panel.last - pd.Timestamp("2000-01-03")).days % 28 // panel.days
    periods = panel.units.shape[1] - lag
    lead = round(float(np.median((terms.leads * terms.lead_share).sum(axis=1)[among])))
    review = int(np.median(terms.review[among]))
    replayed = max(PERIODS, 4 * (lead + review))
    seen = among[panel.exposure[among, : max(periods - replayed, 0)].sum(axis=1) >= 4 * panel.season]
    if periods - replayed < WEEKS_BEFORE * panel.season or len(seen) < LEAST_PAIRS:
        return PATIENCE
    pairs = int(np.clip(PAIRS * STEPS * review / (replayed * (lead + review)), LEAST_PAIRS, PAIRS))
    rows = np.sort(np.random.default_rng(5).permutation(seen)[:pairs])
    past, some = panel.take(rows).until(periods), terms.take(rows)
    key = _digest(past, some)
    if key not in _CHOSEN:
        _CHOSEN[key] = _cheapest(replays(past, some, replayed))
    _CHOSEN.move_to_end(key)
    while len(_CHOSEN) > 32:
        _CHOSEN.popitem(last=False)
    return _CHOSEN[key]


def _cheapest(costs: dict[float, float]) -> float:
    best = min(costs, key=lambda candidate: costs[candidate])
    return best if costs[best] < (1.0 - WORTH) * costs[PATIENCE] else PATIENCE


def replays(past: Panel, terms: Terms, periods: int) -> dict[float, float]:
    """Money that each candidate cost over the last `periods` periods of a panel."""
    known = past.units.shape[1] - periods
    count, tries = len(past.units), len(CANDIDATES)
    many = terms.take(np.tile(np.arange(count), tries))
    lead = np.round((many.leads * many.lead_share).sum(axis=1)).astype(int)
    value = np.repeat(np.array(CANDIDATES), count)
    ahead = int((many.leads.max(axis=1) + many.review).max())
    forecasts = rolling(past, known, ahead)
    demand = np.tile(latent(past, known), (tries, 1))
    start, _ = _tiled(forecasts[0], tries).total(np.zeros(len(lead), int), lead + many.review)

    def order(period: int, stock: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        turn = np.flatnonzero(period % many.review == 0)
        out = np.zeros(len(stock))
        if len(turn):
            shelf = Shelf(stock[turn], np.pad(pipeline[turn], ((0, 0), (1, 0))))
            out[turn] = decision_of(_tiled(forecasts[period], tries).take(turn), shelf, many.take(turn), value[turn]).order
        return out

    costs = Costs(many.holding, many.shortage, many.fixed)
    outcome = simulate(order, demand, np.ceil(start), lead[:, None] + np.zeros((1, periods), int), costs, warm_up=int(lead.max()) + 1)
    return dict(zip(CANDIDATES, _by_candidate(outcome, tries).tolist(), strict=True))


def _by_candidate(outcome: Outcome, tries: int) -> np.ndarray:
    return (outcome.holding + outcome.shortage + outcome.fixed).reshape(tries, -1).sum(axis=1)


def rolling(past: Panel, known: int, ahead: int) -> list[Demand]:
    """The plain forecast before each period from `known` on, each from what was known by then; spread as of `known`."""
    before = past.until(known)
    profile = demand_distribution.weekday_profile(before)
    common, single = demand_distribution.spread(before, profile, demand_distribution.level_path(before, profile))
    levels = demand_distribution.level_path(past, profile)
    floor = demand_distribution.FLOOR_WEEK / past.season
    days = [(period + np.arange(ahead)) % past.season for period in range(known, past.units.shape[1])]
    return [
        Demand(np.maximum(levels[:, known + number, None], floor) * profile[:, place], common, single) for number, place in enumerate(days)
    ]


def latent(past: Panel, known: int) -> np.ndarray:
    """Units of the periods from `known` on; where less than the whole period was on offer, at least the level's share."""
    units, exposure = past.units[:, known:], past.exposure[:, known:]
    profile = demand_distribution.weekday_profile(past)
    usual = profile[:, np.arange(known, past.units.shape[1]) % past.season]
    levels = demand_distribution.level_path(past, profile)[:, known:-1]
    return np.round(units + (1.0 - exposure) * levels * usual)


def _tiled(demand: Demand, times: int) -> Demand:
    return Demand(np.tile(demand.mean, (times, 1)), np.tile(demand.common, times), np.tile(demand.single, times))


def _digest(past: Panel, terms: Terms) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for values in (past.units, past.exposure, *(getattr(terms, field.name) for field in fields(Terms))):
        digest.update(np.ascontiguousarray(values).tobytes())
    return f"{digest.hexdigest()} {past.last}"
