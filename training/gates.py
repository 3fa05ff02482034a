"""Gates: what a challenger must clear before it may serve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from training.family import Gate


@dataclass(frozen=True)
class Verdict:
    """One gate's outcome: `value` against `rival` times `gate.at_most`, where it mattered most."""

    gate: Gate
    segment: str
    value: float
    rival: float
    passed: bool

    def __str__(self) -> str:
        if not (math.isfinite(self.value) and math.isfinite(self.rival)):
            told = f"{self.gate.metric} {self.value:g} in {self.segment} cannot be compared with the {self.gate.against}'s {self.rival:g}"
            return f"failed: {told}; `promote --version` is for who wants it all the same"
        ratio = self.value / self.rival if self.rival else float("inf")
        sign = "passed" if self.passed else "failed"
        rival = f"the {self.gate.against}'s {self.rival:.4g} in {self.segment}"
        return f"{sign}: {self.gate.metric} {self.value:.4g} is {ratio:.3f} of {rival} (at most {self.gate.at_most:g})"


def verdicts(gates: Sequence[Gate], challenger: pd.DataFrame, rivals: dict[str, pd.DataFrame]) -> list[Verdict]:
    """Each gate's worst segment. Frames have `segment, metric, value`; a gate whose rival does not exist yet (no
    champion) is left out: there is nothing to compare with. A rival that is there and was not judged (an empty frame), and a
    number that is none, pass no gate; only a segment of a gate per segment in which the rival's metric is not defined is left out."""
    return [_worst(gate, challenger, rivals[gate.against]) for gate in gates if gate.against in rivals]


def _worst(gate: Gate, challenger: pd.DataFrame, rival: pd.DataFrame) -> Verdict:
    # the rival's rows: what the challenger was not judged by is not a number
    both = challenger.merge(rival, "right", on=["segment", "metric"], suffixes=("", "_rival"))
    both = both[both["metric"] == gate.metric]
    both = both[both["value_rival"].notna() if gate.per_segment else both["segment"] == "all"]
    if both.empty:
        return Verdict(gate, "all", math.nan, math.nan, False)
    excess = (both["value"] - gate.at_most * both["value_rival"]).fillna(math.inf)
    row = both.iloc[int(excess.to_numpy().argmax())]
    return Verdict(gate, str(row["segment"]), float(row["value"]), float(row["value_rival"]), bool(excess.max() <= 1e-12))
