"""Tuning: Optuna over rolling origins, as a race. Every contender is tried once on the newest of the tuning folds, in the
middle of its space or with the champion's parameters; those who can still win are tuned on all of them, and so are the
baselines, which must not lose by being tuned less. A trial is fitted and judged fold by fold, oldest first, and is given
up when it falls behind the median of the trials before it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, cast

import optuna
import pandas as pd

from infra.errors import TooLittleHistory
from infra.together import together
from training.family import Contender, Family, Fold

#: candidates, besides the baselines, that are tuned on after the first round and judged on the newest fold
FINALISTS = 2


@dataclass(frozen=True)
class Tuned:
    """A contender's best parameters, their mean metric over the tuning folds, every trial, and whether it came through
    the first round."""

    contender: Contender
    params: dict[str, Any]
    value: float
    finalist: bool
    trials: pd.DataFrame = field(repr=False)


def race(
    family: Family, contenders: Sequence[Contender], folds: Sequence[Fold], trials: int, seed: int,
    known: Mapping[str, dict[str, Any]], say: Callable[[str], None],
) -> list[Tuned]:  # fmt: skip
    """Each contender with the parameters of the lowest mean `card.metric` over `folds` that `trials` trials found; one that
    is out after the first round is told by its one trial. `known` parameters, by contender, are tried first; `say` is told
    each step."""

    judges = {contender.name: _Judge(family, contender) for contender in contenders}

    def first(contender: Contender) -> optuna.Study:
        say(f"trying {contender.name}")
        return _study(judges[contender.name], folds[-1:], seed, 1, known.get(contender.name) or middle(contender))

    def whole(contender: Contender) -> optuna.Study:
        say(f"tuning {contender.name}")
        params = tried[contender.name].best_trial.params
        return _study(judges[contender.name], folds, seed, trials if params else 1, params)

    tried = dict(zip([c.name for c in contenders], together([partial(first, contender) for contender in contenders]), strict=True))
    candidates = sorted((c for c in contenders if not c.baseline), key=lambda c: tried[c.name].best_value)
    finalists = [contender for contender in contenders if contender.baseline or contender in candidates[:FINALISTS]]
    tuned = dict(zip([c.name for c in finalists], together([partial(whole, contender) for contender in finalists]), strict=True))
    return [_tuned(contender, tuned.get(contender.name, tried[contender.name]), contender.name in tuned) for contender in contenders]


def pooled(judged: pd.DataFrame, metric: str) -> float:
    """The value of `metric` in segment `all`."""
    return float(judged.loc[(judged["segment"] == "all") & (judged["metric"] == metric), "value"].iloc[0])


@dataclass(frozen=True)
class _Judge:
    """Fits and judges a contender; the same parameters on the same fold only once."""

    family: Family
    contender: Contender
    seen: dict[tuple[date, str], float] = field(default_factory=dict)

    def value(self, params: Mapping[str, Any], fold: Fold) -> float:
        """The family's metric on the fold; raises TooLittleHistory where it is not defined."""
        asked = (fold.origin, json.dumps(params, sort_keys=True))
        if asked not in self.seen:
            judged = self.family.judge(self.contender.fit(fold.train, params), fold)
            self.seen[asked] = _told(self.family, fold, judged)
        return self.seen[asked]


def _study(judge: _Judge, folds: Sequence[Fold], seed: int, trials: int, params: dict[str, Any]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    study.enqueue_trial(params)
    study.optimize(_objective(judge, folds), n_trials=trials)
    return study


def _objective(judge: _Judge, folds: Sequence[Fold]) -> Callable[[optuna.Trial], float]:
    def objective(trial: optuna.Trial) -> float:
        params = judge.contender.space(trial)
        values: list[float] = []
        for step, fold in enumerate(folds):
            values.append(judge.value(params, fold))
            trial.report(sum(values) / len(values), step)
            if step + 1 < len(folds) and trial.should_prune():
                raise optuna.TrialPruned
        trial.set_user_attr("params", params)
        return sum(values) / len(values)

    return objective


def _told(family: Family, fold: Fold, judged: pd.DataFrame) -> float:
    value = pooled(judged, family.card.metric)
    if math.isnan(value):
        raise TooLittleHistory(
            f"{family.card.name}: after {fold.origin} there is too little to judge a model by ({family.card.metric} is not defined): "
            "ingest more days or more pairs first."
        )
    return value


def _tuned(contender: Contender, study: optuna.Study, finalist: bool) -> Tuned:
    trials = study.trials_dataframe(attrs=("number", "value", "state", "params"))
    return Tuned(contender, study.best_trial.user_attrs["params"], study.best_value, finalist, trials)


def middle(contender: Contender) -> dict[str, Any]:
    """The middle of the contender's search space, by the names of its dimensions."""
    probe = _Middle({})
    contender.space(cast("optuna.Trial", probe))
    return probe.params


@dataclass(frozen=True)
class _Middle:
    """Answers what a trial would be asked with the middle of each range, and the last of the choices."""

    params: dict[str, Any]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.params[name] = (low * high) ** 0.5 if log else (low + high) / 2
        return self.params[name]

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.params[name] = (low + high) // 2
        return self.params[name]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.params[name] = choices[-1]
        return self.params[name]
