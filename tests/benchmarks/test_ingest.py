"""What the ingest's benchmark makes of events, runs and moments."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from benchmarks.footprint import Footprint
from benchmarks.ingest import Run, feed_of, first_events, late_by, table
from data_ingest.simulated_world import make_world


@pytest.fixture(scope="module")
def feed():
    return feed_of(make_world(3, 10, 42, 1, date(2024, 1, 1)))


@pytest.mark.parametrize("count", [1, 500, 1000])
def test_the_first_events_are_exactly_so_many_and_none_later_is_among_them(feed, count: int) -> None:
    chosen = first_events(feed, count)
    assert sum(rows.num_rows for rows in chosen.values()) == count
    latest = max(rows["occurred_at"].to_numpy().max() for rows in chosen.values() if rows.num_rows)
    left = [feed[name].slice(rows.num_rows)["occurred_at"].to_numpy() for name, rows in chosen.items()]
    assert np.concatenate(left).min() >= latest


def test_a_smaller_feed_is_the_beginning_of_a_larger_one(feed) -> None:
    small, large = first_events(feed, 400), first_events(feed, 900)
    for name, rows in small.items():
        assert rows.equals(large[name].slice(0, rows.num_rows)), name


def test_the_table_sets_rates_against_noop_and_cost_against_the_smallest_size() -> None:
    runs = [Run("noop", 1000, Footprint(1, 2, 10)), Run("lake", 1000, Footprint(2, 3, 20)), Run("lake", 1000, Footprint(4, 3, 30)),
            Run("lake", 1000, Footprint(2, 3, 20)), Run("noop", 2000, Footprint(2, 2, 10)), Run("lake", 2000, Footprint(5, 8, 40))]  # fmt: skip
    found = table(runs).set_index(["events", "sink"])
    assert found.loc[("1,000", "lake")].tolist() == ["500", "0.50", "1.00", "3000", "20"]
    assert found.loc[("2,000", "lake")].tolist() == ["400", "0.40", "1.25", "4000", "40"]
    assert found.loc[("2,000", "noop"), "of noop"] == "1.00"


def test_lateness_is_from_the_moment_an_event_was_made() -> None:
    made = pd.Series(pd.date_range("2024-01-01", periods=101, freq="100ms"))
    found = late_by(pd.DataFrame({"made": made, "lake": made.max(), "batch": made.max() + pd.Timedelta(seconds=1)})).set_index("late by")
    assert found.loc["lake"].tolist() == ["5.0", "9.5", "10.0"]
    assert found.loc["lake+warehouse"].tolist() == ["6.0", "10.5", "11.0"]
