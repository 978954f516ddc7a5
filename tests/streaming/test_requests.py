"""Whatever is dropped into the folder comes out, as an answer or as a dead letter."""

from __future__ import annotations

import json
import os
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.serving.chunk_answer import ChunkAnswer
from modelfleet.serving.request import MAX_BYTES

pytestmark = pytest.mark.flink


def test_every_line_is_an_answer_or_a_dead_letter(live):
    shop = live.shop
    bad = [
        b"not json",
        b"\xff\xfe",
        b'{"row": {}}',
        b'{"request_id": "no row"}',
        b'{"request_id": "inf", "row": {"store": "a", "x": Infinity}}',
        b'{"request_id": "deep", "row": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"request_id": "large", "row": {"x": "' + b"1" * MAX_BYTES + b'"}}',
        b'{"request_id": "text for x", "row": {"store": "a", "x": "blue"}}',
        b'{"request_id": "unknown", "row": {"store": "nowhere", "x": 1}}',
    ]
    good = [shop.request(), shop.request(store="b")]
    before = len(shop.dead_letters())
    shop.drop([bad[0], good[0], b"", *bad[1:], b"   ", good[1]])
    shop.until(lambda: len(shop.dead_letters()) - before >= len(bad) and not shop.unanswered())

    letters = shop.dead_letters()[before:]
    assert len(letters) == len(bad)
    originals = {letter.original_bytes() for letter in letters}
    assert {line for line in bad if len(line) < MAX_BYTES} <= originals  # byte for byte, so they can be sent again
    assert all(letter.reason for letter in letters)
    assert {letter.stage for letter in letters} == {"parse", "predict"}
    answered = {answer.request_id for answer in shop.answers()}
    assert {"text for x", "unknown"} & answered == set()


def test_a_chunk_is_one_answer_and_its_bad_rows_are_dead_letters(live):
    shop = live.shop
    columns = {"store": ["a", "b", "nowhere", "a"], "x": [1, 2.5, 3, "blue"]}
    rows = [{name: values[i] for name, values in columns.items()} for i in range(4)]
    chunks = [{"request_id": "by column", "columns": columns}, {"request_id": "by row", "rows": rows}]
    shop.drop([shop.request(), *(json.dumps(chunk).encode() for chunk in chunks), shop.request()])
    shop.until(lambda: not shop.unanswered())
    ours = {answer.request_id: answer for answer in shop.answers() if isinstance(answer, ChunkAnswer)}
    assert ours.keys() == {"by column", "by row"}
    for answer in ours.values():
        added = answer.generation
        assert answer.prediction == [pytest.approx(1 + added), pytest.approx(2.5 + added), None, None]
        assert answer.served_by == ["entity", "entity", None, None]
    letters = [letter for letter in shop.dead_letters() if letter.request_id in ours]
    assert sorted((letter.request_id, letter.row) for letter in letters) == [
        ("by column", 2), ("by column", 3), ("by row", 2), ("by row", 3),
    ]  # fmt: skip


def test_a_parquet_file_is_answered_row_by_row_and_a_damaged_one_is_a_dead_letter(live):
    shop = live.shop
    ids = [uuid.uuid4().hex for _ in range(2000)]
    table = pa.table({"request_id": ids, "store": ["a", "b"] * 1000, "x": [float(i) for i in range(2000)]})
    for name, write in (
        ("rows", lambda path: pq.write_table(table, path, row_group_size=300)),
        ("damaged", lambda path: path.write_bytes(b"PAR1 is not enough PAR1")),
    ):
        write(shop.folders.requests / f".{name}")
        (shop.folders.requests / f".{name}").rename(shop.folders.requests / f"{name}.parquet")
    shop.sent += ids
    shop.until(lambda: not shop.unanswered())
    ours = {answer.request_id: answer for answer in shop.answers() if answer.request_id in set(ids)}
    assert ours[ids[7]].prediction == pytest.approx(7.0 + ours[ids[7]].generation, abs=1e-3)
    shop.until(lambda: any("damaged.parquet" in letter.reason for letter in shop.dead_letters()))


def test_the_event_time_is_kept(live):
    answer = live.shop.ask()[0]
    assert answer.event_time == "2026-01-31T12:00:00+00:00"
    assert answer.processed_time > answer.event_time


def test_a_request_without_an_event_time_is_answered(live):
    shop = live.shop
    document = json.loads(shop.request())
    del document["event_time"]
    shop.drop([json.dumps(document).encode()])
    shop.until(lambda: not shop.unanswered())


def test_a_file_is_read_only_under_its_final_name(live):
    shop = live.shop
    folder = shop.folders.requests
    line = shop.request() + b"\n"
    (folder / ".later.jsonl").write_bytes(line)
    (folder / "later.jsonl.tmp").write_bytes(line[:10])
    shop.ask(3)
    assert shop.unanswered() == {shop.sent[-4]}
    (folder / ".later.jsonl").rename(folder / "later.jsonl")
    shop.until(lambda: not shop.unanswered())
    (folder / "later.jsonl.tmp").unlink()


def test_a_file_name_that_is_not_text_is_read(live):
    shop = live.shop
    folder = os.fsencode(shop.folders.requests)
    with open(os.path.join(folder, b".hidden"), "wb") as file:
        file.write(shop.request() + b"\n")
    os.rename(os.path.join(folder, b".hidden"), os.path.join(folder, b"caf\xe9.jsonl"))
    shop.until(lambda: not shop.unanswered())


def test_a_file_replaced_by_another_of_the_same_name_is_read_again(live):
    shop = live.shop
    for _ in range(2):
        hidden = shop.folders.requests / ".again"
        hidden.write_bytes(shop.request() + b"\n")
        hidden.rename(shop.folders.requests / "again.jsonl")
        shop.until(lambda: not shop.unanswered())


def test_a_thousand_requests_in_one_file(live):
    answers = live.shop.ask(1000)
    assert len(answers) == 1000
