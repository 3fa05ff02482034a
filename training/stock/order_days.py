"""A supplier's calendar: the weekdays on which orders go out, and how long the next one is away."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from infra.errors import BadInput

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def weekdays(text: str) -> tuple[int, ...]:
    """0 = Monday to 6 of a text such as `mon thu` or `Mon,Thu`; raises BadInput when it is not one."""
    words = [word for word in re.split(r"[\s,;]+", str(text).lower()) if word]
    if not words or not set(words) <= set(WEEKDAYS):
        raise BadInput(f"column 'order_days' is {text!r}; expected weekdays of {' '.join(WEEKDAYS)}, such as 'mon thu'")
    return tuple(sorted({WEEKDAYS.index(word) for word in words}))


def calendar(order_days: pd.Series, day: pd.Timestamp, review: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pair whether orders go out on `day`, the days from then (or from the next order day) to the order day after
    it, and a note where none goes out. A blank calendar is open every day and keeps its `review` (pairs,) periods."""
    opened, gap = np.ones(len(review), bool), review.copy()
    notes = np.full(len(review), "", dtype=object)
    for text in order_days.dropna().unique():
        days, rows = weekdays(text), (order_days == text).to_numpy()
        coming = [ahead for ahead in range(15) if (day.dayofweek + ahead) % 7 in days]
        opened[rows] = coming[0] == 0
        gap[rows] = coming[1] - coming[0]
        if coming[0]:
            notes[rows] = f"no order goes out on {WEEKDAYS[day.dayofweek]}: the next on {WEEKDAYS[(day.dayofweek + coming[0]) % 7]}"
    return opened, gap, notes
