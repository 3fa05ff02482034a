"""What to order of every pair, from its sales history, its stock and its economics: the verb `shelfcast order`.

Time: `as_of` labels the last period whose sales are known; the order is placed when it has closed. With a lead time of L
days it is on the shelf before the sales of the day as_of + 1 + L; in weekly data L counts from the end of the week of
as_of (14 days serve the third week after it; a part of a week counts as a whole one). History after as_of is not read.
In-transit deliveries are on the shelf before the sales of their `arrives_on`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.stock import demand_distribution, learned_level, why
from training.stock.allocate import Decide, Limit, within
from training.stock.demand_distribution import Demand
from training.stock.echelons import Network
from training.stock.order_days import calendar
from training.stock.panel import PAIR, Panel, panel
from training.stock.patience import patience
from training.stock.policies import Decision, Shelf, decision_of
from training.stock.rules import VELOCITY, Rules, read_rules
from training.stock.shelf import joined, pairs_of, shelf
from training.stock.terms import HIGHEST_SERVICE, NUMBERS, WORDS, Terms, by_pair, check_items, misspelt, terms
from training.stock.transfers import Moves, moves

_HISTORY = {"store_id": "text", "product_id": "text", "ds": "date", "units": "number"}
_STOCK = {"store_id": "text", "product_id": "text", "on_hand": "number"}
_SEEN = {"in_stock": "number", "price": "number"}
_COMING = {"on_order": "number", "arrives_on": "date"}
_HISTORY_RULES: dict[str, Any] = {"key": (*PAIR, "ds"), "nonnegative": ("units", "price"), "between": {"in_stock": (0, 1)}}
_STOCK_RULES: dict[str, Any] = {"blank": ("on_hand",), "nonnegative": ("on_order",)}
_TEXT = {"store_id": "text", "product_id": "text", **dict.fromkeys(sorted(WORDS), "text")}
_ITEM_RULES: dict[str, Any] = {"nonnegative": NUMBERS, "between": {"service_level": (0, HIGHEST_SERVICE)}}
#: weeks over which the velocity of a segment's filter is measured
_VELOCITY_WEEKS = 13
#: days without a sale after which the why asks
_SILENT_DAYS = 91


def plan(
    history: pd.DataFrame,
    stock: pd.DataFrame,
    items: pd.DataFrame | None = None,
    as_of: date | str | pd.Timestamp | None = None,
    *,
    forecast: pd.DataFrame | None = None,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """One row a pair of `stock`, most money at risk first: store_id, product_id, order_units, reorder_point, order_up_to,
    expected_cost, money_at_risk, rank, why, on_hand, on_order, expected_demand, safety_stock.

    `history`: store_id, product_id, ds, units and optionally in_stock, price; daily or weekly. `stock`: on_hand a pair, and
    rows with on_hand blank, on_order and arrives_on. `items`: economics by product_id and/or store_id (`terms.DEFAULTS` for
    what is missing). `forecast`: store_id, product_id, ds, units (and q0.9) replaces the mean (and the spread) where it has
    rows. `expected_cost`: holding and shortage money between this order's arrival and the next one's, and the fixed cost
    if ordered. `rules`: limits over all items, and what holds for segments and single items (training.stock.rules).
    `money_at_risk`: shortage money expected in that time without this order, less with it.
    Pairs of the history that have no stock row are not planned; pairs without history take the level of all pairs."""
    return planned(history, stock, items, as_of, forecast=forecast, rules=rules)[0]


def planned(
    history: pd.DataFrame,
    stock: pd.DataFrame,
    items: pd.DataFrame | None = None,
    as_of: date | str | pd.Timestamp | None = None,
    *,
    forecast: pd.DataFrame | None = None,
    rules: Rules | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `plan` answers, and the moves between stores that it counts on (training.stock.transfers.COLUMNS; none where the
    rules know no transfer)."""
    return _planned(*_checked(history, stock, items), as_of, ("history", "stock", "items"), forecast, rules or Rules(), lambda said: None)


