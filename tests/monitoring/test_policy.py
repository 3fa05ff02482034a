"""The policy, as properties over any history: it never promotes, cools down, and a worse world never gets a weaker answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.policy import ACTIONS, ALERT, NOTHING, RETRAIN, ROLLBACK, Reading, Rules, decide

DAY = date(2024, 3, 1)

_reading = st.builds(
    Reading, ds=st.integers(0, 60).map(lambda d: DAY + timedelta(days=d)), version=st.sampled_from(["1", "2"]),
    value=st.none() | st.floats(0, 3), expected=st.none() | st.just(1.0), n=st.sampled_from([0, 100, 5000]),
    drifted=st.integers(0, 10), watched=st.sampled_from([0, 10]),
)  # fmt: skip
_history = st.lists(_reading, max_size=12, unique_by=lambda r: r.ds)
_acted = st.lists(st.tuples(st.integers(0, 60).map(lambda d: DAY + timedelta(days=d)), st.sampled_from(ACTIONS)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(_history, _acted, st.booleans())
def test_the_answer_is_one_of_four_with_a_sentence_and_order_does_not_matter(history, acted, can) -> None:
    decision = decide(history, acted, can_roll_back=can)
    assert decision.action in {NOTHING, ALERT, RETRAIN, ROLLBACK}
    assert decision.why.strip().endswith(".")
    assert decide(history[::-1], acted[::-1], can_roll_back=can) == decision
    if not can:
        assert decision.action != ROLLBACK


@settings(max_examples=300, deadline=None)
@given(_history, _acted, st.booleans())
def test_no_second_step_within_the_cooldown(history, acted, can) -> None:
    decision = decide(history, acted, can_roll_back=can)
    if history:
        now = max(r.ds for r in history)
        recent = {a for day, a in acted if 0 < (now - day).days < Rules().cooldown_days}
        assert not (recent & {RETRAIN, ROLLBACK} and decision.action == RETRAIN)
        assert not (ROLLBACK in recent and decision.action == ROLLBACK)


@settings(max_examples=300, deadline=None)
@given(_history, _acted, st.booleans(), st.floats(1, 3), st.integers(0, 5))
def test_a_worse_world_never_gets_a_weaker_answer(history, acted, can, times, more) -> None:
    worse = [
        replace(r, value=None if r.value is None else r.value * times, drifted=min(r.drifted + more, r.watched) if r.watched else r.drifted)
        for r in history
    ]
    before = decide([replace(r, drifted=min(r.drifted, r.watched)) for r in history], acted, can_roll_back=can)
    after = decide([replace(r, drifted=min(r.drifted, r.watched)) for r in worse], acted, can_roll_back=can)
    assert ACTIONS.index(after.action) >= ACTIONS.index(before.action)


def _days(values: list[float], version: str = "2", start: int = 0, **more) -> list[Reading]:
    return [Reading(DAY + timedelta(days=start + at), version, value, 1.0, 5000, watched=10, **more) for at, value in enumerate(values)]


def test_one_bad_report_is_an_alert_three_in_a_row_a_retraining() -> None:
    assert decide(_days([1.0, 1.0, 1.3]), [], can_roll_back=True).action == ALERT
    assert decide(_days([1.3, 1.0, 1.3]), [], can_roll_back=True).action == ALERT
    decision = decide(_days([1.0, 1.3, 1.3, 1.3]), [], can_roll_back=True)
    assert decision.action == RETRAIN
    assert "1.30 times" in decision.why


def test_a_young_version_that_is_broken_is_rolled_back_an_old_one_is_retrained() -> None:
    assert decide(_days([2.0, 2.0, 2.0]), [], can_roll_back=True).action == ROLLBACK
    assert decide(_days([2.0, 2.0, 2.0]), [], can_roll_back=False).action == RETRAIN
    old = _days([1.0]) + _days([2.0, 2.0, 2.0], start=40)
    assert decide(old, [], can_roll_back=True).action == RETRAIN


def test_the_errors_of_the_version_before_are_not_held_against_the_new_one() -> None:
    history = _days([2.0, 2.0, 2.0], version="1") + _days([1.0], version="2", start=3)
    assert decide(history, [], can_roll_back=True).action == NOTHING


def test_the_same_day_again_gives_the_same_answer() -> None:
    history = _days([1.3, 1.3, 1.3])
    assert decide(history, [(history[-1].ds, RETRAIN)], can_roll_back=True).action == RETRAIN
    assert decide(history, [(history[0].ds, RETRAIN)], can_roll_back=True).action == ALERT


def test_what_a_retraining_brought_can_be_taken_back_while_it_cools_down() -> None:
    broken = _days([2.0, 2.0, 2.0])
    assert decide(broken, [(DAY - timedelta(days=1), RETRAIN)], can_roll_back=True).action == ROLLBACK


def test_few_actuals_say_nothing() -> None:
    history = [replace(r, n=50) for r in _days([9.0, 9.0, 9.0])]
    decision = decide(history, [], can_roll_back=True)
    assert decision.action == NOTHING
    assert "50 actuals" in decision.why


def test_lasting_wide_drift_retrains_a_single_column_alerts() -> None:
    assert decide(_days([1.0] * 3, drifted=4), [], can_roll_back=True).action == RETRAIN
    assert decide(_days([1.0] * 3, drifted=1), [], can_roll_back=True).action == ALERT


def test_a_version_whose_first_actuals_come_late_can_still_be_rolled_back() -> None:
    waiting = [replace(reading, value=None, n=0) for reading in _days([1.0] * 56)]
    assert decide([*waiting, *_days([2.0] * 3, start=56)], [], can_roll_back=True).action == ROLLBACK
    told_long_ago = [*_days([1.0]), *_days([2.0] * 3, start=56)]
    assert decide(told_long_ago, [], can_roll_back=True).action == RETRAIN


def test_a_feed_that_ends_is_no_good_news() -> None:
    dead = [replace(reading, value=None, n=0) for reading in _days([1.0], start=3)]
    found = decide([*_days([1.0] * 3), *dead], [], can_roll_back=True)
    assert found.action == ALERT and "no actuals arrive any more" in found.why
    unseen = [replace(reading, watched=0, drifted=0) for reading in _days([1.0], start=3)]
    watched = [replace(reading, watched=10) for reading in _days([1.0] * 3)]
    assert decide([*watched, *unseen], [], can_roll_back=True).action == ALERT
