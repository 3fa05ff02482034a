"""The footprint of a block is that of its children too."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.footprint import footprint, in_a_fresh_process

#: holds 100 MB and half a second of a core
GREEDY = """
import time
held = bytearray(b"x" * 100_000_000)
while time.process_time() < 0.5: pass
time.sleep(1)
"""


def test_a_childs_processor_seconds_and_memory_are_counted() -> None:
    with footprint() as idle:
        pass
    with footprint() as found:
        subprocess.run([sys.executable, "-c", GREEDY], check=True)
    assert found.seconds > 1
    assert found.cpu_seconds > idle.cpu_seconds + 0.4
    assert found.peak_mb > idle.peak_mb + 90


def test_work_in_a_fresh_process_answers_from_another_one() -> None:
    assert in_a_fresh_process(os.getpid) != os.getpid()
