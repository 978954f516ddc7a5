"""Keeping BLAS and OpenMP to one thread while many small models are fitted: their threads cost more than they save."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Blas:
    """The limit on BLAS, which is one for the whole process: set by the first thread to come, lifted by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None

    def enter(self, controller: Any) -> None:
        with self._lock:
            if self._users == 0:
                self._limit = controller.select(user_api="blas").limit(limits=1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limit.restore_original_limits()
                self._limit = None


_BLAS = _Blas()


@contextmanager
def one_thread(extra: str) -> Iterator[None]:
    """Limit BLAS (the whole process) and OpenMP (this thread) to one thread each.

    Several threads may be inside at once, and leave in any order: each fits its own shard.

    Args:
        extra: Which of modelfleet's extras brings threadpoolctl to who calls this.

    Raises:
        MissingExtraError: threadpoolctl is not installed.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError as error:
        raise MissingExtraError("threadpoolctl", extra) from error
    controller = ThreadpoolController()
    # selected first: a limiter puts back the number of threads of every library its controller knows
    with ExitStack() as leaving:
        leaving.enter_context(controller.select(user_api="openmp").limit(limits=1))
        _BLAS.enter(controller)
        leaving.callback(_BLAS.leave)
        yield
