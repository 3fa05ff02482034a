"""One available-now ingest in a process of its own, to be killed: `python -m tests.stack.ingest_once`."""

from __future__ import annotations

from datetime import datetime

from data_ingest.ingest import ingest
from infra.settings import load_settings
from infra.spark import session

if __name__ == "__main__":
    settings = load_settings()
    ingest(session(settings), settings, now=datetime(2024, 6, 1))
