"""Which days are compared: the newest four weeks with the same season, on few days of every weekday."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

WINDOW_DAYS = 28
#: 52 weeks: the same season and the same weekdays
_YEAR_DAYS = 364


@dataclass(frozen=True)
class Windows:
    """The two windows of a comparison, first and last day of each; `same_season` is false while the history is younger
    than a year and the four weeks before must do."""

    current: tuple[date, date]
    reference: tuple[date, date]
    same_season: bool


def windows(as_of: date, first_day: date) -> Windows | None:
    """The windows of a comparison on `as_of`, or None while the history from `first_day` on is shorter than both."""
    start = as_of - timedelta(days=WINDOW_DAYS - 1)
    for back, same_season in ((_YEAR_DAYS, True), (WINDOW_DAYS, False)):
        shift = timedelta(days=back)
        if start - shift >= first_day:
            return Windows((start, as_of), (start - shift, as_of - shift), same_season)
    return None


def picked_days(window: tuple[date, date]) -> list[date]:
    """Every fourth day of a window: over four weeks that is each weekday once, a quarter of what would be read."""
    first, last = window
    return [first + timedelta(days=step) for step in range(0, (last - first).days + 1, 4)]


def shown(window: tuple[date, date]) -> str:
    """A window as `first/last`, the way the tables hold it."""
    return f"{window[0].isoformat()}/{window[1].isoformat()}"
