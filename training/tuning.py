"""Tuning: Optuna over rolling origins. A trial is fitted and judged fold by fold, oldest first, and is given up when it
falls behind the median of the trials before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
import pandas as pd

from training.family import Contender, Family, Fold

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Tuned:
    """A contender's best parameters, their mean metric over the tuning folds, and every trial."""

    contender: Contender
    params: dict[str, Any]
    value: float
    trials: pd.DataFrame = field(repr=False)


def tune(family: Family, contender: Contender, folds: Sequence[Fold], trials: int, seed: int, known: dict[str, Any] | None = None) -> Tuned:
    """The parameters with the lowest mean `card.metric` over `folds`; `known` parameters are tried first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    if known:
        study.enqueue_trial(known)

    def objective(trial: optuna.Trial) -> float:
        params = contender.space(trial)
        values = []
        for step, fold in enumerate(folds):
            values.append(pooled(family.judge(contender.fit(fold.train, params).predict(fold.test)), family.card.metric))
            trial.report(sum(values) / len(values), step)
            if step + 1 < len(folds) and trial.should_prune():
                raise optuna.TrialPruned
        trial.set_user_attr("params", params)
        return sum(values) / len(values)

    study.optimize(objective, n_trials=trials if _tunable(contender) else 1)
    best = study.best_trial
    return Tuned(
        contender, best.user_attrs["params"], float(best.value or 0.0), study.trials_dataframe(attrs=("number", "value", "state", "params"))
    )


def pooled(judged: pd.DataFrame, metric: str) -> float:
    """The value of `metric` in segment `all`."""
    return float(judged.loc[(judged["segment"] == "all") & (judged["metric"] == metric), "value"].iloc[0])


def _tunable(contender: Contender) -> bool:
    """Whether the contender's space has any dimension (a fixed trial with no parameters asks for none)."""
    probe = optuna.create_study().ask()
    contender.space(probe)
    return bool(probe.params)
