"""Whether the body of an Arrow IPC stream is compressed: pyarrow would unpack it without saying so.

Formats: Message.fbs of https://arrow.apache.org/docs/format/Columnar.html, and https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from modelfleet.serving.request import BadRequestError

if TYPE_CHECKING:
    import pyarrow as pa

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
"""Kinds of messages with a body."""

_KIND, _HEADER = 1, 2
"""Fields of a message."""

_DATA_OF_DICTIONARY, _COMPRESSION = 1, 3
"""Fields of a dictionary batch and of a record batch."""


def refuse_compressed(message: bytes) -> None:
    """Refuse a stream whose buffers are compressed: a few bytes may become any number.

    Args:
        message: A stream; pyarrow checks what is looked at here.

    Raises:
        BadRequestError: It is compressed, or as old as the time when this was told elsewhere.
        pyarrow.ArrowException, struct.error: It is no stream.
    """
    import pyarrow as pa

    for each in pa.ipc.MessageReader.open_stream(message):
        if each.metadata_version != pa.ipc.MetadataVersion.V5:
            raise BadRequestError("the request is in the Arrow format from before 1.0; send metadata version 5")
        if _is_compressed(each):
            raise BadRequestError("the request's buffers are compressed; send them as they are, and let Kafka compress")


def _is_compressed(message: pa.Message) -> bool:
    table = _Table(message.metadata.to_pybytes())
    kind, header = table.byte(_KIND), table.table(_HEADER)
    if kind == _DICTIONARY_BATCH and header is not None:
        header = header.table(_DATA_OF_DICTIONARY)
    has_body = kind in {_DICTIONARY_BATCH, _RECORD_BATCH}
    return has_body and header is not None and header.table(_COMPRESSION) is not None


class _Table:
    """A table of a flatbuffer, of which only a few fields are looked at."""

    def __init__(self, buffer: bytes, position: int | None = None) -> None:
        self._buffer = buffer
        self._position = _number("<I", buffer, 0) if position is None else position

    def byte(self, field: int) -> int:
        at = self._place(field)
        return _number("<B", self._buffer, at) if at else 0

    def table(self, field: int) -> _Table | None:
        at = self._place(field)
        return _Table(self._buffer, at + _number("<I", self._buffer, at)) if at else None

    def _place(self, field: int) -> int:
        """Return where a field is, 0 where it is absent."""
        described = self._position - _number("<i", self._buffer, self._position)
        slot = 4 + 2 * field
        if slot >= _number("<H", self._buffer, described):
            return 0
        offset = _number("<H", self._buffer, described + slot)
        return self._position + offset if offset else 0


def _number(kind: str, buffer: bytes, position: int) -> int:
    return int(struct.unpack_from(kind, buffer, position)[0])
