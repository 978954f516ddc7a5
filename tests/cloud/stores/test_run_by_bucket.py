"""Prepare, train and score by workers that get every file by way of a bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs import batch_job
from beam_jobs.prepare import prepare
from beam_jobs.score import main as score
from beam_jobs.train import train
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import send
from modelfleet.engines.options import IN_PROCESS
from modelfleet.errors import CopyError, DataError
from modelfleet.home import HOME, Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.run import Run
from modelfleet.spec import FleetSpec
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from modelfleet.stores.sums import Sum, Sums
from tests.streaming.conftest import Shop

OPTIONS = [f"--runner={IN_PROCESS}"]


@pytest.fixture
def home(gs_bucket: Url, tmp_path: Path, worker: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that is shared by a bucket."""
    monkeypatch.setenv(HOME, f"{gs_bucket}/prod")
    return Home.at(tmp_path / "home")


def spec(source: Path | str, **model: object) -> FleetSpec:
    return FleetSpec.model_validate(
        {
            "fleet": "shops",
            "entity": "shop",
            "task": "regression",
            "data": {
                "source": str(source),
                "target": "amount",
                "columns": {"shop": {"type": "category"}, "price": {"type": "number"}, "amount": {"type": "number"}},
            },
            "model": {"min_rows": 5, **(model or {"family": "linear"})},
            "resources": {"shards": 6},
            "engine": "dataflow",
        }
    )


@pytest.mark.beam
@pytest.mark.parametrize(
    "model",
    [{"family": "linear"}, {"candidates": [{"family": "linear"}, {"family": "tree", "parameters": {"max_depth": 2}}]}],
)
def test_a_fleet_is_trained_by_way_of_the_bucket(home: Home, worker: Path, tmp_path: Path, model: dict) -> None:
    rows = [f"{shop},{price},{2 * price + n}" for n, shop in enumerate("abcdef") for price in range(40)]
    data = tmp_path / "sales.csv"
    data.write_text("\n".join(["shop,price,amount", *rows, "g,not a number,1"]) + "\n")
    fleet = spec(data, **model)
    runs = [Run.open(Home(tmp_path / "alone"), fleet, run_id="r1"), Run.open(home, fleet, run_id="r1")]
    for run in runs:
        prepare(run, OPTIONS)
        run.write("quarantine", {})
        train(run.folder, OPTIONS)
    alone, run = runs
    assert run.table("bad_rows")["file"].to_pylist() == [str(data)]
    assert run.read("train")["models"] > 0
    assert Bundle.open(run.candidate).sha256 == run.read("train")["bundle_sha256"]
    assert Bundle.open(run.candidate).sha256 == Bundle.open(alone.candidate).sha256
    assert any(worker.rglob("shard-*.parquet"))
    assert open_store(run.workplace().url or "").names() == []


def damage(monkeypatch: pytest.MonkeyPatch, run: Run, job: Callable, pattern: str) -> str:
    """Have the first file of a pattern lose its end as soon as the next job has ended; return the pattern's folder."""
    url = run.workplace().url
    assert url is not None

    def after(options: object, build: object) -> None:
        batch_job.run_to_end(options, build)
        store, (name, *_) = open_store(url), Sums(url).said(pattern)
        store.write(name, store.read(name)[:-20])

    monkeypatch.setitem(job.__globals__, "run_to_end", after)
    return f"{url}/{pattern.partition('*')[0]}"


