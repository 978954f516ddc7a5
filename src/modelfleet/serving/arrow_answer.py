"""The answer to a chunk that came as an Arrow IPC stream: one such stream, a row for each of the chunk's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelfleet.serving.answer import ascii_json

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_MARK = b"\xff\xff\xff\xff"
"""The first bytes of an Arrow IPC stream; no JSON begins so."""

_TOLD = ("request_id", "fleet", "generation", "event_time", "processed_time", "process")
"""Keys of the schema's metadata, texts all of them; an event time that is not known is left out."""


@dataclass(frozen=True)
class ArrowAnswer:
    """The predictions of a chunk, in the order of its rows; all of them by one generation.

    Attributes:
        request_id: As in the chunk.
        fleet: Who answered.
        generation: The release that computed every row.
        rows: ``entity``, ``prediction``, ``score``, ``served_by`` and ``error`` of each row, as in ``ChunkAnswer``.
        event_time: ISO 8601 in UTC, as in the chunk; None where it had none.
        processed_time: ISO 8601 in UTC.
        process: The process that computed it, as its lease names it.
    """

    request_id: str
    fleet: str
    generation: int
    rows: pa.RecordBatch
    event_time: str | None
    processed_time: str
    process: str

    @property
    def predictions(self) -> int:
        """Number of rows that have one."""
        return int(self.rows.column("error").null_count)

    def to_message(self) -> bytes:
        """Return an Arrow IPC stream of one record batch; the schema's metadata has what is not of a row."""
        from modelfleet.data.arrow_stream import to_bytes

        told = {name: str(value) for name in _TOLD if (value := getattr(self, name)) is not None}
        return to_bytes(self.rows.replace_schema_metadata(told), compression=None)

    @classmethod
    def from_message(cls, message: bytes) -> ArrowAnswer:
        """Read what ``to_message`` wrote; columns and metadata added by later versions are ignored."""
        import pyarrow as pa

        with pa.ipc.open_stream(message) as reader:
            told = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
            rows = reader.read_next_batch().replace_schema_metadata(None)
        known = {name: told.get(name) for name in _TOLD if name != "generation"}
        return cls(**known, generation=int(told["generation"]), rows=rows)  # type: ignore[arg-type]

    def to_json(self) -> str:
        """Return the same as ``ChunkAnswer`` writes it, one line of JSON, for where only text can go."""
        document = {name: getattr(self, name) for name in _TOLD}
        return ascii_json(document | self.rows.to_pydict())


def is_arrow(message: bytes | str) -> bool:
    """Return whether a message is an Arrow IPC stream rather than JSON, by its first bytes."""
    return isinstance(message, bytes) and message.startswith(ARROW_MARK)
