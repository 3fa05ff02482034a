"""The shadow: the challenger scores a sample of the requests after the champion has answered, and nobody waits for it."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

#: requests that may wait for the challenger; beyond it they are not shadowed
_WAITING_AT_MOST = 16

log = logging.getLogger("shelfcast.serving")


class Shadow:
    """Runs a share of the tasks by one thread; what does not fit into its short queue is left out."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._room = threading.Semaphore(_WAITING_AT_MOST)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    def offer(self, task: Callable[[], None]) -> bool:
        """Run `task` later, if the dice and the queue allow; says whether it will run."""
        if random.random() >= self.share or not self._room.acquire(blocking=False):
            return False
        self._pool.submit(self._run, task)
        return True

    def stop(self) -> None:
        """Finish what was accepted."""
        self._pool.shutdown(wait=True)

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:  # a challenger may fail in any way; that is what the shadow is there to show
            log.exception("the shadow failed")
        finally:
            self._room.release()
