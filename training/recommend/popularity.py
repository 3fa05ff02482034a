"""What is known of a product and of a customer apart from each other: how sought, how new, how busy."""

from __future__ import annotations

import numpy as np

from training.recommend.purchases import Purchases, distinct

PRODUCT_FEATURES = ("lines_28", "lines_84", "trend", "since_sold", "since_new", "repeat_share", "season")
CUSTOMER_FEATURES = ("trips", "trips_28", "since_trip", "lines_a_trip", "novelty")


def recent_lines(past: Purchases, days: int) -> np.ndarray:
    """Lines of each product in the last `days` days, known customers or not."""
    recent = past.after(past.last_day - days, past.last_day)
    return np.bincount(recent.product, minlength=len(past.products)).astype(np.float64)


def product_features(past: Purchases, horizon: int) -> np.ndarray:
    """PRODUCT_FEATURES of every product number (products x columns, float32); ages in days."""
    total = len(past.products)
    month, quarter = recent_lines(past, 28), recent_lines(past, 84)
    first, last = np.full(total, past.last_day + 1), np.full(total, past.last_day - past.span)
    np.minimum.at(first, past.product, past.day)
    np.maximum.at(last, past.product, past.day)
    trend = (month + 2.0) / (quarter / 3.0 + 2.0)
    return np.column_stack([np.log1p(month), np.log1p(quarter), np.log(trend), past.last_day - last, past.last_day - first,
                            _repeat_share(past), _season(past, horizon)]).astype(np.float32)  # fmt: skip


def _repeat_share(past: Purchases) -> np.ndarray:
    """Share of a product's lines of known customers that the customer had bought before, drawn to 0.3 by 5 lines."""
    known = past.customer >= 0
    lines = np.bincount(past.product[known], minlength=len(past.products))
    buyers = np.bincount(past.bought.indices, minlength=len(past.products))
    return (lines - buyers + 1.5) / (lines + 5.0)


def _season(past: Purchases, horizon: int) -> np.ndarray:
    """Log of last year's lines in the coming window over those in the window before it; NaN within the first year."""
    start = past.last_day - 365
    if start - horizon < int(past.day[0]):
        return np.full(len(past.products), np.nan)
    coming = np.bincount(past.after(start, start + horizon).product, minlength=len(past.products))
    before = np.bincount(past.after(start - horizon, start).product, minlength=len(past.products))
    return np.log((coming + 3.0) / (before + 3.0))


def customer_features(past: Purchases) -> np.ndarray:
    """CUSTOMER_FEATURES of every customer number (customers x columns, float32); trips are days with a purchase."""
    known = past.customer >= 0
    first = past.last_day - past.span
    customer, day = past.customer[known].astype(np.int64), past.day[known].astype(np.int64) - first
    total = len(past.customers)
    visits = distinct(customer * (past.span + 1) + day)
    who, when = visits // (past.span + 1), visits % (past.span + 1) + first
    trips = np.bincount(who, minlength=total)
    recent = np.bincount(who[when > past.last_day - 28], minlength=total)
    last = np.full(total, first)
    np.maximum.at(last, who, when)
    lines = np.bincount(customer, minlength=total)
    novelty = np.diff(past.bought.indptr) / np.maximum(lines, 1)
    return np.column_stack([trips, recent, past.last_day - last, lines / np.maximum(trips, 1), novelty]).astype(np.float32)
