"""A chunk's rows are answered as if each had come alone, whatever they hold, by one message."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.data.schema import Feature
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk import MAX_ROWS, Chunk
from modelfleet.serving.chunk_answer import ChunkAnswer, ChunkOutcome, answer_chunks, read_answer
from modelfleet.serving.loading import LoadedFleet, load_bundle
from modelfleet.serving.message import parse_message, read_message
from modelfleet.serving.predict import Failure, Prediction, predict_rows
from modelfleet.serving.request import BadRequestError, parse_request
from modelfleet.spec.data import ColumnType

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
CELLS = (
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.sampled_from(["a", "b", " a ", "red", "?", "", "1", "1.0", "true", "yes", 1, 1.0, True, 13.0, 666.0, 10**19])
    | st.lists(st.integers(), max_size=2) | st.dictionaries(st.just("k"), st.integers(), max_size=1)
)  # fmt: skip


def load(bundle: Any) -> LoadedFleet:
    return load_bundle(bundle, fleet="sales", generation=7)


def line(**changes: Any) -> bytes:
    document = {"request_id": "c-1", "event_time": "2026-01-31T12:00:00Z"} | changes
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def by_column(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def answered(fleet: LoadedFleet, data: bytes) -> ChunkOutcome:
    chunk = parse_message(data)
    assert isinstance(chunk, Chunk)
    return next(answer_chunks(fleet, [chunk], fleet="sales", process="p", now=NOW))


def outcomes(answer: ChunkAnswer) -> list[tuple[Any, ...]]:
    return list(
        zip(
            answer.entity, answer.prediction, answer.score, answer.served_by, [e is None for e in answer.error],
            strict=True,
        )
    )  # fmt: skip


def alone(result: Prediction | Failure) -> tuple[Any, ...]:
    if isinstance(result, Failure):
        return result.entity, None, None, None, False
    return result.entity, result.prediction, result.score, result.served_by, True


ROW = st.fixed_dictionaries(dict.fromkeys(("store", "x", "colour", "count", "open"), CELLS))
"""Rows whose values are of every kind."""

USUAL = st.fixed_dictionaries(
    {
        "store": st.sampled_from(["a", "b", "c", "new"]),
        "x": st.none() | st.floats(-1e6, 1e6),
        "colour": st.sampled_from(["red", "blue", "?", "green", None]),
        "count": st.none() | st.integers(-5, 5),
        "open": st.none() | st.booleans(),
    }
)
"""Rows whose columns are each of one kind, as nearly all are: they take the short way."""


@settings(max_examples=150)
@given(st.lists(ROW, min_size=1, max_size=6) | st.lists(USUAL, min_size=1, max_size=12))
def test_rows_in_a_chunk_are_answered_as_if_they_came_alone(mixed: LoadedFleet, rows: list[dict[str, Any]]) -> None:
    alike = [parse_request(line(row=row)).row for row in rows]
    expected = [alone(result) for result in predict_rows(mixed, alike)]
    for data in (line(rows=rows), line(columns=by_column(rows))):
        outcome = answered(mixed, data)
        assert outcomes(outcome.answers[0]) == expected
        assert [letter.row for letter in outcome.dead_letters] == [i for i, one in enumerate(expected) if not one[4]]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.lists(ROW | USUAL, min_size=1, max_size=4), st.booleans(), st.booleans()), max_size=5))
def test_chunks_of_a_batch_are_answered_as_if_each_came_alone(
    mixed: LoadedFleet, chunks: list[tuple[list[dict[str, Any]], bool, bool]]
) -> None:
    lines = []
    for rows, as_columns, fewer in chunks:
        kept = [{name: value for name, value in row.items() if not (fewer and name == "x")} for row in rows]
        lines.append(line(columns=by_column(kept)) if as_columns else line(rows=kept))
    parsed = [parse_message(data) for data in lines]
    together = list(answer_chunks(mixed, parsed, fleet="sales", process="p", now=NOW))
    assert together == [answered(mixed, data) for data in lines]


@pytest.mark.parametrize("shape", ["rows", "columns"])
def test_a_bad_row_is_an_error_in_its_place_and_a_dead_letter_of_its_own(shop: Any, shape: str) -> None:
    rows = [{"store": "a", "x": 1, "colour": "red"}, {"store": "b", "x": "many", "colour": "red"}]
    rows += [{"store": None, "x": 1, "colour": "red"}, {"store": "new", "x": 2.5, "colour": "red"}]
    fleet = load(shop.bundle())
    outcome = answered(fleet, line(**{shape: rows if shape == "rows" else by_column(rows)}))
    answer = outcome.answers[0]
    assert answer.prediction == [101.0, None, None, 1002.5]
    assert answer.served_by == ["entity", None, None, "pooled"]
    assert answer.entity == ["a", "b", None, "new"]
    assert answer.error[1] == "column 'x' is 'many': expected a number"
    assert "belongs to no entity" in str(answer.error[2])
    assert (answer.request_id, answer.generation, answer.event_time) == ("c-1", 7, "2026-01-31T12:00:00+00:00")
    first, second = outcome.dead_letters
    assert (first.request_id, first.row, first.entity, first.reason) == ("c-1", 1, "b", answer.error[1])
    again = parse_request(first.original_bytes())  # it can be mended and sent alone
    assert (again.request_id, again.row, again.event_time) == ("c-1#1", rows[1], parse_message(line(row={})).event_time)
    assert second.row == 2
    assert DeadLetter.from_json(first.to_json()) == first


def test_an_absent_column_fails_the_rows_whose_models_need_it(shop: Any) -> None:
    wide = shop.schema(features=(*shop.schema().features, Feature(name="new", type=ColumnType.NUMBER)))
    fleet = load(shop.bundle(schemas={1: wide}))
    columns = {"store": ["a", "c", "b"], "x": [1, 1, 1], "colour": ["red"] * 3}
    answer = answered(fleet, line(columns=columns)).answers[0]
    assert answer.prediction == [101.0, None, 201.0]
    assert "the row has no column 'new'" in str(answer.error[1])
    answer = answered(fleet, line(columns={"shop": ["a"], "x": [1], "colour": ["red"]})).answers[0]
    assert "no column 'store', which says whose it is" in str(answer.error[0])


def test_a_row_that_is_no_row_fails_alone(shop: Any) -> None:
    rows = [7, {"store": "a", "x": 1, "colour": "red"}, None]
    answer = answered(load(shop.bundle()), line(rows=rows)).answers[0]
    assert answer.prediction == [None, 101.0, None]
    assert "must be an object from column to value, but this is a number" in str(answer.error[0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rows": []}, "the chunk has 0 rows; expected 1 to"),
        ({"columns": {}}, "the chunk has 0 rows"),
        ({"columns": {"x": []}}, "the chunk has 0 rows"),
        ({"rows": [None] * (MAX_ROWS + 1)}, f"has {MAX_ROWS + 1} rows; expected 1 to {MAX_ROWS}"),
        ({"rows": {"x": 1}}, "rows must be a list of objects, but is an object"),
        ({"columns": [1]}, "columns must be an object from column to a list of values, but is a list"),
        ({"columns": {"x": 1}}, 'column "x" must be a list of values, but is a number'),
        ({"columns": {"x": [1, 2], "y": [1]}}, 'column "y" has 1 values, but "x" has 2'),
        (
            {"columns": {"x" * 6_000: [None] * MAX_ROWS}},
            f"{6_000 * MAX_ROWS} if each row were written alone, more than",
        ),
        ({"row": {}, "rows": [{}]}, "row and rows are both there"),
        ({"rows": [{}], "request_id": "i" * 251}, "must have 1 to 250 characters, but has 251"),
        ({"rows": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}, "nested deeper"),
        ({"other": 1}, "row is missing"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_one_dead_letter(changes: dict[str, Any], says: str) -> None:
    data = line(**changes)
    letter = read_message(data, now=NOW)
    assert isinstance(letter, DeadLetter)
    assert says in letter.reason
    assert (letter.stage, letter.row, letter.original_bytes()) == ("parse", None, data)
    assert letter.request_id == json.loads(data)["request_id"]


def test_a_chunk_has_the_limit_of_bytes_of_any_request() -> None:
    with pytest.raises(BadRequestError, match="more than the limit of 100"):
        parse_message(line(rows=[{"x": "1" * 100}]), max_bytes=100)


@given(st.binary(max_size=100) | st.dictionaries(
    st.sampled_from(["request_id", "rows", "columns", "row"]),
    st.recursive(CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner)),
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_whatever_the_bytes_they_are_a_request_a_chunk_or_a_dead_letter(data: bytes) -> None:
    read = read_message(data, now=NOW)
    if isinstance(read, DeadLetter):
        assert read.original_bytes() == data.rstrip(b"\r\n")


def test_an_answer_is_read_back_whichever_it_is(shop: Any) -> None:
    chunk = answered(load(shop.bundle()), line(rows=[{"store": "a", "x": 1, "colour": "red"}])).answers[0]
    assert read_answer(chunk.to_json()) == chunk
    single = Answer("r", "income", "a", 1.5, None, 3, "pooled", None, NOW.isoformat(), "p")
    assert read_answer(single.to_json()) == single


def test_a_resident_fleet_answers_singles_and_chunks_of_one_batch(shop: Any, resident: Any) -> None:
    shop.release_of()
    row = {"store": "b", "x": 1, "colour": "red"}
    chunk = parse_message(line(columns=by_column([row, row])))
    first, second, third = resident().predict([shop.request("r-1"), chunk, shop.request("r-2", x="many")])
    assert (first.request_id, first.prediction) == ("r-1", 101.0)
    assert second.answers[0].prediction == [201.0, 201.0]
    assert (third.request_id, third.row) == ("r-2", None)
