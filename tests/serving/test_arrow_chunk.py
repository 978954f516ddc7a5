"""A chunk as an Arrow IPC stream is answered as the same rows in JSON would be, by one message of its own kind."""

from __future__ import annotations

import json
import pickle
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.data.text import as_text
from modelfleet.serving.arrow_answer import ArrowAnswer
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.chunk_answer import ChunkAnswer, ChunkOutcome, answer_chunks, read_answer
from modelfleet.serving.loading import LoadedFleet, load_bundle
from modelfleet.serving.message import parse_message
from modelfleet.serving.request_pack import PackOutcome, RequestPack
from tests.serving.arrow_streams import TOLD, stream

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEXTS = st.sampled_from(["a", "b", " a ", "red", "?", "", "1", "1.0", "true", "no", "13", "é"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=3
)
CELLS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.dictionary(pa.int8(), pa.string()): TEXTS,
    pa.bool_(): st.booleans(),
    pa.int64(): st.integers(-(10**15), 10**15) | st.sampled_from([0, 1, 13, 10**18, -(2**63)]),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False, width=64) | st.sampled_from([1.0, 13.0, 666.0]),
    pa.int32(): st.integers(-5, 5),
    pa.uint64(): st.sampled_from([0, 10**18 - 1, 10**18, 2**64 - 1]),
    pa.null(): st.none(),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Some rows whose columns are each of one type, any of them."""
    n = draw(st.integers(1, 8))
    columns = {}
    for name in ("store", "x", "colour", "count", "open"):
        usual = {
            "store": pa.string(),
            "x": pa.float64(),
            "colour": pa.string(),
            "count": pa.int64(),
            "open": pa.bool_(),
        }
        kind = draw(st.just(usual[name]) | st.sampled_from(list(CELLS)))
        values = draw(st.lists(st.none() | CELLS[kind], min_size=n, max_size=n))
        columns[name] = pa.array(values, kind)
    return pa.table(columns)


def in_json(table: pa.Table, **changes: Any) -> bytes:
    return json.dumps(TOLD | {"columns": table.to_pydict()} | changes).encode()


def load(bundle: Any) -> LoadedFleet:
    return load_bundle(bundle, fleet="sales", generation=7)


def answered(fleet: LoadedFleet, *messages: bytes) -> list[ChunkOutcome]:
    chunks = [parse_message(message) for message in messages]
    assert all(isinstance(chunk, Chunk) for chunk in chunks)
    return list(answer_chunks(fleet, chunks, fleet="sales", process="p", now=NOW))


def as_lists(outcome: ChunkOutcome) -> dict[str, Any]:
    (answer,) = outcome.answers
    return json.loads(answer.to_json())


@settings(max_examples=150)
@given(table=tables())
def test_an_arrow_chunk_is_answered_as_the_same_rows_in_json(mixed: LoadedFleet, table: pa.Table) -> None:
    (arrow,), (plain,) = answered(mixed, stream(table)), answered(mixed, in_json(table))
    assert as_lists(arrow) == as_lists(plain)
    assert arrow.dead_letters == plain.dead_letters


@settings(max_examples=60)
@given(st.lists(st.tuples(tables(), st.booleans()), max_size=4))
def test_chunks_of_a_batch_are_answered_as_if_each_came_alone(
    mixed: LoadedFleet, chunks: list[tuple[pa.Table, bool]]
) -> None:
    messages = [stream(table) if as_arrow else in_json(table) for table, as_arrow in chunks]
    assert answered(mixed, *messages) == [outcome for message in messages for outcome in answered(mixed, message)]


def test_the_answer_is_one_message_of_arrow(mixed: LoadedFleet) -> None:
    rows = {"store": ["a", "new", None], "x": [1.0, 2.0, 3.0], "colour": ["red"] * 3, "count": [1] * 3}
    (outcome,) = answered(mixed, stream(rows | {"open": [True] * 3}))
    (answer,) = outcome.answers
    message = answer.to_message()
    assert read_answer(message) == answer
    with pa.ipc.open_stream(message) as reader:
        told, table = reader.schema.metadata, reader.read_all()
    assert told[b"request_id"] == b"c-1"
    assert told[b"generation"] == b"7"
    assert told[b"event_time"] == b"2026-01-31T12:00:00+00:00"
    assert table["entity"].to_pylist() == ["a", "new", None]
    assert table["served_by"].to_pylist() == ["entity", "pooled", None]
    assert table["prediction"].null_count == 1
    assert table["error"].to_pylist() == [None, None, "the row belongs to no entity: 'store' must not be empty"]
    assert answer.predictions == 2
    assert ChunkAnswer.from_json(answer.to_json()).predictions == 2


def test_classes_and_scores(shop: Any) -> None:
    schema = shop.schema(task="binary", classes=("no", "yes"))
    fleet = load(shop.bundle(schema=schema, shards={0: {"a": 0.75}}))
    table = pa.table({"store": ["a", "a"], "x": [1.0, None], "colour": ["red", "x"]})
    (arrow,), (plain,) = answered(fleet, stream(table)), answered(fleet, in_json(table))
    assert as_lists(arrow) == as_lists(plain)
    assert set(as_lists(arrow)["prediction"]) <= {"no", "yes"}


def test_a_bad_row_is_a_dead_letter_that_can_be_sent_again(mixed: LoadedFleet) -> None:
    rows = {"store": ["a", "b"], "x": ["1.5", "many"], "colour": ["red"] * 2, "count": [1] * 2, "open": [True] * 2}
    (outcome,) = answered(mixed, stream(rows))
    (letter,) = outcome.dead_letters
    assert letter.reason == "column 'x' is 'many': expected a number"
    assert (letter.request_id, letter.row, letter.entity, letter.generation) == ("c-1", 1, "b", 7)
    assert json.loads(letter.original)["row"] == {name: values[1] for name, values in rows.items()}
    assert json.loads(letter.original)["request_id"] == "c-1#1"


def test_a_column_that_is_not_there_fails_every_row_by_its_name(mixed: LoadedFleet) -> None:
    (outcome,) = answered(mixed, stream({"store": ["a"], "colour": ["red"], "count": [1], "open": [True], "y": [1.0]}))
    assert "the row has no column 'x'" in outcome.dead_letters[0].reason


def test_days_and_exact_numbers_are_what_their_texts_are(mixed: LoadedFleet) -> None:
    rows = {"store": [date(2026, 1, 2)], "x": [Decimal("1.5")], "colour": [b"red"], "count": [1], "open": [True]}
    (outcome,) = answered(mixed, stream(rows))
    found = as_lists(outcome)
    assert (found["entity"], found["error"]) == (["2026-01-02"], [None])


def test_an_entity_that_is_a_time_is_the_one_that_data_files_have(shop: Any) -> None:
    when = pa.array([datetime(2026, 1, 2, 3)], pa.timestamp("us"))
    (text,) = as_text(when).to_pylist()
    fleet = load(shop.bundle(shards={0: {text: 5.0}}))
    (outcome,) = answered(fleet, stream(pa.table({"store": when, "x": [1.0], "colour": ["red"]})))
    found = as_lists(outcome)
    assert (found["entity"], found["prediction"], found["served_by"]) == ([text], [6.0], ["entity"])


def test_a_pack_crosses_processes_as_its_messages(mixed: LoadedFleet) -> None:
    row = {"store": ["a"], "x": [1.0], "colour": ["red"], "count": [1], "open": [True]}
    messages = [stream(row), in_json(pa.table(row))]
    pack = RequestPack(tuple(parse_message(message) for message in messages))
    again = pickle.loads(pickle.dumps(pack))
    assert [request.original for request in again.requests] == messages
    outcome = PackOutcome.of(answered(mixed, *messages))
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert isinstance(outcome.answers[0], ArrowAnswer)


class Topic:
    """What the page's programs send to, and read from."""

    def __init__(self, message: bytes = b"") -> None:
        self.message = message

    def produce(self, topic: str, message: bytes) -> None:
        self.message = message

    def value(self) -> bytes:
        return self.message


def test_the_programs_of_the_page_about_requests_send_and_read(shop: Any) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "requests.md").read_text()
    producer_code, consumer_code = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"producer": Topic()}
    exec(producer_code, names)
    (outcome,) = answered(load(shop.bundle()), names["producer"].message)
    names["message"] = Topic(outcome.answers[0].to_message())
    exec(consumer_code, names)
    assert names["generation"] == 7
    assert names["answers"].column_names == ["entity", "prediction", "score", "served_by", "error"]
    assert names["answers"]["served_by"].to_pylist() == ["entity", "entity"]