def order_file(
    history: Path, stock: Path, items: Path | None, as_of: date | None, out: Path, rules: Path | None = None, transfers: Path | None = None,
    tell: Callable[[str], None] = lambda said: None,
) -> int:  # fmt: skip
    """Read the files, plan, and write the orders to `out`, and the moves between stores to `transfers`, whole or not at all.
    Returns the number of orders' rows. `tell` is told of a column of the items that looks like one that is known, and of
    items and rules that are of no pair of the stock file."""
    from training.files import check_outputs, read_frame, write_frame

    check_outputs(out, transfers, reads=[history, stock, items, rules])
    said = Rules() if rules is None else read_rules(rules)
    if (said.transfer is None) != (transfers is None):
        raise BadInput("transfers: a table [transfer] in the rules file and a file for the moves go together; expected both or neither")
    sales = read_frame(history, required=_HISTORY, optional=_SEEN, what="history", **_HISTORY_RULES)
    shelves = read_frame(stock, required=_STOCK, optional=_COMING, what="stock", **_STOCK_RULES)
    kinds = _item_types() | dict.fromkeys(said.texts - NUMBERS, "text")
    facts = None if items is None else read_frame(items, required={}, optional=kinds, what="items", **_ITEM_RULES)
    if facts is not None:
        for name, meant in misspelt(facts):
            tell(f"items file {items}: column {name!r} is not used; did you mean {meant!r}?")
    names = (f"history file {history}", f"stock file {stock}", f"items file {items}")
    orders, moved = _planned(sales, shelves, facts, as_of, names, None, said, tell)
    if transfers is not None:
        write_frame(moved, transfers)
    write_frame(orders, out)
    return len(orders)