@pytest.mark.beam
@pytest.mark.parametrize("pattern", ["candidate/shards/*", "evaluation.parquet"])
def test_a_result_that_is_damaged_on_its_way_ends_the_step(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    data = tmp_path / "sales.csv"
    data.write_text("\n".join(["shop,price,amount", *(f"a,{price},{2 * price}" for price in range(60))]) + "\n")
    run = Run.open(home, spec(data), run_id="r1")
    prepare(run, OPTIONS)
    run.write("quarantine", {})
    with monkeypatch.context() as patch:
        where = damage(patch, run, train, pattern)
        with pytest.raises(CopyError, match=f"{where}.*: truncated or altered since it was written; run the same step"):
            train(run.folder, OPTIONS)
    assert not run.has("train")
    train(run.folder, OPTIONS)
    assert Bundle.open(run.candidate).sha256 == run.read("train")["bundle_sha256"]


@pytest.mark.beam
def test_a_shard_that_is_damaged_before_training_is_named_and_mended_by_a_retry(home: Home, tmp_path: Path) -> None:
    data = tmp_path / "sales.csv"
    data.write_text("\n".join(["shop,price,amount", *(f"a,{price},{2 * price}" for price in range(60))]) + "\n")
    run = Run.open(home, spec(data), run_id="r1")
    prepare(run, OPTIONS)
    run.write("quarantine", {})
    url = run.workplace().url
    assert url is not None
    (name,) = Sums(url).said("prepared/*")
    open_store(url).write(name, b"something else")
    told = Sum.of(b"something else")
    with pytest.raises(CopyError, match=f"{url}/{name}: {told.size} bytes of sha256 {told.sha256}, expected "):
        train(run.folder, OPTIONS)
    train(run.folder, OPTIONS)
    assert run.read("train")["models"] == 1


@pytest.mark.beam
def test_a_candidate_is_compared_with_the_champion_of_the_bucket(home: Home, worker: Path, tmp_path: Path) -> None:
    data = tmp_path / "sales.csv"
    data.write_text(
        "\n".join(["shop,price,amount", *(f"{shop},{price},{2 * price}" for shop in "ab" for price in range(60))])
        + "\n"
    )
    published = home.fleet("shops").published
    assert published is not None
    for number in (1, 2):
        run = Run.open(home, spec(data), run_id=f"r{number}")
        prepare(run, OPTIONS)
        run.write("quarantine", {})
        train(run.folder, OPTIONS)
        ref = BundleRef(uri=send(Bundle.open(run.candidate), published), sha256=run.read("train")["bundle_sha256"])
        Ledger(run.fleet_home.releases).publish(fleet="shops", bundle=ref, reason="promote")
    assert [index.parent.name for index in sorted(worker.rglob("champion_index.parquet"))] == ["r2", "r2"]
    assert "champion_loss" in run.table("evaluation").column_names
    assert run.table("evaluation")["champion_loss"].null_count == 0


@pytest.mark.beam
def test_data_that_cannot_be_read_is_told_of_by_its_own_name(home: Home, tmp_path: Path) -> None:
    data = tmp_path / "sales.csv"
    data.write_bytes(b"shop,price,amount\na,1,2\n" + b"a,\xff\xfe,2\n" * 10)
    with pytest.raises(DataError, match=str(data)):
        prepare(Run.open(home, spec(data), run_id="r1"), OPTIONS)


@pytest.mark.beam
def test_files_are_scored_by_way_of_the_bucket(home: Home, worker: Path, tmp_path: Path) -> None:
    shop = Shop(home)
    shop.spec = shop.spec.model_copy(update={"engine": "dataflow"})
    shop.release()
    for number in range(3):
        pq.write_table(
            pa.table({"store": ["a", "b", None], "x": [1.0, 2.0, float(number)]}), tmp_path / f"{number}.parquet"
        )
    (tmp_path / "spec.json").write_text(shop.spec.model_dump_json())
    output = tmp_path / "out/scored.parquet"
    output.parent.mkdir()
    told = [f"--fleet-home={shop.folders.root}", f"--spec={tmp_path / 'spec.json'}", f"--input={tmp_path}/*.parquet"]
    assert score([*told, f"--output={output}", *OPTIONS]) == 0
    scored = pq.read_table(output)
    assert scored["entity"].to_pylist() == ["a", "b"] * 3
    assert sorted(set(scored["file"].to_pylist())) == [str(tmp_path / f"{number}.parquet") for number in range(3)]
    assert pq.read_table(output.with_name("scored_bad_rows.parquet")).num_rows == 3
    assert {path.name for path in output.parent.iterdir()} == {"scored.parquet", "scored_bad_rows.parquet"}
    assert any(worker.rglob("*"))
