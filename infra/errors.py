"""The ways a Shelfcast verb stops on purpose; anything else that is raised is a defect, but for what a disk refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping


class BadInput(ValueError):
    """What the user gave cannot be used: one sentence with what, where and what was expected (exit code 2)."""

    exit_code = 2


class BadRows(BadInput):
    """Some rows of many cannot be used: `rows`, a sentence by position. It reads as the first of them."""

    def __init__(self, rows: Mapping[int, str]) -> None:
        super().__init__(next(iter(rows.values())))
        self.rows = dict(rows)


class NotReady(RuntimeError):
    """An earlier step or a service is missing: one sentence with the step that mends it (exit code 3)."""

    exit_code = 3


class NothingToDo(NotReady):
    """There is nothing to do yet, and nothing is broken: a schedule may go on without this step (exit code 5)."""

    exit_code = 5


class TooLittleHistory(NothingToDo):
    """There is too little history yet to judge a model of one family by; the other families can go on."""


_CREDENTIALS = re.compile(r"//[^/@\s]+@")


def without_credentials(text: str) -> str:
    """A text to be told or logged, with the user and password of each URL in it left out."""
    return _CREDENTIALS.sub("//", text)


#: what file systems say when they take nothing more, in the words of Python, Java and ClickHouse
_REFUSALS = {
    "no space left on device": "is full: free some space",
    "disk quota exceeded": "is over its quota: free some space",
    "read-only file system": "cannot be written to: give a folder that can",
    "permission denied": "cannot be written to: give a folder that can, or the right to",
    "mkdirs failed to create": "cannot be written to: give a folder that can, or the right to",
}
_PATH = re.compile(r"(?:file:)?(/[^\s:;,'\"()]+)")


def refused_by_storage(error: BaseException) -> NotReady | None:
    """One sentence for an error that a full disk or a folder without the right to write is behind; None for any other."""
    told: BaseException | None = error
    while told is not None:
        for line in str(told).splitlines():
            for refusal, meaning in _REFUSALS.items():
                if refusal in line.lower():
                    return NotReady(f"{_place(told, line)} {meaning}, then run the same again; what was half-written counts for nothing.")
        told = told.__cause__ or told.__context__
    return None


def _place(error: BaseException, line: str) -> str:
    if isinstance(error, OSError) and error.filename:
        return str(error.filename)
    found = _PATH.search(line)
    return found[1] if found else "a disk that SHELFCAST_HOME or SHELFCAST_LAKE_URL lies on"
