"""What the numbers call for: nothing, an alert, a retraining, a rollback. Pure, and it never promotes: a retrained model
goes through the gates like every other, and after a rollback a person promotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

NOTHING, ALERT, RETRAIN, ROLLBACK = "nothing", "alert", "retrain", "rollback"
#: rising weight of the answers
ACTIONS = (NOTHING, ALERT, RETRAIN, ROLLBACK)


@dataclass(frozen=True)
class Reading:
    """What one report saw of a family: `value` is the champion's live metric (lower is better, None while no actual has
    arrived) on `n` actuals, `expected` what it was promoted on, `drifted` of `watched` columns drifted."""

    ds: date
    version: str
    value: float | None = None
    expected: float | None = None
    n: int = 0
    drifted: int = 0
    watched: int = 0


@dataclass(frozen=True)
class Rules:
    """When to answer how."""

    #: live metric over expected: worse than this is a breach
    worse_ratio: float = 1.15
    #: live metric over expected that calls for a rollback
    broken_ratio: float = 1.5
    #: share of the watched columns that is a breach of its own
    drifted_share: float = 0.3
    #: reports in a row that must agree before anything but an alert
    in_a_row: int = 3
    #: actuals below which a metric says nothing
    fewest_actuals: int = 200
    #: days after a retraining or rollback in which there is no retraining, and after a rollback no rollback
    cooldown_days: int = 14
    #: days after a version's first report with enough actuals in which a rollback is an answer
    rollback_days: int = 28


@dataclass(frozen=True)
class Decision:
    """An action and the sentence that says why, with the numbers."""

    action: str
    why: str


def decide(readings: Sequence[Reading], acted: Sequence[tuple[date, str]], *, can_roll_back: bool, rules: Rules | None = None) -> Decision:
    """The answer to the newest reading, given the earlier ones and the `(day, action)` answers before; any order."""
    rules = rules or Rules()
    history = sorted(readings, key=lambda r: r.ds)
    if not history:
        return Decision(NOTHING, "nothing has been measured yet.")
    now = history[-1]
    own = [r for r in history if r.version == now.version]
    wanted = _wanted(own, can_roll_back, rules)
    if wanted.action in (RETRAIN, ROLLBACK) and (last := _cooling(wanted.action, acted, now.ds, rules)):
        return Decision(ALERT, f"{wanted.why} No second step within {rules.cooldown_days} days of the {last[1]} on {last[0]}.")
    return wanted


def _wanted(own: list[Reading], can_roll_back: bool, rules: Rules) -> Decision:
    now, recent = own[-1], own[-rules.in_a_row :]
    lasting = len(recent) == rules.in_a_row
    # the first actuals of a horizon of weeks come weeks after the version's first report
    told = [r for r in own if r.value is not None and r.n >= rules.fewest_actuals]
    young = bool(told) and now.ds - told[0].ds <= timedelta(days=rules.rollback_days)
    if lasting and young and can_roll_back and all(_worse_than(r, rules.broken_ratio, rules) for r in recent):
        return Decision(ROLLBACK, f"{_metric_words(now)} in {len(recent)} reports in a row, since version {now.version} took over.")
    if lasting and all(_worse_than(r, rules.worse_ratio, rules) for r in recent):
        return Decision(RETRAIN, f"{_metric_words(now)} in {len(recent)} reports in a row.")
    if lasting and all(_drifting(r, rules) for r in recent):
        return Decision(
            RETRAIN,
            f"{now.drifted} of {now.watched} columns drifted, and at least as large a share as the bar in {len(recent)} reports in a row.",
        )
    if _worse_than(now, rules.worse_ratio, rules):
        return Decision(ALERT, f"{_metric_words(now)}.")
    if now.drifted:
        return Decision(ALERT, f"{now.drifted} of {now.watched} columns drifted.")
    if told and not now.n:
        return Decision(ALERT, f"no actuals arrive any more; {told[-1].n} had in the report of {told[-1].ds}: see to the feed.")
    if not now.watched and any(r.watched for r in own):
        return Decision(ALERT, "no column could be compared, though some could before: see that features are made.")
    return Decision(NOTHING, _all_well(now, rules))


def _worse_than(reading: Reading, ratio: float, rules: Rules) -> bool:
    if reading.value is None or not reading.expected or reading.n < rules.fewest_actuals:
        return False
    return reading.value > ratio * reading.expected


def _drifting(reading: Reading, rules: Rules) -> bool:
    return reading.watched > 0 and reading.drifted >= rules.drifted_share * reading.watched and reading.drifted > 0


def _cooling(wanted: str, acted: Sequence[tuple[date, str]], today: date, rules: Rules) -> tuple[date, str] | None:
    """The step that is still cooling down. A retraining that was called for does not forbid to take back what came of it."""
    steps = [(day, action) for day, action in acted if ACTIONS.index(action) >= ACTIONS.index(wanted) and day < today]
    last = max(steps, default=None)
    return last if last and today - last[0] < timedelta(days=rules.cooldown_days) else None


def _metric_words(now: Reading) -> str:
    ratio = (now.value or 0.0) / (now.expected or 1.0)
    return f"the live metric {now.value:.4g} is {ratio:.2f} times the expected {now.expected:.4g} ({now.n} actuals)"


def _all_well(now: Reading, rules: Rules) -> str:
    drift = f"none of {now.watched} columns drifted" if now.watched else "no column could be compared"
    if not now.expected:
        return f"{drift}; nothing that is measured in use can be compared with what it was promoted on."
    if now.value is None or now.n < rules.fewest_actuals:
        return f"{drift}; {now.n} actuals have arrived and {rules.fewest_actuals} are needed to judge accuracy."
    return f"{drift}; the live metric {now.value:.4g} is within {rules.worse_ratio:g} times the expected {now.expected:.4g}."
