"""What the calendar says about a day: the same numbers for any day, past or future."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: calendar features of a target day, in order
CALENDAR_FEATURES: tuple[str, ...] = ("dow", "day_of_month", "days_to_month_end", "week_sin", "week_cos", "month", "days_to_christmas")


def weekday(days: pd.DatetimeIndex) -> np.ndarray:
    """0 = Monday .. 6 = Sunday."""
    return np.asarray(days.dayofweek, dtype=np.int64)


def calendar_features(days: pd.DatetimeIndex) -> np.ndarray:
    """(len(days), len(CALENDAR_FEATURES)) float32; `days_to_christmas` is signed, within half a year."""
    angle = 2 * np.pi * np.asarray(days.dayofyear) / 365.25
    christmas = (np.asarray(days.dayofyear) - 359 + 182) % 365 - 182
    columns = (
        weekday(days),
        np.asarray(days.day),
        np.asarray(days.days_in_month - days.day),
        np.sin(angle),
        np.cos(angle),
        np.asarray(days.month),
        christmas,
    )
    return np.stack(columns, axis=1).astype(np.float32)
