"""Training rows and rows to score below a bucket, by the jobs that read them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.prepare import prepare
from beam_jobs.score import main as score
from beam_jobs.train import train
from modelfleet.bundles.reader import Bundle
from modelfleet.data.objects import READ, fetch_objects
from modelfleet.engines.options import IN_PROCESS
from modelfleet.errors import DataError, StoreRefusedError
from modelfleet.home import HOME, Home
from modelfleet.run import Run
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from tests.cloud.stores.test_run_by_bucket import spec as fleet
from tests.streaming.conftest import Shop

OPTIONS = [f"--runner={IN_PROCESS}"]


def put(bucket: Url, **files: bytes) -> str:
    for name, content in files.items():
        open_store(bucket / "data").write(name.replace("_csv", ".csv").replace("_txt", ".txt"), content)
    return f"{bucket}/data"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != READ)


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("", ["a.csv", "b.csv"]),
        ("/", ["a.csv", "b.csv"]),
        ("/b.csv", ["b.csv"]),
        ("/*", ["a.csv", "b.csv", "c.txt"]),
        ("/[ab].*", ["a.csv", "b.csv"]),
        ("/c.txt", ["c.txt"]),
    ],
)
def test_a_file_a_folder_or_a_glob_is_copied(bucket: Url, tmp_path: Path, asked: str, there: list[str]) -> None:
    source = put(bucket, a_csv=b"1", b_csv=b"2", c_txt=b"3", _hidden_csv=b"4")
    copies = fetch_objects(source + asked, tmp_path / "source")
    assert names(tmp_path / "source") == there
    assert copies.url == source
    assert copies.source == (str(tmp_path / "source" / there[0]) if len(there) == 1 else f"{tmp_path}/source/*")


def test_what_was_copied_stays_as_it_was(bucket: Url, tmp_path: Path) -> None:
    source = put(bucket, a_csv=b"one")
    first = fetch_objects(source, tmp_path / "source")
    put(bucket, a_csv=b"two", b_csv=b"more")
    assert fetch_objects(source, tmp_path / "source") == first
    assert (tmp_path / "source" / "a.csv").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("/a.cvs", "no data file there; did you mean 'a.csv'"),
        ("/x*", "no data file there"),
        ("/*/a.csv", "signs such as .* stand in the last part only"),
    ],
)
def test_what_is_not_there_is_told(bucket: Url, tmp_path: Path, asked: str, message: str) -> None:
    source = put(bucket, a_csv=b"1")
    with pytest.raises(DataError, match=f"data.source {bucket}/data.*{message}"):
        fetch_objects(source + asked, tmp_path / "source")
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there_is_told(bucket: Url, tmp_path: Path) -> None:
    with pytest.raises(StoreRefusedError, match="there is no bucket"):
        fetch_objects(f"{bucket}-gone/data/*.csv", tmp_path / "source")


@pytest.mark.beam
def test_a_fleet_trained_from_a_bucket_is_that_trained_from_its_file(
    bucket: Url, worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers get the copy by way of the home's bucket."""
    monkeypatch.setenv(HOME, f"{bucket}/prod")
    rows = [f"{shop},{price},{2 * price + n}" for n, shop in enumerate("abcd") for price in range(40)]
    file = tmp_path / "sales.csv"
    file.write_text("\n".join(["shop,price,amount", *rows, "g,not a number,1"]) + "\n")
    source = put(bucket, sales_csv=file.read_bytes())
    runs = [
        Run.open(Home(tmp_path / "alone"), fleet(str(file)), run_id="r1"),
        Run.open(Home.at(tmp_path / "home"), fleet(f"{source}/*.csv"), run_id="r1"),
    ]
    for run in runs:
        prepare(run, OPTIONS)
        run.write("quarantine", {})
        train(run.folder, OPTIONS)
    alone, run = runs
    assert run.table("bad_rows")["file"].to_pylist() == [f"{source}/sales.csv"]
    assert run.read("prepare")["files"] == [f"{source}/sales.csv"]
    assert Bundle.open(run.candidate).sha256 == Bundle.open(alone.candidate).sha256
    assert open_store(f"{source}").names() == ["sales.csv"]


@pytest.mark.beam
def test_rows_are_scored_from_one_place_of_a_bucket_to_another(bucket: Url, tmp_path: Path) -> None:
    shop = Shop(Home(tmp_path / "home"))
    shop.release()
    source = put(bucket, a_csv=b"store,x\na,1\nb,2\n", b_csv=b"store,x\na,three\n")
    spec = tmp_path / "spec.json"
    spec.write_text(shop.spec.model_dump_json())
    output = f"{bucket}/out/scored.parquet"
    arguments = ["--fleet-home", str(shop.folders.root), "--spec", str(spec), "--output", output]
    assert score([*arguments, "--input", f"{source}/*.csv", *OPTIONS]) == 0
    rows = table(bucket, "scored.parquet")
    assert rows["entity"].to_pylist() == ["a", "b"]
    assert set(rows["file"].to_pylist()) == {f"{source}/a.csv"}
    bad = table(bucket, "scored_bad_rows.parquet")
    assert bad["file"].to_pylist() == [f"{source}/b.csv"]
    assert not list(shop.folders.scores.rglob("*.*"))

    assert score([*arguments, "--input", f"{source}/a.csv", *OPTIONS]) == 0
    assert table(bucket, "scored.parquet").num_rows == 2
    assert open_store(bucket / "out").names() == ["scored.parquet"]


def table(bucket: Url, name: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(open_store(bucket / "out").read(name)))
