"""What the online service answered: its prediction events, read back in bounded pieces."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

#: events read at most: the newest files first
EVENTS_AT_MOST = 200_000
DAYS = 7
#: numbers of an answer that count, or that each version gives on a scale of its own
_NOT_COMPARED = ("horizon", "rank", "score")


def served_sentences(folder: Path, today: date, at_most: int = EVENTS_AT_MOST) -> list[str]:
    """Sentences on the last DAYS days of `<home>/predictions`, or on their newest `at_most` events: how much each version
    answered, and how far each shadowing challenger's numbers were from those of the champion that it shadowed."""
    counts: Counter[tuple[str, str]] = Counter()
    asked: dict[tuple[str, str, int], dict[str, tuple[str, float]]] = defaultdict(dict)
    read = 0
    for event in islice(_events(folder, today), at_most):
        read += 1
        if event["role"] == "champion":
            counts[event["family"], event["model_version"]] += 1
        value = _number_of(event["answer"])
        if value is not None:
            asked[event["family"], event["request_id"], event["position"]][event["role"]] = event["model_version"], value
    over = f"in the last {DAYS} days" if read < at_most else f"among the newest {at_most:,} predictions"
    said = [f"The service answered {n:,} items by {family} version {version} {over}." for (family, version), n in sorted(counts.items())]
    return [*said, *_shadow_sentences(asked)]


def _shadow_sentences(asked: Mapping[tuple[str, str, int], Mapping[str, tuple[str, float]]]) -> list[str]:
    """A sentence for each champion and challenger that answered the same items; `asked` has version and number by item and role."""
    compared: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for (family, _, _), both in asked.items():
        if len(both) == 2:
            (champion, old), (challenger, new) = both["champion"], both["challenger"]
            compared[family, champion, challenger].append((old, new))
    return [
        f"In the shadow, {family} version {challenger} was {_apart(pairs):.1%} away from version {champion} over {len(pairs):,} items."
        for (family, champion, challenger), pairs in sorted(compared.items())
    ]


def _apart(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(abs(new - old) for old, new in pairs) / (sum(abs(old) for old, _ in pairs) or 1.0)


def _events(folder: Path, today: date) -> Iterator[dict[str, Any]]:
    for back in range(DAYS):
        day = folder / (today - timedelta(days=back)).isoformat()
        for file in sorted(day.glob("[!.]*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True):
            with file.open(encoding="utf-8") as events:
                yield from map(json.loads, events)


def _number_of(answer: dict[str, Any]) -> float | None:
    """Sum of the first numeric field over an answer's rows: one number to compare two versions by."""
    rows = answer.get("results") or [answer]
    for name, value in rows[0].items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name not in _NOT_COMPARED:
            return float(sum(row.get(name) or 0.0 for row in rows))
    return None
