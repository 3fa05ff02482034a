"""The ways a Shelfcast verb stops on purpose; anything else that is raised is a defect, but for what a disk refuses."""

from __future__ import annotations

import errno
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


class Unanswered(NotReady):
    """A server did not answer: the same may go well when it does."""


class NothingToDo(NotReady):
    """There is nothing to do yet, and nothing is broken: a schedule may go on without this step (exit code 5)."""

    exit_code = 5


class TooLittleHistory(NothingToDo):
    """There is too little history yet to judge a model of one family by; the other families can go on."""


_CREDENTIALS = re.compile(r"//[^/\s]+@")


def without_credentials(text: str) -> str:
    """A text to be told or logged, with the user and password of each URL in it left out."""
    return _CREDENTIALS.sub("//", text)


def one_line(error: Exception) -> str:
    """What an error says, to be told in a sentence: in one line of at most 300 characters, without credentials."""
    said = without_credentials(" ".join(str(error).split()))
    return said if len(said) <= 300 else f"{said[:297]}..."


#: what file systems say when they take nothing more, in the words of Python, Java and ClickHouse
_FULL = {"no space left on device": "is full: free some space", "disk quota exceeded": "is over its quota: free some space"}
_REFUSALS = _FULL | {
    "read-only file system": "cannot be written to: give a folder that can",
    "permission denied": "cannot be written to: give a folder that can, or the right to",
    "mkdirs failed to create": "cannot be written to: give a folder that can, or the right to",
}
_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
#: how a line shows that a file system has spoken, by way of Java, Hadoop, ClickHouse, Python or Rust: servers deny permissions too
_OF_A_DISK = re.compile(r"java\.(io|nio)\.|hadoop\.fs|mkdirs failed|DB::|strerror|\[errno \d+\]|os error \d+", re.IGNORECASE)
_PATH = re.compile(r"(?:file:)?(?<![/\w])(/[^\s:;,'\"()]+)")


def refused_by_storage(error: BaseException) -> NotReady | None:
    """One sentence for an error that a full disk or a folder without the right to write is behind; None for any other."""
    told: BaseException | None = error
    while told is not None:
        for line in str(told).splitlines():
            for refusal, meaning in _REFUSALS.items():
                if refusal in line.lower() and _is_of_a_disk(told, line, refusal):
                    return NotReady(f"{_place(told, line)} {meaning}, then run the same again; what was half-written counts for nothing.")
        told = told.__cause__ or told.__context__
    return None


def _is_of_a_disk(error: BaseException, line: str, refusal: str) -> bool:
    """Whether a file system refused, not a server: a folder that may not be written to is always named."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _ERRNOS and (refusal in _FULL or bool(error.filename or _PATH.search(line)))
    # a JVM's error comes as one of pyspark's or py4j's, and not always with the name of its class
    of_jvm = type(error).__module__.partition(".")[0] in ("pyspark", "py4j")
    return bool(of_jvm or _OF_A_DISK.search(line)) and (refusal in _FULL or bool(_PATH.search(line)))


def _place(error: BaseException, line: str) -> str:
    if isinstance(error, OSError) and error.filename:
        return str(error.filename)
    found = _PATH.search(line)
    return found[1] if found else "a disk that SHELFCAST_HOME or SHELFCAST_LAKE_URL lies on"
