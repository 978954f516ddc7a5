"""The watchdog: ends the process when a prediction takes too long, after writing down who was asked."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelfleet.serving.mark import MarkFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelfleet.bundles.shard_memory import Shard
    from modelfleet.serving.denylist import Denylist

logger = logging.getLogger(__name__)

EXIT_CODE = 75
"""Of a process that the watchdog ended: try again, as ``sysexits.h`` has it."""

GRACE = 2.0
"""After so many times the limit the process ends even where the watchdog itself does not get to run, because native
code hangs and never lets another thread of Python go on."""

_STDERR = 2


class Watchdog:
    """Watches every prediction of a process.

    Nothing can stop a thread that hangs in native code but the end of its process: whoever started the process starts
    it again and sends what it had not answered once more.

    Attributes:
        denylist: Where suspects go.
        one_suspect: Held while a suspect is asked alone, so that a process ends by one of them at a time.

    Args:
        denylist: Where suspects go.
        process: This process's name.
        limit_seconds: Longest prediction, by the monotonic clock.
        end: Ends the process; None means at once.
    """

    def __init__(
        self,
        denylist: Denylist,
        process: str,
        limit_seconds: float,
        *,
        end: Callable[[int], object] | None = None,
    ) -> None:
        self.denylist = denylist
        self.one_suspect = threading.Lock()
        self._limit = limit_seconds
        self._period = min(limit_seconds / 4, 1.0)
        self._end = end or _end_process
        self._marks = MarkFile(denylist.marks, process)
        self._since: dict[int, float] = {}  # by slot, of the predictions under way
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="modelfleet-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._put_off()  # before any prediction: a replayed request may hang before the thread first gets to run
        self._thread.start()

    @contextmanager
    def watching(self, generation: int, shard: Shard, model: NDArray[np.int32]) -> Iterator[None]:
        """Watch one call of a model file's predictor.

        Args:
            generation: The release that asks.
            shard: The file.
            model: (n,) rows of the file whose models are asked.
        """
        with self._marks.setting(generation, shard.file.sha256, shard.file.path, model) as slot:
            self._since[slot] = time.monotonic()
            try:
                yield
            finally:
                del self._since[slot]

    def close(self) -> None:
        """Stop watching; calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._marks.close()

    def _watch(self) -> None:
        try:
            while not self._closed.wait(self._period):
                self._put_off()
                now = time.monotonic()
                late = [slot for slot, since in list(self._since.items()) if now - since > self._limit]
                if late:
                    self._give_up(late)
                    return
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _put_off(self) -> None:
        """Let a thread of faulthandler's own, which needs no lock of Python's, end the process unless put off again."""
        faulthandler.dump_traceback_later(GRACE * self._limit + self._period, exit=True, file=_STDERR)

    def _give_up(self, late: list[int]) -> None:
        reason = f"the prediction took longer than {self._limit:g} s, so the process was ended"
        try:
            for slot in late:
                mark = self._marks.read(slot)
                if mark is not None:
                    self.denylist.accuse(mark, reason)
            self._marks.close()  # what others were predicting meanwhile is not to blame
            faulthandler.dump_traceback(file=_STDERR)
        except Exception:  # a full disk must not keep a hanging process alive; its mark stays, and tells as much
            logger.exception("the watchdog could not write down who was asked")
        finally:
            self._end(EXIT_CODE)


def _end_process(code: int) -> None:
    logging.shutdown()
    os._exit(code)
