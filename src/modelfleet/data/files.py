"""Finding the data files of a fleet, and seeing whether each is what it says before anything is read."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from modelfleet.errors import DataError, nearest

if TYPE_CHECKING:
    from modelfleet.spec.data import DataSpec

Format = Literal["csv", "parquet", "jsonl"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_MAGIC = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a zip archive (perhaps a spreadsheet)"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"ARROW1", "an Arrow file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
    (b"version https://git-lfs", "a Git LFS pointer (run `git lfs pull`)"),
)
_HEAD_BYTES = 65_536


@dataclass(frozen=True)
class DataFile:
    """One file of rows.

    Attributes:
        path: Where it is.
        format: How it is written.
        copy: Where a worker reads it that cannot see its path; empty where it can.
    """

    path: str
    format: Format
    copy: str = ""

    @property
    def at(self) -> str:
        """Where it can be opened."""
        return self.copy or self.path

    @property
    def compressed(self) -> bool:
        """Whether it is a text file behind gzip."""
        return self.path.endswith(".gz")

    def text(self) -> TextIO:
        """Open a CSV or JSONL file as text, past a byte order mark."""
        raw = gzip.open(self.at, "rb") if self.compressed else open(self.at, "rb")  # noqa: SIM115 - closed by caller
        return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def find_files(data: DataSpec) -> tuple[DataFile, ...]:
    """Return the fleet's data files, sorted by name.

    Args:
        data: The spec's data section; its source is a file, a glob, or a folder (all files in it that end in
            .csv, .tsv, .parquet, .pq, .jsonl or .ndjson). Names that begin with ``.`` or ``_`` are left out.

    Raises:
        DataError: Nothing is there, or a file is empty or is not what it says.
    """
    if "://" in data.source:
        raise DataError(
            f"data.source {data.source}: is not on this machine. A run's step `prepare` and `modelfleet score` copy it "
            "first; here only files of this machine are read"
        )
    path = Path(data.source)
    if path.is_file():
        names = [str(path)]
    elif path.is_dir():
        names = [str(p) for p in path.iterdir() if format_by_name(p.name) and p.is_file()]
    else:
        names = [name for name in glob.glob(data.source, recursive=True) if Path(name).is_file()]
    names = sorted(name for name in names if not Path(name).name.startswith((".", "_")) or name == str(path))
    if not names:
        beside = [p.name for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
        hint = nearest(path.name, beside[:50]) if beside else f"; the folder {path.parent} is not there or is empty"
        raise DataError(f"data.source {data.source}: no data file there{hint}")
    return tuple(_checked(name, data) for name in names)


def _checked(name: str, data: DataSpec) -> DataFile:
    """Return the file if its first bytes fit what it is said to be."""
    try:
        with open(name, "rb") as raw:
            head = raw.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
    if not head.strip():
        raise DataError(f"{name}: the file is empty; expected rows with a target '{data.target}'")
    stated = data.format if data.format != "auto" else format_by_name(name)
    looks = next((what for magic, what in _MAGIC if head.startswith(magic)), "")
    file = DataFile(name, stated or ("parquet" if looks == "a Parquet file" else _text_format(head)))
    by = f"data.format is {data.format}" if data.format != "auto" else f"its name ends in {Path(name).suffix!r}"
    if file.format == "parquet":
        if looks != "a Parquet file":
            raise DataError(f"{name}: expected a Parquet file ({by}), but {_seen(looks, head)}; set data.format")
        return file
    if file.compressed and looks == "gzip-compressed":
        try:
            with gzip.open(name, "rb") as raw:
                head = raw.read(_HEAD_BYTES)
        except (OSError, EOFError) as error:
            raise DataError(f"{name}: expected gzip-compressed text: {error}") from error
        looks = ""
        if not head.strip():
            raise DataError(f"{name}: the file is empty; expected rows with a target '{data.target}'")
    if looks or b"\0" in head:
        raise DataError(f"{name}: expected {file.format.upper()} text ({by}), but {_seen(looks, head)}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:5].lower() in {b"<html", b"<!doc", b"<?xml"}:
        raise DataError(f"{name}: expected {file.format.upper()} text ({by}), but it is a web page; download it anew")
    if file.format == "csv" and _is_object(start):
        raise DataError(f"{name}: expected CSV text ({by}), but its lines are JSON objects; set data.format: jsonl")
    if file.format == "jsonl" and start.startswith(b"["):
        raise DataError(f"{name}: expected one JSON object per line ({by}), but it holds one JSON array")
    return file


def _seen(looks: str, head: bytes) -> str:
    return f"it is {looks}" if looks else f"it begins with {head[:12]!r}"


def format_by_name(name: str) -> Format | None:
    """Return how a file is written, by how its name ends; None where that says nothing."""
    return _ENDINGS.get(Path(name.removesuffix(".gz")).suffix.lower())


def _text_format(head: bytes) -> Format:
    return "jsonl" if _is_object(head.lstrip(b"\xef\xbb\xbf \t\r\n")) else "csv"


def _is_object(start: bytes) -> bool:
    if not start.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(start.split(b"\n", 1)[0]), dict)
    except ValueError:
        return False


def csv_names(file: DataFile, data: DataSpec) -> tuple[list[str], list[str]]:
    """Return a CSV file's column names, as written in it and trimmed; a nameless one is called after its position.

    Raises:
        DataError: The header repeats a name, the file has no rows, or does not fit the spec's columns.
    """
    rows = csv_rows(file, data.delimiter)
    try:
        first = next(((line, row) for line, row in rows), None)
        second = next(((line, row) for line, row in rows), None)
    except UnicodeDecodeError as error:
        raise not_utf8(file, error) from error
    except (csv.Error, EOFError, OSError) as error:
        raise DataError(f"{file.path}: cannot be read as CSV: {error}") from error
    if first is None:
        raise DataError(f"{file.path}: the file is empty; expected rows with a target '{data.target}'")
    if not data.header:
        named = list(data.columns or ())
        if len(named) != len(first[1]):
            raise DataError(
                f"{file.path}: line {first[0]} has {len(first[1])} values, but data.columns names {len(named)} columns "
                f"(header: false); is the delimiter really {data.delimiter!r}?"
            )
        return named, named
    if second is None:
        raise DataError(f"{file.path}: has a header but no rows; expected rows with a target '{data.target}'")
    raw = first[1]
    names = [name.strip() or f"column_{i}" for i, name in enumerate(raw, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file.path}: the header names the column '{twice[0]}' more than once; give each its own name")
    return raw, names


def csv_rows(file: DataFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it begins, values) for every row of a CSV file that is not an empty line."""
    with file.text() as text:
        reader = csv.reader(text, delimiter=delimiter)
        begins = 1
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1


def not_utf8(file: DataFile, error: Exception) -> DataError:
    """Return the error for a text file in another encoding."""
    return DataError(f"{file.path}: is not UTF-8 text ({error}); convert it, for example with `iconv -t UTF-8`")