def _planned(
    history: pd.DataFrame,
    stock: pd.DataFrame,
    items: pd.DataFrame | None,
    as_of: date | str | pd.Timestamp | None,
    names: tuple[str, str, str],
    forecast: pd.DataFrame | None,
    rules: Rules,
    tell: Callable[[str], None],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The orders and moves of frames whose columns are checked; `names` of the three in messages."""
    from training.files import begun_on, day_of, strangers

    pairs = pairs_of(stock, names[1])
    if items is not None:
        check_items(items, names[2])
        if none := strangers(items, pairs):
            tell(f"{names[2]}: {none:,} of {len(items):,} rows are of no pair in stock and are not used")
    known = panel(history, None if as_of is None else day_of(as_of, "as_of"), pairs, names[0])
    if not known.exposure.any():
        first, sold = (" ".join(frame[PAIR].iloc[0]) for frame in (pairs, history))
        raise BadInput(f"{names[1]}: none of its pairs has history; expected ids as in {names[0]} (here {first!r}, there {sold!r})")
    for said in begun_on(known.last, known.days):
        tell(f"{names[0]}: {said}")
    here, notes = shelf(stock, pairs, known.last, known.days)
    facts = by_pair(items, known.pairs, rules.columns).assign(**{VELOCITY: _velocity(known)})
    for idle in rules.idle(facts):
        tell(f"rules: {idle} is of no pair in stock")
    facts = rules.applied(facts)
    costs, opened, closed = _calendar(facts, terms(facts, known.price, known.days), known)
    network = Network.of(known.pairs, facts)
    for said in _unheard(known.pairs[~network.centres], history, names):
        tell(said)
    through = int(costs.leads.max()) if network.fed.any() else 0
    demand = network.demand(expected(known, _reach(costs) + through, forecast), known.exposure.sum(axis=1) > 0)
    waits = patience(known, costs)
    moved = Moves.none(here)
    if rules.transfer is not None:
        moved = moves(known.pairs, demand, here, costs, rules.transfer, known.days, ~network.centres)
    seen, costs = network.shelf(moved.shelf), network.terms(costs, demand)

    def decide(charge: np.ndarray) -> Decision:
        found = decision_of(demand, seen, costs, waits, charge)
        return found if opened.all() else _held(found, opened)

    decision, asked, cut = _supplied(decide, network, moved.shelf, costs, known.pairs, _limits(rules, costs, network))
    noted = _noted(joined(joined(notes, closed), moved.notes), known, network.centres)
    noted = joined(noted, network.notes(known.pairs, moved.shelf))
    told = why.sentences(decision, seen, costs, known.days, noted, why.Held(opened, asked, cut))
    return _answer(known, seen, costs, decision, told), moved.frame


def _unheard(pairs: pd.DataFrame, history: pd.DataFrame, names: tuple[str, str, str]) -> list[str]:
    """A sentence for each key of which some of the pairs' values are in no row of the history: a slip of the pen, or new."""
    told = []
    for key in PAIR:
        own = pairs[key].drop_duplicates()
        new = own[~own.isin(history[key].unique())]
        if len(new):
            of = f"{names[1]}: {len(new):,} of {len(own):,} {key}s, such as {new.iloc[0]!r}, have no row in {names[0]}"
            told.append(f"{of}: they are planned at the level of all pairs")
    return told


def _supplied(
    decide: Decide, network: Network, here: Shelf, costs: Terms, pairs: pd.DataFrame, limits: list[Limit]
) -> tuple[Decision, np.ndarray, np.ndarray]:
    """The decisions within the limits and within what the centres have, the units asked for without either, and what cut them."""
    if not network.fed.any():
        return within(decide, limits)
    free = decide(np.zeros(len(pairs)))
    best, supplied, cut = within(network.shared(decide, here.on_hand, costs.pack, costs.minimum), limits)
    cut = np.where((cut == "") & (supplied < free.order), network.limits(pairs), cut)
    return replace(free, order=best.order, holding=best.holding, shortage=best.shortage), free.order, cut


def _velocity(known: Panel) -> np.ndarray:
    """Units a day of each pair over its periods on offer of the last _VELOCITY_WEEKS."""
    recent = slice(max(known.units.shape[1] - _VELOCITY_WEEKS * known.season, 0), None)
    shown = known.exposure[:, recent].sum(axis=1) * known.days
    return known.units[:, recent].sum(axis=1) / np.maximum(shown, 1e-9)


def _calendar(facts: pd.DataFrame, costs: Terms, known: Panel) -> tuple[Terms, np.ndarray, np.ndarray]:
    """The terms with the review periods of the suppliers' calendars, who may order now, and a note for those who may not."""
    everyone, nothing = np.ones(len(facts), bool), np.full(len(facts), "", dtype=object)
    if "order_days" not in facts or facts["order_days"].isna().all():
        return costs, everyone, nothing
    if known.days != 1:
        raise BadInput("column 'order_days' names weekdays, but the history is weekly; expected daily sales or no order_days")
    opened, gap, notes = calendar(facts["order_days"], known.last + pd.Timedelta(days=1), costs.review)
    return replace(costs, review=gap), opened, notes


def _limits(rules: Rules, costs: Terms, network: Network) -> list[Limit]:
    # what a centre sends to its stores is bought already, and has come in
    outside = np.where(network.fed, 0.0, 1.0)
    money = [] if rules.budget is None else [Limit("budget", outside * costs.unit_cost, rules.budget)]
    return money + ([] if rules.capacity is None else [Limit("capacity", outside, rules.capacity)])


def _reach(costs: Terms) -> int:
    """Periods until the latest next order arrives, or the longest shelf life that begins with this one's arrival ends."""
    life = costs.shelf_life[np.isfinite(costs.shelf_life)]
    return int(max((costs.leads.max(axis=1) + costs.review).max(), costs.leads.max() + life.max() if len(life) else 0))


def _held(decision: Decision, opened: np.ndarray) -> Decision:
    """Those that may not order now order nothing, and nothing is saved by that."""
    kept = {"order": np.zeros(len(opened)), "holding": decision.idle_holding, "shortage": decision.idle_shortage}
    return replace(decision, **{name: np.where(opened, getattr(decision, name), value) for name, value in kept.items()})


def expected(known: Panel, periods: int, forecast: pd.DataFrame | None = None) -> Demand:
    """The demand of the coming `periods`, to the end of their last week: the level, most of it from the learner where there is enough
    to learn from, replaced by `forecast` where that has rows."""
    weeks_ahead = -(-periods // known.season)
    # whole weeks: of a part of one nothing would tell how its days lie in the week
    plain = demand_distribution.predict(known, weeks_ahead * known.season)
    weeks = learned_level.weekly_means(known, weeks_ahead)
    if weeks is not None:
        plain = demand_distribution.with_mean(plain, _blend(plain.mean, weeks, known))
    return plain if forecast is None else replaced(plain, forecast, known)


def replaced(plain: Demand, forecast: pd.DataFrame, known: Panel) -> Demand:
    """`plain` with the forecast's mean where it has rows; a column q0.9 sets the spread by the normal distance to it."""
    from training.files import check_frame

    rows = check_frame(forecast, required={**_HISTORY}, where="forecast", key=(*PAIR, "ds"), nonnegative=("units",))
    row = pd.MultiIndex.from_frame(known.pairs).get_indexer(pd.MultiIndex.from_frame(rows[PAIR]))
    column = ((rows["ds"] - known.last).dt.days // known.days - 1).to_numpy()
    fits = (row >= 0) & (column >= 0) & (column < plain.mean.shape[1])
    mean = plain.mean.copy()
    mean[row[fits], column[fits]] = rows["units"].to_numpy(float)[fits]
    if "q0.9" not in rows:
        return demand_distribution.with_mean(plain, mean)
    deviation = np.maximum(rows["q0.9"].to_numpy(float)[fits] - rows["units"].to_numpy(float)[fits], 0.0) / 1.2816
    units = np.maximum(rows["units"].to_numpy(float)[fits], 1e-6)
    excess = pd.Series(np.maximum(deviation**2 - units, 0.0) / units**2).groupby(row[fits]).median()
    total = (plain.common + plain.single).copy()
    share = plain.common / np.maximum(total, 1e-9)
    total[excess.index] = np.clip(excess.to_numpy(), 0.02, 6.0)
    return Demand(mean, share * total, (1 - share) * total)


def _blend(plain: np.ndarray, weeks: np.ndarray, known: Panel) -> np.ndarray:
    """Most of the learner, shaped by the plain level's profile within a week: (pairs, periods)."""
    periods, season = plain.shape[1], known.season
    week = np.arange(periods) // season
    whole = np.stack([plain[:, week == number].mean(axis=1) for number in range(int(week[-1]) + 1)], axis=1)[:, week]
    learned = weeks[:, np.minimum(week, weeks.shape[1] - 1)] / season
    shape = plain / np.maximum(whole, 1e-9)
    mean = (learned_level.SHARE * learned + (1 - learned_level.SHARE) * whole) * shape
    # a learner has nothing to say about what it never saw
    seen = known.exposure.sum(axis=1, keepdims=True) > 0
    return np.maximum(np.where(seen, mean, plain), demand_distribution.FLOOR_WEEK / season)


def _answer(known: Panel, here: Shelf, costs: Terms, decision: Decision, told: list[str]) -> pd.DataFrame:
    parts = why.sums(decision, here)
    risk = np.maximum(decision.idle_shortage - decision.shortage, 0.0)
    out = known.pairs.assign(
        order_units=decision.order,
        reorder_point=parts.target,
        order_up_to=parts.target + parts.cycle,
        expected_cost=decision.holding + decision.shortage + np.where(decision.order > 0, costs.fixed, 0.0),
        money_at_risk=risk,
        rank=pd.Series(-risk).rank(method="first").astype(int).to_numpy(),
        why=told,
        on_hand=here.on_hand,
        on_order=decision.on_order,
        expected_demand=decision.demand,
        safety_stock=parts.spread + parts.lead,
    )
    return out.sort_values("rank", kind="stable").reset_index(drop=True)


def _noted(notes: np.ndarray, known: Panel, centres: np.ndarray) -> np.ndarray:
    told = np.where((known.exposure.sum(axis=1) <= 0) & ~centres, "no history of this pair: the level of all pairs", "").astype(object)
    sold = known.units > 0
    silent = sold[:, ::-1].argmax(axis=1) * known.days
    for pair in np.flatnonzero(sold.any(axis=1) & (silent >= _SILENT_DAYS)):
        told[pair] = f"last sold {silent[pair]} days before: is it still on sale?"
    return joined(notes, told)


def _checked(
    history: pd.DataFrame, stock: pd.DataFrame, items: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    from training.files import check_frame

    history = check_frame(history, required=_HISTORY, optional=_SEEN, where="history", **_HISTORY_RULES)
    stock = check_frame(stock, required=_STOCK, optional=_COMING, where="stock", **_STOCK_RULES)
    if items is None or items.empty:
        return history, stock, None
    return history, stock, check_frame(items, required={}, optional=_item_types(), where="items", **_ITEM_RULES)


def _item_types() -> dict[str, str]:
    return {**_TEXT, **dict.fromkeys(sorted(NUMBERS), "number")}
