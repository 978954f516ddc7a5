"""How far a partition has been read: the restriction of the Kafka source, which the engine keeps in its checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.restriction_trackers import OffsetRange
from apache_beam.transforms.core import RestrictionProvider

ENDLESS = 2**62

Partition = tuple[str, int, int]
"""Topic, number of the partition, and the offset at which reading it begins."""


class PositionTracker(RestrictionTracker):
    """Tracks the offset at which reading goes on.

    Beam's own tracker claims offset by offset and only ever upwards. This one claims a batch at once, by the offset
    after its last message, so a message costs nothing here; and that offset may be lower than the last one, which
    is where a topic begins that was deleted and made again.

    Args:
        restriction: From the next offset on; ends at ``ENDLESS``, or where an earlier part was cut off.
    """

    def __init__(self, restriction: OffsetRange) -> None:
        self._start = restriction.start
        self._next = restriction.start
        self._stop = restriction.stop

    def current_restriction(self) -> OffsetRange:
        """Return the offsets of this call; after ``try_split`` those that it has claimed."""
        return OffsetRange(self._start, self._stop)

    def try_claim(self, position: int) -> bool:
        """Claim everything up to an offset, exclusive.

        Args:
            position: Where reading goes on afterwards; ``ENDLESS`` where it never does.

        Returns:
            False once the rest has been given away.
        """
        if self._stop != ENDLESS:
            return False
        self._next = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[OffsetRange, OffsetRange] | None:
        """Give away what has not been claimed, whatever the fraction: the end of a partition is not known."""
        if self._stop != ENDLESS:
            return None
        # After a jump back the first part is empty; a range may not end before it begins
        self._start = min(self._start, self._next)
        self._stop = self._next
        return OffsetRange(self._start, self._next), OffsetRange(self._next, ENDLESS)

    def check_done(self) -> bool:
        """Return True where the rest was given away, or was all claimed.

        Raises:
            ValueError: A call ended without saying where to go on; its partition would never be read again.
        """
        if self._stop == ENDLESS != self._next:
            raise ValueError(f"offsets from {self._next} on were neither claimed nor deferred")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return offsets claimed, and one for the rest, whose length is not known."""
        return RestrictionProgress(completed=max(self._next - self._start, 0), remaining=1)

    def is_bounded(self) -> bool:
        """Return whether there is an end."""
        return bool(self._stop != ENDLESS)


class Positions(RestrictionProvider):
    """Begins every partition at the offset that came with it."""

    def initial_restriction(self, element: Partition) -> OffsetRange:
        """Return everything from the partition's first offset on."""
        return OffsetRange(element[2], ENDLESS)

    def create_tracker(self, restriction: OffsetRange) -> PositionTracker:
        """Return the tracker of one call."""
        return PositionTracker(restriction)

    def restriction_size(self, element: Partition, restriction: OffsetRange) -> int:
        """Return the same for all: how many messages wait is known to the broker only."""
        return 1

    def split(self, element: Partition, restriction: OffsetRange) -> Iterator[OffsetRange]:
        """Return it whole: a partition has one reader."""
        yield restriction

    def truncate(self, element: Partition, restriction: OffsetRange) -> Any:
        """Return nothing: a job that is drained stops reading; what it has not read waits for the next job."""
        return None
