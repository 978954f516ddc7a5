"""Whatever comes as Arrow, it is a chunk that can be answered or a dead letter with the reason; nothing raises."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.arrow_columns import MAX_WRITTEN
from modelfleet.serving.chunk import MAX_CHUNK_ID, MAX_ROWS, Chunk
from modelfleet.serving.chunk_answer import answer_chunks
from modelfleet.serving.loading import LoadedFleet
from modelfleet.serving.message import parse_message, read_message
from modelfleet.serving.request import MAX_BYTES, BadRequestError
from tests.serving.arrow_streams import stream

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROW = {"store": ["a"], "x": [1.0]}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (stream(ROW, {}), "the schema's metadata has no request_id"),
        (stream(ROW, {"request_id": ""}), "must have 1 to 250 characters, but has 0"),
        (stream(ROW, {"request_id": "x" * (MAX_CHUNK_ID + 1)}), "but has 251"),
        (stream(ROW, {"request_id": b"\xff"}), "request_id in the schema's metadata is not UTF-8"),
        (stream(ROW, {"request_id": "c", "event_time": "soon"}), "event_time is not an ISO 8601 time"),
        (stream(pa.table([[1], [2]], names=["x", "x"])), 'the column "x" is there twice'),
        (stream(pa.table({"x": pa.array([], pa.int64())})), "the chunk has 0 rows"),
        (stream(pa.table({"x": [1, 2]}).select([])), "the chunk has 0 rows"),
        (stream(pa.table({"x": pa.nulls(MAX_ROWS + 1)})), f"more than {MAX_ROWS} rows"),
        (stream({"x": ["a" * 100] * 100}, compression="zstd"), "the request's buffers are compressed"),
        (stream({"x": ["a" * 100] * 100}, compression="lz4"), "the request's buffers are compressed"),
        (stream(ROW)[:-40], "cannot be read as one"),
        (b"\xff\xff\xff\xff", "cannot be read as one"),
        (b"\xff\xff\xff\xffhello", "cannot be read as one"),
        (stream({"x" * 6_000: pa.nulls(MAX_ROWS)}), "if each row were written alone, more than the limit"),
        (stream({"x": ["a" * 1_000_000]}), "more than the limit of 1000000"),
    ],
)
def test_what_is_no_chunk_is_a_dead_letter_with_the_reason(message: bytes, reason: str) -> None:
    letter = read_message(message, now=NOW)
    assert isinstance(letter, DeadLetter)
    assert reason in letter.reason
    assert letter.stage == "parse"
    assert letter.original_bytes() == message
    assert base64.b64decode(letter.original) == message


def test_a_compressed_dictionary_is_refused_too() -> None:
    column = pa.array(["a" * 1000, "b"] * 50).dictionary_encode()
    with pytest.raises(BadRequestError, match="compressed"):
        parse_message(stream({"x": column}, compression="zstd"))


def test_a_text_that_is_not_utf8_is_no_chunk() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    with pytest.raises(BadRequestError, match="UTF"):
        parse_message(stream({"x": bad}))


def test_a_type_that_json_has_no_value_for_is_told_by_its_column() -> None:
    for odd in (
        pa.array([[1]], pa.list_(pa.int64())),
        pa.array([{"k": 1}], pa.struct([("k", pa.int64())])),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["k", "k"]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array(["a"], pa.string_view()),
        pa.array([2**62], pa.duration("s")),
        pa.array([1]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays([1], [5]),
    ):
        with pytest.raises(BadRequestError, match=r'column "odd" has the type .*: expected numbers') as caught:
            parse_message(stream({"store": ["a"], "odd": odd}))
        assert caught.value.request_id == "c-1"


@pytest.mark.parametrize(
    "times",
    [
        pa.array([2**60], pa.timestamp("s")),
        pa.array([-(2**60)], pa.timestamp("us", "UTC")),
        pa.array([1], pa.timestamp("s", "Nowhere/City")),
        pa.array([2**30], pa.date32()),
    ],
)
def test_a_time_that_nobody_can_have_is_told_by_its_column(times: pa.Array) -> None:
    with pytest.raises(BadRequestError, match='column "when" has a value that is no '):
        parse_message(stream({"store": ["a"], "when": times}))


def test_what_would_be_gigabytes_written_out_is_refused() -> None:
    n = MAX_ROWS
    large_text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int8)), ["x" * 900_000])
    nothing = pa.table({f"n{i}": pa.nulls(n) for i in range(1_500)})
    for message in (stream({"store": large_text}), stream(nothing)):
        assert len(message) < MAX_BYTES
        with pytest.raises(BadRequestError, match=f"written out, more than the limit {MAX_WRITTEN}"):
            parse_message(message)


def test_arrow_from_before_compression_was_told_is_refused() -> None:
    old = stream(ROW, metadata_version=pa.ipc.MetadataVersion.V4)
    with pytest.raises(BadRequestError, match=r"from before 1\.0"):
        parse_message(old)


TYPES = st.recursive(
    st.sampled_from(
        [
            pa.null(), pa.bool_(), pa.int8(), pa.int64(), pa.uint64(),
            pa.float64(), pa.string(), pa.large_string(), pa.float16(), pa.float32(), pa.date32(),
            pa.date64(), pa.timestamp("s"), pa.duration("ns"),
            pa.timestamp("us", "UTC"), pa.timestamp("ns", "Nowhere"), pa.time64("us"),
            pa.decimal128(38, 5), pa.binary(),
            pa.binary(3), pa.string_view(), pa.month_day_nano_interval(), pa.dictionary(pa.int32(), pa.large_string()),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(pa.list_), inner.map(lambda kind: pa.struct([("k", kind), ("k", kind)])),
        inner.map(lambda kind: pa.map_(pa.string(), kind)), inner.map(lambda kind: pa.list_(kind, 2)),
    ),
    max_leaves=3,
)  # fmt: skip


@settings(max_examples=200)
@given(
    kinds=st.lists(TYPES, min_size=5, max_size=5), rows=st.integers(1, 4), bits=st.binary(min_size=200, max_size=200)
)
def test_columns_of_any_type_and_any_bits_are_answered_or_told(
    mixed: LoadedFleet, kinds: list[pa.DataType], rows: int, bits: bytes
) -> None:
    """What passes the check is predicted: nothing may raise later than in the check."""
    names = ["store", "x", "colour", "count", "open"]
    columns = []
    for kind in kinds:
        if kind.num_fields or pa.types.is_dictionary(kind) or kind.num_buffers != 2:
            columns.append(pa.nulls(rows).cast(kind))
        else:
            columns.append(pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(bits)]))
    read = read_message(stream(pa.table(columns, names=names)), now=NOW)
    if isinstance(read, Chunk):
        (outcome,) = answer_chunks(mixed, [read], fleet="sales", process="p", now=NOW)
        assert outcome.answers[0].predictions + len(outcome.dead_letters) == rows
        json.loads(outcome.answers[0].to_json())


GOOD = [
    stream({"store": ["a", "b"], "x": [1.0, None], "colour": ["red", "1"], "count": [1, 2], "open": [True, None]}),
    stream({"store": pa.array(["a", "b", "a"]).dictionary_encode(), "x": pa.array([1, 2, 3], pa.timestamp("us"))}),
    stream(
        {"store": [b"a"], "x": [Decimal("1.5")], "colour": [date(2026, 1, 2)], "count": pa.nulls(1), "open": ["no"]}
    ),
]


@settings(max_examples=400)
@given(data=st.data())
def test_no_bytes_raise_anything_but_their_reason(mixed: LoadedFleet, data: st.DataObject) -> None:
    message = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(4, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.just(len(message)) | st.integers(4, len(message)))
    read = read_message(bytes(message[:cut]), now=NOW)
    assert isinstance(read, Chunk | DeadLetter)
    if isinstance(read, Chunk):
        assert 1 <= len(read) <= MAX_ROWS
        (outcome,) = answer_chunks(mixed, [read], fleet="sales", process="p", now=NOW)
        assert outcome.answers[0].predictions + len(outcome.dead_letters) == len(read)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_mark(data: bytes) -> None:
    assert isinstance(read_message(b"\xff\xff\xff\xff" + data, now=NOW), DeadLetter)
