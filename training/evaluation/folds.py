"""Rolling origins: the days at which a forecast is made again, each judged on the periods that follow it."""

from __future__ import annotations

import pandas as pd


def rolling_origins(days: pd.DatetimeIndex, horizon: int, count: int, apart: int | None = None) -> list[pd.Timestamp]:
    """Up to `count` origins, oldest first, `apart` periods from each other (default: the horizon, so that no period is
    judged twice); each has `horizon` known periods after it and at least as many before."""
    step = apart or horizon
    last = len(days) - 1 - horizon
    positions = [last - k * step for k in range(count) if last - k * step >= horizon - 1]
    return [days[position] for position in reversed(positions) if position >= 0]
