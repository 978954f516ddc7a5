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

CHUNKS = 256
"""Different chunks; making one costs as much as answering it, and the generator runs on the same machine."""

NO_TIME = b"yyyy-mm-ddThh:mm:ssZ"
"""Where the event time will be in an Arrow IPC stream, which has its length in it."""


@dataclass(frozen=True)
class Traffic:
    """What is asked for, the same for the same seed.

    Attributes:
        run: Begins every request id, so that what another load left is not taken for this one's.
        shops: Requests are about so many of them.
        zipf: Exponent of the shops' popularity; None means all alike.
        seed: Of the choice.
        rows: Rows per message: 1 for single requests, more for chunks.
        arrow: Whether chunks are Arrow IPC streams rather than JSON by column.
    """

    run: str
    shops: int
    zipf: float | None = None
    seed: int = 11
    rows: int = 1
    arrow: bool = False

    def messages(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the two halves of each message: what comes before the event time, and what comes after.

        An event time has 20 characters, such as 2026-01-31T12:00:00Z.

        Args:
            count: Number of messages.
        """
        if self.rows > 1:
            yield from self._chunks(count)
            return
        values = self._values()
        texts = [", ".join(f'"{f}": {v}' for f, v in zip(FEATURES, row, strict=True)).encode() for row in values]
        for number, asked in enumerate(self.chosen(count).tolist()):
            body = texts[(asked + number) % BODIES]
            tail = b'", "row": {"%s": "%s", %s}}' % (ENTITY.encode(), shop(asked).encode(), body)
            yield _head(request_id(self.run, number)), tail

    def _chunks(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        kinds = min(count, CHUNKS)
        chosen, values = self.chosen(kinds * self.rows), self._values()
        name = request_id(self.run, 0)
        bodies: list[bytes] = []
        for asked in np.split(chosen, kinds):
            rows = values[(asked + len(bodies)) % BODIES]
            shops = [shop(who) for who in asked.tolist()]
            bodies.append(_arrow(name, shops, rows) if self.arrow else _json(shops, rows))
        for number in range(count):
            each, body = request_id(self.run, number), bodies[number % kinds]
            if self.arrow:
                head, _, tail = body.replace(name, each).partition(NO_TIME)
                yield head, tail
            else:
                yield _head(each), body

    def _values(self) -> NDArray[np.float64]:
        return np.random.default_rng(self.seed).random((BODIES, len(FEATURES))).round(6)

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Return the shop of each of so many rows."""
        random = np.random.default_rng(self.seed)
        if self.zipf is None:
            return random.integers(0, self.shops, count)
        weights = np.cumsum(1.0 / np.arange(1, self.shops + 1) ** self.zipf)
        ranks = np.searchsorted(weights, random.random(count) * weights[-1])
        return random.permutation(self.shops)[ranks]  # what is popular lies in any shard


def _head(name: bytes) -> bytes:
    return b'{"request_id": "%s", "event_time": "' % name


def _json(shops: list[str], rows: NDArray[np.float64]) -> bytes:
    columns = {ENTITY: shops} | dict(zip(FEATURES, rows.T.tolist(), strict=True))
    return b'", "columns": %s}' % json.dumps(columns).encode()


def _arrow(name: bytes, shops: list[str], rows: NDArray[np.float64]) -> bytes:
    import pyarrow as pa

    from modelfleet.data.arrow_stream import to_bytes

    columns = [pa.array(shops), *(pa.array(column) for column in rows.T)]
    told = {b"request_id": name, b"event_time": NO_TIME}
    batch = pa.record_batch(columns, [ENTITY, *FEATURES]).replace_schema_metadata(told)
    return to_bytes(batch, compression=None)


def request_id(run: str, number: int) -> bytes:
    """Return the id of a request of a load."""
    return b"%s-%08d" % (run.encode(), number)


def number_of(request_id: str) -> int:
    """Return the number of a request by its id."""
    return int(request_id[-8:])
