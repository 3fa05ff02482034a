"""What to do with a slow mover, by arithmetic on what it ties up and what it would bring."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: chances of no sale from which on a unit is watched, marked down, cleared
WATCH, MARK_DOWN, CLEAR = 0.2, 0.5, 0.8
#: sale days elsewhere in the last 28 that make a transfer worth a trip
SELLS_ELSEWHERE = 3


def decide(frame: pd.DataFrame, horizon_days: int, step: int = 1) -> pd.DataFrame:
    """Columns `action, why` for rows of `probability, recency, gap, sales_91, units_91` and, where known, `age` (days since the first
    sale), `product_others` (sale days in other stores), `off_shelf` (days out of stock up to now), `on_hand` (units), `unit_cost`,
    `price` (money a unit), `never` (true: without any sale in the `recency` days that are known), `shut` (true: its store was closed
    as long as the horizon is). With `step` 7 sale days are weeks with a sale."""
    stock = _column(frame, "on_hand")
    expected = _expected_units(frame, horizon_days)
    action = _actions(frame, stock, expected, horizon_days)
    why = [_why(row, stock[i], expected[i], horizon_days, step) for i, row in enumerate(frame.itertuples(index=False))]
    return pd.DataFrame({"action": action, "why": why}, index=frame.index)


def _column(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(dtype=float) if name in frame else np.full(len(frame), np.nan)


def _expected_units(frame: pd.DataFrame, horizon_days: int) -> np.ndarray:
    """Units expected in the horizon: a sale happens with 1 - probability, and then at the pace of the last 91 days, or of those since
    the first, 28 at least, where these are fewer."""
    days = np.clip(np.nan_to_num(_column(frame, "age"), nan=91.0) + 1, 28.0, 91.0)
    pace = np.maximum(frame["units_91"].to_numpy(dtype=float) / days * horizon_days, 1.0)
    return (1 - frame["probability"].to_numpy(dtype=float)) * pace


def _actions(frame: pd.DataFrame, stock: np.ndarray, expected: np.ndarray, horizon_days: int) -> np.ndarray:
    p, price, cost = frame["probability"].to_numpy(dtype=float), _column(frame, "price"), _column(frame, "unit_cost")
    elsewhere = np.nan_to_num(_column(frame, "product_others")) >= SELLS_ELSEWHERE
    empty, margin = stock <= 0, np.where(price > 0, 1 - cost / np.where(price > 0, price, 1), np.nan)
    # a mark-down pays while the discounted price still covers the cost
    room = np.nan_to_num(margin, nan=0.3) >= 0.1
    surplus = np.isnan(stock) | (stock > expected)
    # what is listed for less than a horizon has shown nothing yet
    new = frame["never"].eq(True).to_numpy() & (frame["recency"].to_numpy(dtype=float) < horizon_days) if "never" in frame else False
    return np.select(
        [p < WATCH, new, empty & (p >= CLEAR), empty, ~surplus & (p < CLEAR), (p >= MARK_DOWN) & elsewhere, p >= CLEAR,
         (p >= MARK_DOWN) & room, p >= MARK_DOWN],
        ["keep", "watch", "delist", "keep", "watch", "transfer", "clear", "mark down", "clear"],
        default="watch",
    )  # fmt: skip


def _why(row, stock: float, expected: float, horizon_days: int, step: int) -> str:
    periods = "days" if step == 1 else "weeks"
    never = getattr(row, "never", False) is True
    said = f"never sold in {row.recency:.0f} days" if never else f"last sold {row.recency:.0f} days before"
    if getattr(row, "shut", False) is True:
        said += f", store closed for {horizon_days} days or more"
    if row.gap == row.gap:
        said += f" (usually every {row.gap:.0f})"
    if getattr(row, "off_shelf", 0.0) > 0:
        said += f", then out of stock for {row.off_shelf:.0f} days"
    said += f", {row.sales_91:.0f} sale {periods} in {91 // step}; {100 * row.probability:.0f} % chance of none in {horizon_days} days"
    if not np.isnan(stock):
        said += f"; {stock:g} on hand against {expected:.2g} expected"
        cost = getattr(row, "unit_cost", np.nan)
        if cost == cost:
            said += f", {stock:g} x {cost:.2f} = {stock * cost:.2f} tied up"
        price = getattr(row, "price", np.nan)
        if cost == cost and price == price and price > 0:
            said += f", price {price:.2f} leaves room for {max(100 * (1 - cost / price), 0):.0f} % off"
    if np.nan_to_num(getattr(row, "product_others", np.nan)) >= SELLS_ELSEWHERE:
        said += f"; sold on {row.product_others:.0f} store-{periods} elsewhere in {28 // step}"
    return said
