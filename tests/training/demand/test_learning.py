"""What is learnt from a panel: a season seen once is no season, and days of stockouts are no labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.panel import from_frame
from training.demand.covariates import Covariates
from training.demand.learning import training_sample


def sold(days: int) -> pd.DataFrame:
    ds, rng = pd.date_range("2021-01-01", periods=days), np.random.default_rng(0)
    parts = [pd.DataFrame({"store_id": "a", "product_id": str(p), "ds": ds, "units": rng.poisson(3, days)}) for p in range(3)]
    return pd.concat(parts)


@pytest.mark.parametrize(("days", "seasons"), [(400, False), (760, True)])
def test_the_month_is_known_from_two_years_on(days: int, seasons: bool) -> None:
    sample = training_sample(Covariates.of(from_frame(sold(days))), days - 1, 7, 500, 0)
    for name in ("month", "week_sin", "days_to_christmas", "age_days"):
        assert bool(np.isfinite(sample.rows.column(name)).all()) is seasons
    assert np.isfinite(sample.rows.column("dow")).all() and np.isfinite(sample.rows.column("day_of_month")).all()


def test_a_day_that_sold_out_is_no_label_however_much_it_sold() -> None:
    frame = sold(200)
    frame["in_stock"] = np.where(frame["units"] >= 5, 0.5, 1.0)
    sample = training_sample(Covariates.of(from_frame(frame)), 199, 7, 2000, 0)
    assert len(sample.units) > 500 and sample.units.max() < 5
