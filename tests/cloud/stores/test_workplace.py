"""A job's files by way of a bucket: workers get what they need, and what they make comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelfleet.data.files import DataFile
from modelfleet.errors import CopyError, StepError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from modelfleet.stores.sums import Sum, Sums
from modelfleet.workplace import INPUTS, Workplace


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Url:
    found: Url = request.getfixturevalue(f"{request.param}_bucket")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a job, on the machine that submits it."""
    folder = tmp_path / "fleets/shop/runs/r1"
    (folder / "prepared").mkdir(parents=True)
    for name in ("run.json", "spec.json", ".lock", "prepared/shard-00000.parquet", "prepared/shard-00001.parquet"):
        (folder / name).write_text(name)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_worker_gets_what_it_asks_for_and_what_it_makes_comes_back(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    place.send("*.json", "prepared/*")
    with place.opened("*.json", "prepared/shard-00001.parquet") as here:
        assert here.is_relative_to(worker)
        assert here.parts[-4:] == folder.parts[-4:]
        assert names(here) == {"run.json", "spec.json", "prepared/shard-00001.parquet"}
        (here / "candidate/shards").mkdir(parents=True)
        (here / "candidate/shards/1.arrow").write_text("models")
        (here / "candidate/.half.tmp").write_text("nothing yet")
    assert not (folder / "candidate").exists()
    place.fetch("candidate/shards/*", "candidate/*")
    assert (folder / "candidate/shards/1.arrow").read_text() == "models"
    assert names(folder / "candidate") == {"shards/1.arrow"}
    place.clear("candidate/shards/*", "prepared/*", "*")
    left = ("", "/prepared", "/candidate/shards", "/sums", "/sums/prepared", "/sums/candidate/shards")
    assert [open_store(f"{bucket}/r1{each}").names() for each in left] == [[]] * len(left)


def test_what_is_made_anew_replaces_what_was_there(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    for said in ("once", "and once more"):
        with place.opened() as here:
            (here / "train.json").write_text(said)
    place.fetch("train.json")
    assert (folder / "train.json").read_text() == "and once more"


def test_another_job_sees_nothing_of_an_earlier_ones_worker(bucket: Url, folder: Path, worker: Path) -> None:
    for said in ("first", "second"):
        (folder / "run.json").write_text(said)
        place = Workplace.at(folder, bucket / "r1")
        place.send("run.json")
        with place.opened("run.json") as here:
            assert (here / "run.json").read_text() == said


def test_what_is_there_is_not_sent_again_unless_wanted(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    place.send("prepared/shard-00000.parquet")
    (folder / "prepared/shard-00000.parquet").write_text("another")
    place.send("prepared/*", again=False)
    store = open_store(bucket / "r1/prepared")
    assert {name: store.read(name) for name in store.names()} == {
        f"shard-0000{number}.parquet": f"prepared/shard-0000{number}.parquet".encode() for number in (0, 1)
    }


def test_a_file_that_is_gone_is_named_with_what_to_do(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    reason = f"{bucket}/r1/prepared/shard-00007.parquet: is not there, or not whole, and this step needs it; run the"
    with pytest.raises(StepError, match=reason), place.opened("prepared/shard-00007.parquet"):
        pass


def expected(content: str) -> str:
    told = Sum.of(content.encode())
    return f"{told.size} bytes of sha256 {told.sha256}"


@pytest.mark.parametrize("found", ["prepared/sh", "prepared/shard-00001.parqueT"], ids=["truncated", "altered"])
def test_a_damaged_file_is_refused_by_a_worker_and_sent_anew(
    bucket: Url, folder: Path, worker: Path, found: str
) -> None:
    name = "prepared/shard-00001.parquet"
    place = Workplace.at(folder, bucket / "r1")
    place.send("prepared/*")
    open_store(bucket / "r1").write(name, found.encode())
    for asked in (name, "prepared/*"):
        with pytest.raises(CopyError) as caught, place.opened(asked):
            pass
        assert str(caught.value) == (
            f"{bucket}/r1/{name}: {expected(found)}, expected {expected(name)}: truncated or altered since it was "
            "written; run the same step again, which sends and makes its files anew"
        )
        assert name not in {f"prepared/{path.name}" for path in worker.rglob("shard-00001.parquet")}
    place.send("prepared/*")
    with place.opened(name) as here:
        assert (here / name).read_text() == name


def test_what_comes_back_damaged_is_refused_by_its_name(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    with place.opened() as here:
        (here / "evaluation.parquet").write_text("all of it")
        (here / "train.json").write_text("done")
    store = open_store(bucket / "r1")
    store.write("evaluation.parquet", b"half")
    with pytest.raises(
        CopyError, match=f"{bucket}/r1/evaluation.parquet: {expected('half')}, expected {expected('all of it')}"
    ):
        place.fetch("evaluation.parquet", "train.json")
    store.remove("evaluation.parquet")
    with pytest.raises(
        CopyError, match=f"{bucket}/r1/evaluation.parquet: is not there, expected {expected('all of it')}: removed"
    ):
        place.fetch("evaluation.parquet", "train.json")
    assert not (folder / "evaluation.parquet").exists()
    assert not (folder / "train.json").exists(), "what says that all is done comes last"


def test_what_a_writer_left_without_a_word_is_not_there(bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, bucket / "r1")
    place.send("run.json")
    for name in ("candidate.json", "prepared/shard-00000.parquet"):
        open_store(bucket / "r1").write(name, b"its writer died")
    with place.opened("*.json") as here:
        assert names(here) == {"run.json"}
    with pytest.raises(StepError, match="not whole"), place.opened("prepared/shard-00000.parquet"):
        pass
    place.send("prepared/*", again=False)
    with place.opened("prepared/shard-00000.parquet") as here:
        assert (here / "prepared/shard-00000.parquet").read_text() == "prepared/shard-00000.parquet"


def test_two_workers_may_do_the_same_work(bucket: Url, folder: Path, worker: Path, monkeypatch) -> None:
    place = Workplace.at(folder, bucket / "r1")
    for said in ("one", "other"):
        monkeypatch.setattr("tempfile.tempdir", str(worker / said))
        with place.opened() as here:
            (here / "train.json").write_text(said)
    assert Sums(bucket / "r1").said("train.json") == {
        "train.json": frozenset({Sum.of(b"one"), Sum.of(b"other")}),
    }
    place.fetch("train.json")
    assert (folder / "train.json").read_text() == "other"


PULLS = """
import sys, json
from pathlib import Path
from modelfleet.stores.place import Url
from modelfleet.stores import gcs
from modelfleet.workplace import Workplace
written = []
write = gcs.GcsStore.write
gcs.GcsStore.write = lambda self, name, content: written.append(name) or write(self, name, content)
folder, url, job, name = sys.argv[1:]
with Workplace(folder, Url(url), job).opened("*.json") as here:
    (here / name).write_text(name)
print(json.dumps(sorted(each for each in written if not each.startswith("sums/"))))
"""


def test_processes_that_share_a_workers_folder_send_a_file_once(gs_bucket: Url, folder: Path, worker: Path) -> None:
    place = Workplace.at(folder, gs_bucket / "r1")
    place.send("*.json")
    sent = []
    for name in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "-c", PULLS, place.folder, str(place.url), place.job, name],
            env=os.environ | {"TMPDIR": str(worker)},
            check=True,
            capture_output=True,
            text=True,
        )
        sent.append(json.loads(done.stdout))
    assert sent == [["first"], ["second"]]


def test_a_data_file_whose_name_looks_like_a_pattern(bucket: Url, folder: Path, worker: Path) -> None:
    data = folder / "sales[1]*@7@.csv"
    data.write_text("a\n")
    place = Workplace.at(folder, bucket / "r1")
    place.send(inputs=[DataFile(str(data), "csv")])
    with place.input(DataFile(str(data), "csv")).text() as text:
        assert text.read() == "a\n"


def test_a_data_file_is_read_elsewhere_and_told_of_by_its_name(bucket: Url, folder: Path, worker: Path) -> None:
    data = folder / "here.csv"
    data.write_text("a,b\n1,2\n")
    place = Workplace.at(folder, bucket / "r1")
    place.send(inputs=[DataFile(str(data), "csv")])
    data.unlink()
    file = place.input(DataFile(str(data), "csv"))
    assert file.path == str(data)
    with file.text() as text:
        assert text.read() == "a,b\n1,2\n"
    place.clear(f"{INPUTS}/*")
    assert open_store(bucket / "r1/inputs").names() == []


def test_without_a_bucket_everybody_works_in_the_folder(folder: Path) -> None:
    place = Workplace.at(folder)
    place.send("*.json")
    place.clear("*")
    place.fetch("*")
    with place.opened("no such file") as here:
        assert here == folder
    file = DataFile("x.csv", "csv")
    assert place.input(file) is file
    assert "run.json" in names(folder)
