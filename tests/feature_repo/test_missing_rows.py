"""What a period without a row means, store by store."""

from __future__ import annotations

import numpy as np
import pytest

from feature_repo.missing_rows import closed_weekdays, writes_zeros

ONE = np.zeros(1, dtype=int)


def seen(shape: tuple[int, int], chance: float, seed: int = 0) -> np.ndarray:
    """Ones where there is a row, NaN where there is none."""
    return np.where(np.random.default_rng(seed).random(shape) < chance, 1.0, np.nan)


@pytest.mark.parametrize(("zeros", "left_out", "written"), [(0.0, 0.5, False), (0.02, 0.5, False), (0.3, 0.05, True), (0.5, 0.3, True)])
def test_zeros_are_written_where_they_are_a_good_part_of_the_days_without_a_sale(zeros: float, left_out: float, written: bool) -> None:
    units = np.random.default_rng(0).choice([0.0, np.nan, 2.0], (5, 400), p=[zeros, left_out, 1 - zeros - left_out])
    assert (writes_zeros(units, np.zeros(5, dtype=int)) == written).all()


def test_each_store_says_for_itself_and_one_with_few_rows_as_the_file() -> None:
    dense, sparse = (np.random.default_rng(1).choice([empty, 1.0], (4, 300)) for empty in (0.0, np.nan))
    young = np.full((1, 300), np.nan)
    young[0, -3:] = 1.0, np.nan, 1.0
    store = np.repeat([0, 1, 2], [4, 4, 1])
    assert writes_zeros(np.vstack([dense, sparse, young]), store).tolist() == [True] * 4 + [False] * 4 + [True]


def test_a_series_that_has_ended_or_been_away_does_not_outweigh_its_zeros() -> None:
    units = np.random.default_rng(1).choice([0.0, 1.0], (1, 700))
    units[0, 200:384] = np.nan
    units[0, 600:] = np.nan
    assert writes_zeros(units, ONE).all()


def test_sundays_that_a_store_never_has_are_shut_until_it_opens_on_them() -> None:
    units = seen((6, 140), 0.3)
    store, sundays = np.repeat([0, 1], 3), np.arange(140) % 7 == 6
    units[:3, sundays] = np.nan
    found = closed_weekdays(units, store, 10)
    assert found is not None
    np.testing.assert_array_equal(found[:3], np.tile(np.arange(150) % 7 == 6, (3, 1)))
    assert not found[3:].any()
    units[0, 132] = 4.0  # a Sunday of late
    opened = closed_weekdays(units, store, 10)
    assert opened is not None and opened[0, :126].sum() == 18 and not opened[0, 126:].any()


def test_what_chance_leaves_out_is_not_shut() -> None:
    assert closed_weekdays(seen((400, 700), 0.25), np.arange(400), 7) is None


def test_a_store_that_stops_is_not_shut_on_each_weekday() -> None:
    units = seen((1, 200), 0.9)
    units[0, 100:] = np.nan
    assert closed_weekdays(units, ONE, 7) is None
