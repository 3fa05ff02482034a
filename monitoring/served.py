"""What the online service answered: its prediction events, read back in bounded pieces."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

#: events read at most: the newest files first
EVENTS_AT_MOST = 200_000
DAYS = 7


def served_sentences(folder: Path, today: date) -> list[str]:
    """Sentences on the last DAYS days of `<home>/predictions`: how much each version answered, and how far a shadowing
    challenger's numbers were from the champion's."""
    counts: Counter[tuple[str, str]] = Counter()
    pairs: dict[str, dict[tuple[str, int], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for event in _events(folder, today):
        if event["role"] == "champion":
            counts[event["family"], event["model_version"]] += 1
        value = _number_of(event["answer"])
        if value is not None:
            pairs[event["family"]][event["request_id"], event["position"]][event["role"]] = value
    said = [
        f"The service answered {n:,} items by {family} version {version} in the last {DAYS} days."
        for (family, version), n in sorted(counts.items())
    ]
    return said + [sentence for family, both in sorted(pairs.items()) if (sentence := _shadow_sentence(family, list(both.values())))]


def _shadow_sentence(family: str, both: list[dict[str, float]]) -> str:
    compared = [(pair["champion"], pair["challenger"]) for pair in both if len(pair) == 2]
    if not compared:
        return ""
    apart = sum(abs(new - old) for old, new in compared)
    scale = sum(abs(old) for old, _ in compared) or 1.0
    return f"In the shadow, {family}'s challenger was {apart / scale:.1%} away from the champion over {len(compared):,} items."


def _events(folder: Path, today: date) -> Iterator[dict[str, Any]]:
    left = EVENTS_AT_MOST
    for back in range(DAYS):
        day = folder / (today - timedelta(days=back)).isoformat()
        for file in sorted(day.glob("[!.]*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True):
            with file.open(encoding="utf-8") as events:
                for line in events:
                    if left <= 0:
                        return
                    left -= 1
                    yield json.loads(line)


def _number_of(answer: dict[str, Any]) -> float | None:
    """Sum of the first numeric field over an answer's rows: one number to compare two versions by."""
    rows = answer.get("results") or [answer]
    for name, value in rows[0].items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name not in ("horizon", "rank"):
            return float(sum(row.get(name) or 0.0 for row in rows))
    return None
