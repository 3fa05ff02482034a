"""How wild a forecast is among those of like size is learnt from what its mean was fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.demand.error import calibrated, fit_error
from training.demand.examples import EXAMPLE_FEATURES, Rows, Sample
from training.demand.model import DemandModel, relative_error
from training.demand.profiles import ProfileMean


def sold(seed: int, count: int = 6000, times: float = 1.0) -> tuple[Sample, np.ndarray]:
    """Examples of means from 3 to 5 units, some of which come rarely and then by the dozen; what tells those is a feature."""
    rng = np.random.default_rng(seed)
    wild, mean = rng.random(count) < 0.5, rng.uniform(3, 5, count)
    units = np.where(wild, 12 * rng.poisson(mean / 12), rng.poisson(mean)) * times
    matrix = np.zeros((count, len(EXAMPLE_FEATURES)), dtype=np.float32)
    matrix[:, EXAMPLE_FEATURES.index("zero_share_28")] = wild
    rows = Rows(EXAMPLE_FEATURES, matrix, mean, pd.DatetimeIndex(np.full(count, np.datetime64("2024-01-01"))))
    return Sample(rows, units, rng.integers(1, 8, count), np.ones(count)), wild


def test_what_is_wild_gets_the_wider_quantiles() -> None:
    (fitted_on, _), (judged, _), (coming, wild) = (sold(seed) for seed in range(3))
    error = fit_error(ProfileMean(), fitted_on, 0)
    assert error is not None
    ratio = relative_error(error, coming.rows, coming.rows.base)
    # the mean absolute deviation of a Poisson of 4 is 1.56; of twelves that come by a Poisson of a third it is 2 x 4 x exp(-1/3) = 5.7
    assert 4 * ratio[~wild].mean() == pytest.approx(1.56, rel=0.25) and 4 * ratio[wild].mean() == pytest.approx(5.7, rel=0.25)
    model = DemandModel(ProfileMean(), calibrated(ProfileMean(), error, judged), error=error)
    width = np.diff(model.quantiles(coming.rows, coming.rows.base, coming.horizon, [0.1, 0.9]), axis=1)[:, 0]
    assert width[wild].mean() > 1.5 * width[~wild].mean()


def test_too_few_examples_and_examples_without_a_sale_tell_nothing() -> None:
    (few, _), (none, _) = sold(0, 200), sold(0, times=0.0)
    assert fit_error(ProfileMean(), few, 0) is None and fit_error(ProfileMean(), none, 0) is None


def test_what_all_held_out_days_sold_too_much_stays_where_their_mean_serves() -> None:
    judged, _ = sold(1, times=1.25)
    serving, refitted = (calibrated(ProfileMean(), None, judged, again) for again in (False, True))
    rows, levels = judged.rows, list(np.arange(0.05, 1, 0.1))
    nothing = np.full(len(rows.base), np.nan)
    means = [found.quantiles(rows.base, nothing, judged.horizon, levels).mean() for found in (serving, refitted)]
    assert means[0] > 1.15 * means[1]
