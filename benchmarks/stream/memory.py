"""Memory of the processes that serve: what is theirs alone, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Memory:
    """Memory of some processes, in bytes.

    Attributes:
        private: Theirs alone (USS).
        shared: Pages that others have mapped too, such as libraries (RSS less USS). Not by their share (PSS), which
            falls and rises with what else runs on the machine.
    """

    private: int
    shared: int


def memory_of(processes: Iterable[int]) -> Memory:
    """Return the memory of processes together; one that has just ended counts as nothing.

    Args:
        processes: Their ids.
    """
    import psutil

    private = shared = 0
    for process in processes:
        try:
            found = psutil.Process(process).memory_full_info()
        except psutil.NoSuchProcess:
            continue
        private += found.uss
        shared += found.rss - found.uss
    return Memory(private, shared)


def growth(samples: Sequence[int], first: int) -> list[float]:
    """Return the levels of the later samples over the one they began with.

    Single samples jump: while a release is loaded the old one is still there. So a level is a median of five.

    Args:
        samples: One after each swap.
        first: Swaps after which growth counts.
    """
    levels = [median(samples[i : i + 5]) for i in range(first, max(len(samples) - 4, first + 1))]
    return [level / levels[0] for level in levels]
