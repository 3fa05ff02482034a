from __future__ import annotations

import math

import pandas as pd
import pytest

from training.family import Gate
from training.gates import verdicts


def judged(**values: float) -> pd.DataFrame:
    return pd.DataFrame([{"segment": segment, "metric": "wql", "value": value} for segment, value in values.items()])


@pytest.mark.parametrize(("value", "passed"), [(0.90, True), (0.95, True), (0.9501, False)])
def test_a_gate_compares_with_its_rival(value: float, passed: bool) -> None:
    (verdict,) = verdicts([Gate("wql", "baseline", 0.95)], judged(all=value), {"baseline": judged(all=1.0)})
    assert verdict.passed is passed


def test_the_worst_segment_decides_a_gate_per_segment() -> None:
    gate = Gate("wql", "champion", 1.0, per_segment=True)
    (verdict,) = verdicts([gate], judged(all=0.8, smooth=0.7, lumpy=1.3), {"champion": judged(all=1.0, smooth=1.0, lumpy=1.2)})
    assert (verdict.passed, verdict.segment) == (False, "lumpy")
    assert "failed: wql 1.3 is 1.083 of the champion's 1.2 in lumpy" in str(verdict)


def test_a_gate_against_a_champion_that_is_not_there_yet_is_left_out() -> None:
    assert verdicts([Gate("wql", "champion", 1.0)], judged(all=2.0), {"baseline": judged(all=1.0)}) == []


@pytest.mark.parametrize(
    ("value", "rival"), [(math.nan, 1.0), (1.0, math.nan), (math.nan, math.nan), (math.inf, 1.0), (math.inf, math.inf)]
)
@pytest.mark.parametrize("per_segment", [False, True])
def test_what_is_not_a_number_passes_no_gate(value: float, rival: float, per_segment: bool) -> None:
    (verdict,) = verdicts([Gate("wql", "baseline", 1.0, per_segment)], judged(all=value), {"baseline": judged(all=rival)})
    assert not verdict.passed and str(verdict).startswith("failed: wql ")


def test_a_segment_counts_where_the_rival_s_metric_is_defined_in_it() -> None:
    gate = Gate("wql", "baseline", 1.0, per_segment=True)
    rival = {"baseline": judged(all=1.0, smooth=1.0, empty=math.nan)}
    (fine,) = verdicts([gate], judged(all=0.9, smooth=0.9, empty=math.nan), rival)
    (undefined,) = verdicts([gate], judged(all=0.9, smooth=math.nan, empty=0.9), rival)
    (unjudged,) = verdicts([gate], judged(all=0.9), rival)
    assert (fine.passed, undefined.passed, undefined.segment, unjudged.passed) == (True, False, "smooth", False)


def test_a_champion_that_cannot_be_judged_again_is_no_open_gate() -> None:
    (verdict,) = verdicts([Gate("wql", "champion", 1.0)], judged(all=0.1), {"champion": judged(all=1.0).iloc[:0]})
    assert not verdict.passed
    assert "cannot be compared with the champion's" in str(verdict)
