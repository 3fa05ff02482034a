"""What a verb prints can be read at any width, and what a script reads is one JSON document."""

from __future__ import annotations

import json
import warnings

import pytest

from infra.console import only_what_a_user_can_act_on, show

ROWS = [
    {"rank": 1, "product": "milk [1 l]", "why": "expected demand 15.8 " * 12, "at risk": 106.2412},
    {"rank": 20, "product": "tea", "why": "", "at risk": 0.5},
]


def test_long_text_stands_under_its_row_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if not line.startswith("    ")] == [
        ["rank", "product", "at", "risk"], ["1", "milk", "[1", "l]", "106.2"], ["20", "tea", "0.5"],
    ]  # fmt: skip
    assert "".join(lines).count("15.8") == 12


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_only_warnings_of_our_own_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, filename, *where: shown.append(filename))
    only_what_a_user_can_act_on()
    warnings.showwarning("theirs", UserWarning, "/usr/lib/python3/site-packages/library/module.py", 1)
    warnings.showwarning("ours", UserWarning, __file__, 1)
    assert shown == [__file__]
