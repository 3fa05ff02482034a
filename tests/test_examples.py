"""The documentation's examples, run as a reader would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "docs" / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_touches_nothing_of_the_installation(example: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "SHELFCAST_HOME": str(home), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "rows in" in done.stdout
    assert not home.exists()


def test_every_file_verb_has_an_example_of_about_twenty_lines() -> None:
    assert [path.stem for path in EXAMPLES] == ["detect", "forecast", "order", "recommend", "slow_movers", "what_if"]
    assert all(len(path.read_text().splitlines()) <= 25 for path in EXAMPLES)
