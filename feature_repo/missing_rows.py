"""What a period without a row means: nothing sold, not known, or a shop that is closed.

Exports differ. Tills write what was sold and no zeros; planning systems write every day; most leave out the weekday on which
a shop is closed; few keep to their rule, so that some zeros are in every file. So it is read store by store (a till is a
store's), from what its rows say, pulled to what the whole file says where a store's are few."""

from __future__ import annotations

import numpy as np

#: share of the periods without a sale that a store has rows of, from which on it is taken to write its zeros: what it leaves out is
#: not known. Far below a half, since a series that sells on most days has few zeros to write
_WRITTEN_SHARE = 0.1
#: periods without a sale that the whole file counts for beside a store's own
_FILE_PERIODS = 28.0
#: a weekday is left out on purpose, not for want of a sale, when chance leaves out so many in a row less often than this; and the
#: fewest weeks that can tell
_CHANCE, _LEAST_WEEKS = 1e-6, 4


def writes_zeros(units: np.ndarray, store: np.ndarray, closed: np.ndarray | None = None) -> np.ndarray:
    """(n,) whether each series' store writes its zeros. `units` (n, T), NaN without a row; `store` (n,) codes from 0; `closed` (n, T)
    periods in which nothing can be sold. Only what lies between a series' first and last row tells: one that has ended leaves out
    everything."""
    known = ~np.isnan(units)
    begun, ends = np.maximum.accumulate(known, axis=1), np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    left_out = begun & ends & ~known
    if closed is not None:
        left_out &= ~closed
    count = int(store.max()) + 1 if len(store) else 0
    written, missing = (np.bincount(store, cells.sum(axis=1), count) for cells in (units == 0, left_out))
    of_all = written.sum() / max(written.sum() + missing.sum(), 1.0)
    return ((written + _FILE_PERIODS * of_all) / (written + missing + _FILE_PERIODS) >= _WRITTEN_SHARE)[store]


def closed_weekdays(units: np.ndarray, store: np.ndarray, horizon: int) -> np.ndarray | None:
    """(n, T + horizon) the days on which a series' store is closed, as it is every week: weeks in a row in which no series of the
    store has a row on that weekday, though it has on the others. None where there is no such day. `units` (n, T) days, NaN without a
    row. The days of the horizon are as the last week was, whatever a plan has rows of: many plans are calendars of all days."""
    length, count = units.shape[1], int(store.max()) + 1 if len(store) else 0
    order = np.argsort(store, kind="stable")
    opened = np.logical_or.reduceat(~np.isnan(units)[order], np.searchsorted(store[order], np.arange(count)), axis=0)
    closed = np.zeros((count, length + horizon), dtype=bool)
    running = np.cumsum(np.pad(opened, ((0, 0), (1, 0))), axis=1)
    for number, weekday in np.ndindex(count, 7):
        if not opened[number].any():
            continue
        first = int(opened[number].argmax())
        days = np.arange(first + (weekday - first) % 7, length, 7)
        for run in np.split(days, np.flatnonzero(np.diff(opened[number, days])) + 1) if len(days) else ():
            if len(run) < _LEAST_WEEKS or opened[number, run[0]]:
                continue
            # the week around each of them, the weekday itself left out
            low, high = max(run[0] - 3, first), min(run[-1] + 4, length)
            others = high - low - len(run)
            share = (running[number, high] - running[number, low]) / (others + 1)
            if (1 - share) ** len(run) < _CHANCE:
                last = run[-1] + 1 if run[-1] + 7 < length else length + horizon
                closed[number, run[0] : last : 7] = True
    return closed[store] if closed.any() else None
