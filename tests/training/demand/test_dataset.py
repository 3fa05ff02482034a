"""The scale by which errors of the platform's examples are measured."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from training.demand import dataset
from training.evaluation.metrics import squared_scale

NAN = float("nan")


@pytest.mark.parametrize(
    "units",
    [[0, 0, 0, 2, 5, 0, 1], [3, 1, 1, 4, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0], [0, 4, 1, 1, 1, 1, 1]],
    ids=["late", "plain", "never", "steady"],
)
def test_the_scale_of_each_origin_is_that_of_rmsse(spark, units) -> None:
    rows = [("s", "p", date(2024, 1, 1) + timedelta(days=n), float(value)) for n, value in enumerate(units)]
    daily = spark.createDataFrame(rows, "store_id string, product_id string, ds date, units double")
    found = {row.origin: row.scale for row in dataset._scales(daily).collect()}
    for n, (_, _, day, _) in enumerate(rows):
        expected = float(squared_scale(np.array([units[: n + 1]], dtype=float))[0])
        assert (found[day] or NAN) == pytest.approx(expected, nan_ok=True) or found[day] == 0.0


def test_a_day_that_is_not_known_has_the_scale_of_those_before_it(spark) -> None:
    rows = [("s", "p", date(2024, 1, 1) + timedelta(days=n), value) for n, value in enumerate([1.0, 3.0, None, 4.0])]
    daily = spark.createDataFrame(rows, "store_id string, product_id string, ds date, units double")
    found = [row.scale for row in dataset._scales(daily).orderBy("origin").collect()]
    # the step over the gap is from what was known last
    assert found == [None, 4.0, 4.0, 2.5]
