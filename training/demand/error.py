"""How far demand lies from its forecast mean: the error is learnt from examples that the mean was fitted on and ranks
forecasts of like size by how wild they are; the quantiles are those of examples that it had not seen."""

from __future__ import annotations

import numpy as np

from training.demand.calibration import Calibration
from training.demand.examples import FLOOR, Sample, spread
from training.demand.model import BoosterMean, MeanPredictor, relative_error

#: below this many examples nothing is learnt that the profile does not know
FEWEST = 300
#: examples the error is learnt on, at most, and the rounds it takes
_ROWS, _ROUNDS = 200_000, 40


def fit_error(mean: MeanPredictor, sample: Sample, seed: int) -> BoosterMean | None:
    """The booster of |units - mean| with the mean as its offset; None where there is too little to learn from."""
    import xgboost

    if len(sample.units) < FEWEST or not (sample.units > 0).any():
        return None
    part = sample.thinned(_ROWS)
    before = np.maximum(mean.predict(part.rows), FLOOR)
    wrong = np.abs(part.units - before)
    data = xgboost.QuantileDMatrix(part.rows.matrix, label=wrong, base_margin=np.log(before), max_bin=64, nthread=1)
    leaf = max(len(wrong) / 2000, 10) * float(wrong.mean())
    parameters = {
        "objective": "reg:tweedie", "tweedie_variance_power": 1.5, "max_depth": 6, "eta": 0.1, "subsample": 0.5, "colsample_bynode": 0.5,
        "min_child_weight": leaf, "reg_lambda": leaf / 5, "tree_method": "hist", "max_bin": 64, "seed": seed, "nthread": 1,
    }  # fmt: skip
    return BoosterMean(xgboost.train(parameters, data, _ROUNDS))


def calibrated(mean: MeanPredictor, error: BoosterMean | None, judged: Sample, refitted: bool = False) -> Calibration:
    """The calibration of a mean by examples that it has not seen, whose wildness `error` tells, or else their own deviation. By how
    much all of them lay beside it is kept where this mean serves, and taken out where one `refitted` on them too does."""
    found = mean.predict(judged.rows)
    wild = spread(judged.rows) if error is None else relative_error(error, judged.rows, found)
    shift = level_shift(found, judged.units) if refitted else 1.0
    return Calibration.fit(found * shift, judged.units, wild, judged.horizon)


def level_shift(mean: np.ndarray, actual: np.ndarray) -> float:
    """By how much all actuals together lay beside all forecasts of the held-out end: what was peculiar to that month, which
    the quantiles of the next one must not repeat."""
    return float(np.clip(actual.sum() / mean.sum(), 0.7, 1.4)) if len(mean) and mean.sum() > 0 else 1.0
