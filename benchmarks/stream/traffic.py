"""The requests of a load: which shop each is about, what its row holds, what it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.stream.shops import ENTITY, FEATURES, shop

BODIES = 997
"""Different rows; a shop's number and a request's choose among them."""


@dataclass(frozen=True)
class Traffic:
    """What is asked for, the same for the same seed.

    Attributes:
        run: Begins every request id, so that what another load left is not taken for this one's.
        shops: Requests are about so many of them.
        zipf: Exponent of the shops' popularity; None means all alike.
        seed: Of the choice.
        rows: Rows per message: 1 for single requests, more for chunks.
    """

    run: str
    shops: int
    zipf: float | None = None
    seed: int = 11
    rows: int = 1

    def messages(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the two halves of each message's JSON: what comes before the event time, and what comes after.

        Args:
            count: Number of messages.
        """
        chosen = self.chosen(count * self.rows).tolist()
        make = self._row if self.rows == 1 else self._columns
        values = np.random.default_rng(self.seed).random((BODIES, len(FEATURES))).round(6)
        texts = [", ".join(f'"{f}": {v}' for f, v in zip(FEATURES, row, strict=True)).encode() for row in values]
        for number in range(count):
            head = b'{"request_id": "%s", "event_time": "' % request_id(self.run, number)
            asked = chosen[number * self.rows : (number + 1) * self.rows]
            yield head, make(asked, number, texts, values)

    def _row(self, asked: list[int], number: int, texts: list[bytes], values: NDArray[np.float64]) -> bytes:
        body = texts[(asked[0] + number) % BODIES]
        return b'", "row": {"%s": "%s", %s}}' % (ENTITY.encode(), shop(asked[0]).encode(), body)

    def _columns(self, asked: list[int], number: int, texts: list[bytes], values: NDArray[np.float64]) -> bytes:
        rows = values[(np.array(asked) + number) % BODIES]
        columns = {ENTITY: [shop(who) for who in asked]} | dict(zip(FEATURES, rows.T.tolist(), strict=True))
        return b'", "columns": %s}' % json.dumps(columns).encode()

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Return the shop of each of so many rows."""
        random = np.random.default_rng(self.seed)
        if self.zipf is None:
            return random.integers(0, self.shops, count)
        weights = np.cumsum(1.0 / np.arange(1, self.shops + 1) ** self.zipf)
        ranks = np.searchsorted(weights, random.random(count) * weights[-1])
        return random.permutation(self.shops)[ranks]  # what is popular lies in any shard


def request_id(run: str, number: int) -> bytes:
    """Return the id of a request of a load."""
    return b"%s-%08d" % (run.encode(), number)


def number_of(request_id: str) -> int:
    """Return the number of a request by its id."""
    return int(request_id[-8:])
