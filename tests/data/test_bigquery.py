"""Rows of a BigQuery table, by Google's client library against a small server of ours; Google's was not reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.prepare import prepare
from modelfleet.data import bigquery
from modelfleet.data.bigquery import READ, fetch_table, is_table
from modelfleet.errors import DataError, DataUnavailableError
from modelfleet.home import Home
from modelfleet.run import Run
from modelfleet.spec.file import parse_spec, parse_yaml
from tests.data.fake_bigquery import FakeBigQuery

SOURCE = "bigquery://my-shop/sales/days"
TABLE = "projects/my-shop/datasets/sales/tables/days"


def rows(n: int = 1000) -> pa.Table:
    return pa.table(
        {
            "store": [f"s{i % 4}" for i in range(n)],
            "price": pa.array([Decimal(i) / 10 for i in range(n)], pa.decimal128(38, 9)),
            "at": pa.array([datetime(2026, 1, 1 + i % 28, tzinfo=UTC) for i in range(n)], pa.timestamp("us", "UTC")),
            "day": [date(2026, 1, 1 + i % 28) for i in range(n)],
            "staff": [None if i % 50 == 0 else i % 7 for i in range(n)],
            "demand": [float(i % 13) for i in range(n)],
        }
    )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBigQuery]:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    fake = FakeBigQuery()
    fake.tables[TABLE] = rows()
    monkeypatch.setattr(bigquery, "_client", lambda: fake.client)
    yield fake
    fake.close()


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]).sort_by(
        [("price", "ascending")]
    )


def test_every_row_comes_once_with_its_types(service: FakeBigQuery, tmp_path: Path) -> None:
    folder = fetch_table(SOURCE, tmp_path / "run" / "source")
    assert read(folder).equals(service.tables[TABLE])
    assert len(list(folder.glob("*.parquet"))) == 3
    said = json.loads((folder / READ).read_text())
    assert (said["table"], said["rows"]) == (SOURCE, 1000)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["source"]
    (session,) = service.sessions
    assert session.parent == "projects/my-shop"
    assert session.read_session.table == TABLE


def test_only_the_named_columns_are_read_and_another_project_may_pay(
    service: FakeBigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "payer")
    folder = fetch_table(SOURCE, tmp_path / "source", ("store", "price"))
    assert read(folder).column_names == ["store", "price"]
    assert service.sessions[0].parent == "projects/payer"
    assert list(service.sessions[0].read_session.read_options.selected_fields) == ["store", "price"]


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(service: FakeBigQuery, tmp_path: Path) -> None:
    service.breaks = 2
    assert read(fetch_table(SOURCE, tmp_path / "source")).equals(service.tables[TABLE])
    assert service.breaks == 0


def test_a_run_that_goes_on_trains_on_the_same_rows(service: FakeBigQuery, tmp_path: Path) -> None:
    first = read(fetch_table(SOURCE, tmp_path / "source"))
    service.tables[TABLE] = rows(10)
    assert read(fetch_table(SOURCE, tmp_path / "source")).equals(first)
    (tmp_path / "source" / READ).unlink()  # it died before it was whole
    assert len(read(fetch_table(SOURCE, tmp_path / "source"))) == 10


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, DataError, "there is no such table"),
        (grpc.StatusCode.PERMISSION_DENIED, DataError, r"roles/bigquery\.readSessionUser"),
        (grpc.StatusCode.INVALID_ARGUMENT, DataError, "compare its columns"),
        (grpc.StatusCode.INTERNAL, DataUnavailableError, "no answer"),
    ],
)
def test_what_is_refused_is_told(
    service: FakeBigQuery, tmp_path: Path, status: grpc.StatusCode, kind: type[Exception], message: str
) -> None:
    service.refuses = (status, "no")
    with pytest.raises(kind, match=rf"data\.source {SOURCE}: .*{message}"):
        fetch_table(SOURCE, tmp_path / "source")
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_and_a_name_that_is_none(service: FakeBigQuery, tmp_path: Path) -> None:
    service.tables[TABLE] = rows(0)
    with pytest.raises(DataError, match="the table is empty"):
        fetch_table(SOURCE, tmp_path / "source")
    with pytest.raises(DataError, match="expected bigquery://PROJECT/DATASET/TABLE"):
        fetch_table("bigquery://my-shop/days", tmp_path / "source")
    assert not is_table("sales.parquet")


@pytest.mark.beam
def test_a_run_is_prepared_from_a_table(service: FakeBigQuery, tmp_path: Path) -> None:
    text = (
        f"fleet: sales\nentity: store\ntask: regression\ndata: {{ source: '{SOURCE}', target: demand }}\n"
        "model: { family: linear, parameters: {} }\nresources: { shards: 2 }\n"
    )
    spec = parse_yaml(text, "test", tmp_path)
    assert parse_spec(json.loads(spec.model_dump_json()), "again").data.source == SOURCE
    run = Run.open(Home(tmp_path / "home"), spec)
    prepare(run, ["--runner=FnApiRunner"])
    done = run.read("prepare")
    assert (done["rows_prepared"], done["entities"], done["rows_bad"]) == (1000, 4, 0)
    assert {"price", "staff"} <= {name for name, column in done["columns"].items() if column["role"] == "feature"}
