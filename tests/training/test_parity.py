from __future__ import annotations

import numpy as np
import pytest

from training.parity import largest_gap


def test_the_gap_is_relative_and_the_largest() -> None:
    assert largest_gap([1.0, 2.2], [1.0, 2.0]) == pytest.approx(0.1)
    assert largest_gap([0.0], [0.0]) == largest_gap([], []) == 0.0


def test_a_number_against_none_is_no_parity() -> None:
    assert largest_gap([np.nan], [1.0]) == largest_gap([1.0], [np.nan]) == np.inf
    assert largest_gap([np.nan], [np.nan]) == 0.0
