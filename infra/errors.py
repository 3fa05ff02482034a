"""The two ways a Shelfcast verb stops on purpose; anything else that is raised is a defect."""

from __future__ import annotations


class BadInput(ValueError):
    """What the user gave cannot be used: one sentence with what, where and what was expected (exit code 2)."""

    exit_code = 2


class NotReady(RuntimeError):
    """An earlier step or a service is missing: one sentence with the step that mends it (exit code 3)."""

    exit_code = 3
