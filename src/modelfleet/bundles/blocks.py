"""Blocks: a model file has its models in pieces that can be read one by one, where the whole fleet has no room.

A block is a record batch of the Arrow file. The file as a whole is checked against the manifest's hash once, and from
those very bytes each block gets a hash of its own, which lives in memory: a block that is read later is used only if
its bytes are still the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BLOCK_BYTES = 65_536
"""About so many bytes of models are in a block, before compression: a hundred trees of 100 rows, or one large model."""

_ALONE = pa.ipc.IpcReadOptions(use_threads=False)  # handing a block's columns to threads takes as long as reading it
_HEAD = 8  # an Arrow file begins with so many bytes that are no message


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where the blocks of a model file are, and what must be there.

    Attributes:
        entities: Whose the models are, row by row of the file; nothing after ``without_entities``.
        head: What the file says of its columns, as Arrow encodes it.
        bounds: (blocks, 2) int64: where each begins and ends in the file, in bytes.
        rows: (blocks + 1,) int32, ascending from 0: rows ``rows[b]:rows[b + 1]`` of the file are in block b.
        hashes: SHA-256 of each block's bytes, one after the other.
    """

    entities: pa.ChunkedArray
    head: bytes
    bounds: NDArray[np.int64]
    rows: NDArray[np.int32]
    hashes: bytes

    @classmethod
    def find(cls, data: bytes, entities: pa.ChunkedArray) -> Blocks | None:
        """Return the blocks of a file.

        Args:
            data: The whole file, its hash and its header checked.
            entities: Its first column, in a chunk per record batch.

        Returns:
            The blocks; None where they cannot be read one by one, since they share dictionaries.
        """
        source = pa.BufferReader(data)
        source.seek(_HEAD)
        messages = pa.ipc.MessageReader.open_stream(source)
        messages.read_next_message()
        head = data[_HEAD : source.tell()]
        bounds: list[tuple[int, int]] = []
        while len(bounds) < entities.num_chunks:
            begin = source.tell()
            if messages.read_next_message().type != "record batch":
                return None
            bounds.append((begin, source.tell()))
        sizes = [len(chunk) for chunk in entities.chunks]
        return cls(
            entities,
            head,
            np.array(bounds, np.int64).reshape(-1, 2),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
            b"".join(hashlib.sha256(memoryview(data)[begin:end]).digest() for begin, end in bounds),
        )

    def __len__(self) -> int:
        return len(self.bounds)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without those of the head, which many files share."""
        return int(self.entities.nbytes + self.bounds.nbytes + self.rows.nbytes + len(self.hashes))

    def without_entities(self, others: Iterable[Blocks]) -> Blocks:
        """Return the same, for keeping: without what the index knows, and with another's equal head."""
        head = next((one.head for one in others if one.head == self.head), self.head)
        return replace(self, entities=self.entities.slice(0, 0), head=head)

    def holds(self, number: int, data: bytes) -> bool:
        """Return whether bytes are those of a block."""
        size = hashlib.sha256().digest_size
        return hashlib.sha256(data).digest() == self.hashes[number * size : (number + 1) * size]

    def models(self, number: int, data: bytes, where: str) -> pa.Table:
        """Return the models of a block, from its bytes.

        Raises:
            BundleError: They cannot be read.
        """
        try:
            with pa.ipc.open_stream(pa.py_buffer(self.head + data), options=_ALONE) as stream:
                batch = stream.read_next_batch()
            batch.validate()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BundleError(f"{where}: block {number} cannot be read ({error})") from error
        return pa.Table.from_batches([batch])


def block_rows(models: pa.Table) -> int:
    """Return how many rows of a table of models make a block."""
    rows, nbytes = int(models.num_rows), int(models.nbytes)
    return max(BLOCK_BYTES * rows // max(nbytes, 1), 1)
