"""Reading: three formats alike, and files that are not what they say."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.data.files import find_files
from modelfleet.data.jsonl import BLOCK_ROWS
from modelfleet.data.reading import check_files, lines_of_rows, pieces_of, read_piece
from modelfleet.data.text import as_text
from modelfleet.errors import DataError
from modelfleet.spec import FleetSpec

from .conftest import MakeSpec, csv_text, jsonl_text, two_entities


def texts(spec: FleetSpec) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {}
    for file in check_files(spec):
        for piece in pieces_of(file):
            for chunk in read_piece(piece, spec.data):
                for name in chunk.table.column_names:
                    if not name.startswith("__"):
                        columns.setdefault(name, []).extend(as_text(chunk.table[name]).to_pylist())
    return columns


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_the_three_formats_read_alike(make_spec: MakeSpec) -> None:
    rows = [{"key": "a", "x": 1, "z": 2.5, "y": True}, {"key": "é", "x": 30, "z": 4.0, "y": False}]
    expected = {"key": ["a", "é"], "x": ["1", "30"], "z": ["2.5", "4"], "y": ["true", "false"]}
    csv = csv_text(list(rows[0]), [["a", 1, "2.5", "true"], ["é", 30, "4", "false"]])
    assert texts(make_spec(csv)) == expected
    assert texts(make_spec(jsonl_text(rows), "data.jsonl")) == expected
    assert texts(make_spec(parquet(pa.Table.from_pylist(rows)), "data.parquet")) == expected
    assert texts(make_spec(gzip.compress(csv.encode()), "data.csv.gz")) == expected
    assert texts(make_spec(b"\xef\xbb\xbf" + csv.encode(), "bom.csv")) == expected


def test_blanks_are_trimmed_and_blank_lines_skipped(make_spec: MakeSpec) -> None:
    spec = make_spec("key, x , y\n a,\t1 , yes\n\n b, 2, no\n\n")
    assert texts(spec) == {"key": ["a", "b"], "x": ["1", "2"], "y": ["yes", "no"]}


def test_a_file_without_header_takes_its_names_from_the_spec(make_spec: MakeSpec) -> None:
    columns = {"key": "category", "x": "number", "y": "category"}
    spec = make_spec("a;1;yes\nb;2;no\n", data={"header": False, "delimiter": ";", "columns": columns})
    assert texts(spec) == {"key": ["a", "b"], "x": ["1", "2"], "y": ["yes", "no"]}
    with pytest.raises(DataError, match=r"line 1 has 1 values, but data.columns names 3 columns.*delimiter"):
        check_files(make_spec("a;1;yes\n", data={"header": False, "columns": columns}))


def test_a_glob_and_a_folder_read_every_file_in_order(make_spec: MakeSpec, tmp_path: Path) -> None:
    for name in ("part-2.csv", "part-1.csv", ".hidden.csv", "_partial.csv"):
        make_spec(csv_text(["key", "y"], [[name, 1]]), name)
    (tmp_path / "notes.md").write_text("not data")
    by_glob = make_spec(csv_text(["key", "y"], [["part-3.csv", 1]]), "part-3.csv", data={"source": f"{tmp_path}/*.csv"})
    by_folder = by_glob.model_copy(update={"data": by_glob.data.model_copy(update={"source": str(tmp_path)})})
    for spec in (by_glob, by_folder):
        assert texts(spec)["key"] == ["part-1.csv", "part-2.csv", "part-3.csv"]


def test_parquet_row_groups_are_pieces_and_keep_their_place(make_spec: MakeSpec) -> None:
    table = pa.table({"key": ["a"] * 10, "y": list(range(10))})
    (file,) = find_files(make_spec(parquet(table, row_group_size=4), "d.parquet").data)
    assert [(piece.row_group, piece.first_row) for piece in pieces_of(file)] == [(0, 0), (1, 4), (2, 8)]


def test_a_row_with_the_wrong_number_of_values_is_counted_and_located(make_spec: MakeSpec) -> None:
    spec = make_spec('key,x,y\na,1,yes\n\nb,2\nc,"two\nlines",no\nd,4,no,extra\ne,5,yes\n')
    (file,) = check_files(spec)
    (chunk,) = [c for piece in pieces_of(file) for c in read_piece(piece, spec.data)]
    assert chunk.table["key"].to_pylist() == ["a", "c", "e"]
    assert chunk.rows_bad == 2
    assert [(row.line, row.reason) for row in chunk.bad] == [
        (4, "expected 3 values, found 2"),
        (7, "expected 3 values, found 4"),
    ]
    assert lines_of_rows(file, spec.data, [0, 1, 2]) == {0: 2, 1: 5, 2: 8}


def test_a_line_that_is_not_json_is_counted_and_located(make_spec: MakeSpec) -> None:
    spec = make_spec('{"key": "a", "y": 1}\nnonsense\n\n[1, 2]\n{"key": "b", "y": 2, "late": 3}\n', "d.jsonl")
    (file,) = check_files(spec)
    (chunk,) = read_piece(pieces_of(file)[0], spec.data)
    assert chunk.rows_bad == 2
    assert [row.line for row in chunk.bad] == [2, 4]
    assert chunk.table["__line"].to_pylist() == [0, 4]
    assert chunk.table["late"].to_pylist() == [None, "3"]


def test_long_jsonl_comes_in_chunks(make_spec: MakeSpec) -> None:
    line = '{"key": "a", "y": 1}\n'
    spec = make_spec(line * (BLOCK_ROWS + 3), "d.jsonl")
    chunks = [c for piece in pieces_of(check_files(spec)[0]) for c in read_piece(piece, spec.data)]
    assert [(c.first_row, len(c.table)) for c in chunks] == [(0, BLOCK_ROWS), (BLOCK_ROWS, 3)]


def test_a_missing_column_is_named_with_file_and_nearest(make_spec: MakeSpec) -> None:
    spec = make_spec("key,tarjet\na,1\n", data={"target": "target"})
    with pytest.raises(DataError, match=r"data\.csv: has no column 'target' \(expected as the target\).*'tarjet'"):
        check_files(spec)
    with pytest.raises(DataError, match=r"has no column 'key' \(expected as the entity\)"):
        check_files(make_spec("kez,y\na,1\n"))
    with pytest.raises(DataError, match=r"its only column is 'key;y': is the delimiter really ','"):
        check_files(make_spec("key;y\na;1\n"))
    with pytest.raises(DataError, match=r"has no column 'x' \(expected as data.columns\)"):
        columns = {"key": "category", "x": "number", "y": "category"}
        check_files(make_spec("key,y\na,1\n", data={"columns": columns}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"", "d.csv: the file is empty"),
        ("d.csv", b" \n\n", "d.csv: the file is empty"),
        ("d.csv", b"key,y\n", "has a header but no rows"),
        ("d.csv", b"key,y,key\n1,2,3\n", "names the column 'key' more than once"),
        ("d.csv", b"PAR1rest", "expected CSV text.*it is a Parquet file"),
        ("d.csv", b"PK\x03\x04....", r"it is a zip archive \(perhaps a spreadsheet\)"),
        ("d.csv", gzip.compress(b"key,y\na,1\n"), "it is gzip-compressed"),
        ("d.csv", b"<!DOCTYPE html><html></html>", "it is a web page; download it anew"),
        ("d.csv", b'{"key": 1}\n', "its lines are JSON objects; set data.format: jsonl"),
        ("d.csv", b"key,y\n\x00\x01,2\n", "expected CSV text"),
        ("d.csv", "key,y\né,1\n".encode("latin-1"), "is not UTF-8 text"),
        ("d.csv", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("d.parquet", b"key,y\na,1\n", "expected a Parquet file.*it begins with b'key,y"),
        ("d.parquet", parquet(pa.table({"key": ["a"], "y": [1]}))[:60], "is truncated or damaged"),
        ("d.jsonl", b"key,y\na,1\n", "expected one JSON object per line"),
        ("d.jsonl", b'[{"key": 1}]', "one JSON array"),
        ("d.jsonl", b"{nonsense\n", "none of its first 1,000 lines is one"),
    ],
)
def test_a_file_that_is_not_what_it_says(make_spec: MakeSpec, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_files(make_spec(content, name))


def test_bytes_that_are_not_utf8_far_into_the_file(make_spec: MakeSpec) -> None:
    spec = make_spec(two_entities(20_000).encode() + "é,1,u,yes\n".encode("latin-1"))
    (file,) = check_files(spec)
    with pytest.raises(DataError, match=r"data\.csv: is not UTF-8 text"):
        list(read_piece(pieces_of(file)[0], spec.data))


def test_a_file_that_is_not_there_names_the_nearest(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("key,y\na,1\n", "sales.csv", data={"source": str(tmp_path / "sale.csv")})
    with pytest.raises(DataError, match=r"no data file there; did you mean 'sales\.csv'\?"):
        find_files(spec.data)


def test_a_parquet_file_damaged_in_the_middle_fails_when_read(make_spec: MakeSpec) -> None:
    table = pa.table({"key": [f"entity {i}" for i in range(1000)], "y": list(range(1000))})
    content = bytearray(parquet(table, compression="snappy", use_dictionary=False))
    content[200:2000] = b"\xff" * 1800
    spec = make_spec(bytes(content), "d.parquet")
    (file,) = check_files(spec)
    with pytest.raises(DataError, match=r"d\.parquet: row group 0 is truncated or damaged"):
        list(read_piece(pieces_of(file)[0], spec.data))
