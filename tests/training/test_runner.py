"""Who serves: the best of the tuning folds, or the baseline where the newest fold shows that it is not beaten."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from training.family import Gate
from training.runner import PARITY_TOLERANCE, ParityError, _prove, _rivals, _winner
from training.tuning import Tuned


def tuned(name: str, baseline: bool) -> Tuned:
    return Tuned(SimpleNamespace(name=name, baseline=baseline), {}, 1.0, True, pd.DataFrame())


def judged(value: float) -> pd.DataFrame:
    return pd.DataFrame({"segment": ["all"], "metric": ["wql"], "value": [value]})


@pytest.mark.parametrize(("learned", "champion", "winner", "passed"),
                         [(0.9, 0.95, "trees", True), (1.1, 1.2, "rule", True), (0.9, 0.8, "trees", False), (1.1, 0.5, "rule", False)])  # fmt: skip
def test_a_candidate_that_loses_to_the_baseline_gives_way_to_it(learned, champion, winner, passed) -> None:
    family = SimpleNamespace(card=SimpleNamespace(gates=(Gate("wql", "baseline", 1.0), Gate("wql", "champion", 1.0))))
    frames = {"trees": judged(learned), "rule": judged(1.0)}
    rivals = {"baseline": frames["rule"], "champion": judged(champion)}
    best, verdicts = _winner(family, tuned("trees", False), tuned("rule", True), frames, rivals)
    assert best.contender.name == winner
    assert all(verdict.passed for verdict in verdicts) is passed


@pytest.mark.parametrize(
    ("champion", "told"), [({}, None), ({"contender": "trees", "params": {}}, 1), ({"contender": "another", "params": {}}, 0)]
)
def test_a_champion_whose_recipe_is_no_contender_any_more_is_a_rival_without_numbers(champion: dict, told: int | None) -> None:
    family = SimpleNamespace(judge=lambda fitted, fold: judged(0.9))
    trees = SimpleNamespace(name="trees", fit=lambda train, params: SimpleNamespace(predict=lambda test: test))
    fold = SimpleNamespace(train=None, test=None)
    rivals = _rivals(family, {"rule": judged(1.0)}, tuned("rule", True), champion, [trees], fold)
    assert (len(rivals["champion"]) if "champion" in rivals else None) == told


@pytest.mark.parametrize(("gap", "passes"), [(PARITY_TOLERANCE, True), (2 * PARITY_TOLERANCE, False), (float("nan"), False)])
def test_a_model_that_its_export_does_not_say_the_same_as_ends_the_run(gap: float, passes: bool) -> None:
    family = SimpleNamespace(card=SimpleNamespace(name="demand"), parity=lambda fitted, portable, sample: gap)
    rows = SimpleNamespace(limit=lambda count: SimpleNamespace(localCheckpoint=lambda: None))
    if passes:
        assert _prove(family, None, None, rows) == gap
        return
    with pytest.raises(ParityError, match="demand: the portable model differs from the Spark model"):
        _prove(family, None, None, rows)
