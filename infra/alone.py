"""One process a work: locks that end with their holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from infra.errors import NotReady
from infra.settings import Settings


@contextmanager
def alone(settings: Settings, work: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a work (ingest, facts, watch, or of a table that several write). While another holds it, waits for its end
    with `wait`, else raises NotReady naming its process. The operating system lets go of the lock when its holder dies, so a
    file that a dead process left behind holds nobody up."""
    settings.checkpoints.mkdir(parents=True, exist_ok=True)
    path = settings.checkpoints / f"{work}.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise NotReady(f"another {work} (process {holder}) works on {settings.checkpoints}: wait for it to end, or stop it.") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
