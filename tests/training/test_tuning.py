"""The race: everyone is tried once, in the middle; who can still win is tuned on, and so are the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import optuna
import pandas as pd
import pytest

from infra.errors import NotReady
from training.family import Fold
from training.tuning import FINALISTS, middle, race


@dataclass(frozen=True)
class Constant:
    """Says one number: `offset` beside it, or a tuned one between 0 and 10."""

    name: str
    offset: float | None = None
    baseline: bool = False
    fits: list[float] = field(default_factory=list)

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        return {"number": trial.suggest_float("number", 0.0, 10.0)} if self.offset is None else {}

    def fit(self, train: pd.DataFrame, params: Mapping[str, Any]) -> Constant:
        number = params.get("number", self.offset)
        self.fits.append(number)
        return Constant(self.name, number)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(said=self.offset)


class Distance:
    """Judges by the mean absolute error."""

    class card:
        name, metric = "distance", "mae"

    def judge(self, fitted: Constant, fold: Fold) -> pd.DataFrame:
        predicted = fitted.predict(fold.test)
        error = (predicted["said"] - predicted["truth"]).abs().mean()
        return pd.DataFrame({"segment": ["all", "few"], "metric": "mae", "value": [error, 99.0]})


@pytest.fixture
def folds() -> list[Fold]:
    frames = [pd.DataFrame({"truth": [truth] * 3}) for truth in (6.0, 8.0)]
    return [Fold(date(2024, 1, number + 1), frame, frame) for number, frame in enumerate(frames)]


def test_the_rest_of_the_trials_goes_to_finalists_and_baselines(folds) -> None:
    far = [Constant(f"far{at}", 20.0 + at) for at in range(3)]
    rule, good, better = Constant("rule", baseline=True), Constant("good"), Constant("better", 6.5)
    told: list[str] = []
    tuned = {t.contender.name: t for t in race(Distance(), [rule, *far, good, better], folds, 8, 1, {}, told.append)}
    assert {name for name, t in tuned.items() if t.finalist} == {"rule", "good", "better"} and FINALISTS == 2
    assert [len(tuned[name].trials) for name in ("rule", "good", "better", "far0")] == [8, 8, 1, 1]
    assert all(len(contender.fits) == 1 for contender in far)
    # everyone begins in the middle, and no trial is worse than the best that is told
    assert rule.fits[0] == good.fits[0] == 5.0
    assert tuned["good"].value == min(tuned["good"].trials["value"].dropna()) <= 2.0
    assert tuned["better"].value == pytest.approx(1.0)
    # two are under way at once, so each round is told in any order
    assert set(told[:6]) == {f"trying {name}" for name in tuned} and set(told[6:]) == {
        f"tuning {name}" for name in ("rule", "good", "better")
    }


def test_what_the_champion_knows_is_tried_first(folds) -> None:
    good = Constant("good")
    (tuned,) = race(Distance(), [good], folds, 1, 1, {"good": {"number": 7.0}}, print)
    assert good.fits == [7.0] * 2  # once on the newest fold, which is not fitted again, and once on the other
    assert (tuned.params, tuned.value) == ({"number": 7.0}, pytest.approx(1.0))


def test_the_middle_of_a_space_is_by_its_scale() -> None:
    class Wide(Constant):
        def space(self, trial: optuna.Trial) -> dict[str, Any]:
            rate = trial.suggest_float("rate", 0.01, 1.0, log=True)
            return {"rate": rate, "depth": trial.suggest_int("depth", 2, 6), "kept": trial.suggest_categorical("kept", (0.5, 1.0))}

    assert middle(Wide("wide")) == {"rate": pytest.approx(0.1), "depth": 4, "kept": 1.0}


def test_a_fold_that_cannot_judge_is_told_with_its_family(folds) -> None:
    unknown = Fold(date(2024, 1, 2), folds[1].train, folds[1].test.assign(truth=float("nan")))
    with pytest.raises(NotReady, match="distance: after 2024-01-02 there is too little to judge a model by"):
        race(Distance(), [Constant("rule", baseline=True)], [folds[0], unknown], 2, 1, {}, lambda step: None)
