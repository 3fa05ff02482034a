"""The users' stock file as arrays: what is on hand, and when what is on order arrives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.stock.panel import PAIR
from training.stock.policies import Shelf

#: receipts promised later than this many periods ahead are not looked at
FARTHEST = 400


def pairs_of(stock: pd.DataFrame, where: str) -> pd.DataFrame:
    """The pairs of a stock frame, sorted. Raises BadInput on a row that is neither stock nor a delivery, a delivery without
    its date, and two rows that both say what is on hand."""
    hand, order = stock["on_hand"], _column(stock, "on_order")
    _refuse(hand.isna() & order.isna(), where, "on_hand and on_order are both blank; expected one of them")
    if "arrives_on" in stock:
        _refuse((order.fillna(0) > 0) & stock["arrives_on"].isna(), where, "on_order has no arrives_on; expected the promised date")
    else:
        _refuse(order.fillna(0) > 0, where, "on_order has no arrives_on; expected the promised date")
    _refuse(hand.notna() & stock[hand.notna()].duplicated(PAIR).reindex(stock.index, fill_value=False), where,
            "repeats the on_hand of its pair; expected one row a pair")  # fmt: skip
    return stock[PAIR].drop_duplicates().sort_values(PAIR).reset_index(drop=True)


def shelf(stock: pd.DataFrame, pairs: pd.DataFrame, last: pd.Timestamp, days: int) -> tuple[Shelf, np.ndarray]:
    """The shelf of each pair after the period labelled `last`, and a note (pairs,) where something was assumed: a negative
    count is none, a pair with deliveries only has none on hand, what is overdue comes with the next period. In weekly
    data a delivery serves from the first Monday on or after its date."""
    row = pd.MultiIndex.from_frame(pairs).get_indexer(pd.MultiIndex.from_frame(stock[PAIR]))
    hand = np.full(len(pairs), np.nan)
    counted = stock["on_hand"].notna().to_numpy()
    hand[row[counted]] = stock["on_hand"].to_numpy(float)[counted]
    notes = np.where(np.isnan(hand), "no on_hand given: taken as 0", np.where(hand < 0, "negative on_hand taken as 0", "")).astype(object)
    order = _column(stock, "on_order").fillna(0).to_numpy(float)
    coming = order > 0
    if not coming.any():
        return Shelf(np.nan_to_num(np.maximum(hand, 0.0)), np.zeros((len(pairs), 1))), notes
    ahead = (stock["arrives_on"][coming] - last).dt.days.to_numpy()
    place = -(-ahead // days) - 1
    late = place < 0
    overdue = np.full(len(pairs), "", dtype=object)
    overdue[row[coming][late]] = "overdue delivery taken as arriving with the next period"
    notes = joined(notes, overdue)
    near = place < FARTHEST
    receipts = np.zeros((len(pairs), int(max(place[near].max(initial=0), 0)) + 1))
    np.add.at(receipts, (row[coming][near], np.maximum(place[near], 0)), order[coming][near])
    return Shelf(np.nan_to_num(np.maximum(hand, 0.0)), receipts), notes


def joined(notes: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Two notes of each pair as one, (pairs,), empty ones left out."""
    return notes + np.where((notes != "") & (more != ""), "; ", "") + more


def _column(stock: pd.DataFrame, name: str) -> pd.Series:
    return stock[name] if name in stock else pd.Series(np.nan, index=stock.index)


def _refuse(bad: pd.Series, where: str, said: str) -> None:
    if bad.any():
        raise BadInput(f"{where}: row {int(np.flatnonzero(bad.to_numpy())[0]) + 1}: {said}")
