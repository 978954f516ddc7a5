"""Packs: lines that were read together and travel as one element, since an element has its price whatever it holds.

Between two steps that the engine runs apart an element is encoded, handed over, counted and decoded, twice: more work
than reading and predicting a small request. A pack pays that once for all its lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Pack = list[bytes]
"""The lines, in the order in which they were read; not empty."""


@dataclass(frozen=True)
class Packing:
    """How large a pack may become.

    Attributes:
        lines: Most lines.
        nbytes: Most bytes of them together; a longer line is a pack of its own.
    """

    lines: int = 256
    nbytes: int = 1_000_000

    def pack(self, lines: Sequence[bytes]) -> Iterator[tuple[int, Pack]]:
        """Yield packs of some lines in their order, each with the position of its first line."""
        first = held = 0
        for position, line in enumerate(lines):
            if position > first and (position - first >= self.lines or held + len(line) > self.nbytes):
                yield first, list(lines[first:position])
                first, held = position, 0
            held += len(line)
        if len(lines) > first:
            yield first, list(lines[first:])
