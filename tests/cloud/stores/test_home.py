"""A home below a bucket: machines that share nothing else train, promote and serve one fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import fetch, send
from modelfleet.cli.doctor import _bucket
from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.engines.dataflow_places import place_checks
from modelfleet.errors import BundleError, InputError, ReleaseError
from modelfleet.home import HOME, LOCAL_HOME, Home
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.releases.promote import rollback
from modelfleet.run import Run
from modelfleet.serving.denylist import Denylist
from modelfleet.serving.mark import Marked
from modelfleet.serving.request import parse_request
from modelfleet.serving.resident import ResidentFleet, get_resident
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.serving.status import fleet_status
from modelfleet.spec.file import parse_spec
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from tests.loop.conftest import SPEC, Shop, families

assert families  # a fixture of every test here

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def shared(bucket: Url, monkeypatch: pytest.MonkeyPatch) -> Url:
    """The environment of a machine whose home is below a bucket."""
    monkeypatch.setenv(HOME, f"{bucket}/fleets-of-shop/")
    return bucket / "fleets-of-shop"


@pytest.fixture
def shop(shared: Url, tmp_path: Path) -> Shop:
    """The fleet on the machine that trains."""
    return Shop(tmp_path / "trainer")


def published(shop: Shop, models: dict[str, float], **asked: Any) -> Run:
    run = shop.run(models, pooled=9.0, **asked)
    register(run, shop.registry)
    promote(run, shop.registry)
    return run


def serving(shop: Shop, machine: Path) -> ResidentFleet:
    folders = shop.folders
    return get_resident(
        ResidentConfig(
            "sales", str(folders.releases), str(folders.leases), poll_seconds=0.05, lease_seconds=3600.0,
            denylist=str(folders.denylist), predict_seconds=60.0, cache=str(machine / "cache"),
        )
    )  # fmt: skip


def answers(resident: ResidentFleet, store: str) -> tuple[int, float]:
    (answer,) = resident.predict([parse_request(json.dumps({"request_id": "r", "row": {"store": store, "x": 1.0}}))])
    return answer.generation, answer.prediction


def test_a_run_is_promoted_served_elsewhere_and_rolled_back(
    shop: Shop, shared: Url, tmp_path: Path, until: Callable[..., None]
) -> None:
    first = published(shop, {"a": 1.0, "b": 2.0})
    release = shop.ledger.latest()
    assert release is not None
    assert release.bundle.uri.startswith(f"{shared}/fleets/sales/bundles/")
    assert first.folder.is_relative_to(tmp_path / "trainer")
    resident = serving(shop, tmp_path / "server")
    try:
        assert answers(resident, "a") == (1, 1.0)
        assert answers(resident, "unknown") == (1, 9.0)
        second = published(shop, {"a": 5.0, "b": 6.0}, promote=["b"])
        assert second.record.champion is not None
        assert second.record.champion.bundle == release.bundle.uri
        until(lambda: resident.generation == 2)
        assert (answers(resident, "a"), answers(resident, "b")) == ((2, 1.0), (2, 6.0))
        until(lambda: fleet_status(shop.home, "sales").processes[0].serving == 2)
        rollback(shop.ledger)
        until(lambda: resident.generation == 3)
        assert answers(resident, "b") == (3, 2.0)
    finally:
        resident.close()
    assert shop.leases.all() == []
    assert not (tmp_path / "server" / "fleets").exists()


def test_nothing_better_keeps_the_bundle_of_the_bucket(shop: Shop) -> None:
    published(shop, {"a": 1.0})
    before = shop.ledger.latest()
    again = shop.run({"a": 5.0}, promote=[])
    result = register(again, shop.registry)
    assert before is not None
    assert (result.bundle, result.model_version) == (before.bundle.uri, "1")
    assert promote(again, shop.registry).outcome == "no_change"


def test_a_bundle_altered_in_the_bucket_is_refused_and_a_run_mends_it(
    shop: Shop, tmp_path: Path, until: Callable[..., None]
) -> None:
    published(shop, {"a": 1.0})
    run = shop.run({"a": 2.0}, pooled=9.0)
    register(run, shop.registry)
    where = Url(run.read("register")["bundle"])
    (file,) = [part.path for part in Bundle.open(str(where)).manifest.files if part.shard is not None]
    good = open_store(where).read(file)
    open_store(where).write(file, good[:-1] + b"x")
    with pytest.raises(ReleaseError, match=r"cannot be promoted: .*altered"):
        promote(run, shop.registry)
    register(run, shop.registry)
    assert open_store(where).read(file) == good
    assert promote(run, shop.registry).generation == 2
    resident = serving(shop, tmp_path / "server")
    try:
        assert answers(resident, "a") == (2, 2.0)
    finally:
        resident.close()


def test_a_bundle_comes_back_as_it_was_sent(shop: Shop, shared: Url, tmp_path: Path) -> None:
    run = shop.run({"a": 1.0, "b": 2.0}, pooled=3.0)
    sent = Bundle.open(run.candidate)
    url = send(sent, shared / "somewhere")
    assert send(sent, shared / "somewhere") == url
    with ThreadPoolExecutor(4) as pool:
        (here, *_) = pool.map(lambda _: fetch(url, sent.sha256, tmp_path / "here"), range(4))
    assert (here.path.parent, here.sha256) == (tmp_path / "here", sent.sha256)
    assert [path.name for path in (tmp_path / "here").iterdir()] == [here.path.name]
    damaged = here.path / here.manifest.index.path
    damaged.write_bytes(b"")
    assert fetch(url, sent.sha256, tmp_path / "here").index.equals(sent.index)
    assert fetch(str(run.candidate), sent.sha256, tmp_path / "unused").path == run.candidate
    open_store(url).remove(here.manifest.index.path)
    with pytest.raises(BundleError, match="no such object"):
        Bundle.open(url)


def test_a_denied_model_is_denied_on_every_machine(shop: Shop, tmp_path: Path) -> None:
    one = Denylist(shop.folders.denylist, tmp_path / "one")
    other = Denylist(shop.folders.denylist, tmp_path / "other")
    mark = Marked(1, "a" * 64, "shards/x.arrow", (3,))
    one.accuse(mark, "it hung")
    other.refresh()
    assert list(other.known("suspect", "a" * 64)) == [3]
    other.accuse(mark, "it hung again")
    one.refresh()
    assert one.known("suspect", "a" * 64) == {}
    assert one.known("denied", "a" * 64)[3].reason == "it hung again"
    open_store(shop.folders.denylist).remove(one.path(one.all("denied")[0]).name)
    one.refresh()
    assert one.known("denied", "a" * 64) == {}
    assert Denylist(shop.folders.denylist).marks.is_absolute()


def test_leases_are_judged_by_the_bucket_too(shop: Shop, tmp_path: Path) -> None:
    published(shop, {"a": 1.0})
    resident = serving(shop, tmp_path / "server")
    try:
        (lease,) = shop.leases.all()
        long_ago = lease.model_copy(update={"expires_at": datetime(2020, 1, 1, tzinfo=UTC)})
        shop.leases.write(long_ago)
        assert shop.leases.live() == []
        assert len(shop.leases.recent(datetime.now(UTC), timedelta(minutes=10))) == 1
        assert shop.leases.recent(datetime.now(UTC) + timedelta(hours=1), timedelta(minutes=10)) == []
    finally:
        resident.close()


def test_the_doctor_looks_into_the_bucket(shared: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(found.what, found.state) for found in _bucket()] == [("bucket", "ok")]
    monkeypatch.setenv(HOME, f"{shared.parent}-gone")
    (finding,) = _bucket()
    assert finding.state == "missing"
    assert "there is no bucket" in finding.remedy
    monkeypatch.setenv(HOME, "here")
    assert _bucket() == []


class TestEnvironment:
    def test_a_bucket_and_a_folder_of_this_machine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(HOME, "gs://bucket/prefix/")
        home = Home.from_environment()
        assert (home.root, home.shared) == (tmp_path / ".modelfleet", Url("gs://bucket/prefix"))
        monkeypatch.setenv(LOCAL_HOME, str(tmp_path / "here"))
        folders = Home.from_environment().fleet("sales")
        assert folders.runs == tmp_path / "here/fleets/sales/runs"
        assert str(folders.releases) == "gs://bucket/prefix/fleets/sales/releases"
        assert str(folders.published) == "gs://bucket/prefix/fleets/sales/bundles"

    def test_a_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv(HOME, str(tmp_path))
        monkeypatch.setenv(LOCAL_HOME, "ignored")
        folders = Home.from_environment().fleet("sales")
        assert (folders.releases, folders.published) == (tmp_path / "fleets/sales/releases", None)

    @pytest.mark.parametrize("named", ["http://x/y", "gs://", "ftp://bucket"])
    def test_what_is_no_home_is_told(self, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
        monkeypatch.setenv(HOME, named)
        with pytest.raises(InputError, match=r"MODELFLEET_HOME is .*expected a folder, gs://BUCKET/PREFIX"):
            Home.from_environment()


def test_the_command_line_runs_the_loop_with_a_bucket(gs_bucket: Url, tmp_path: Path) -> None:
    """Two machines: one trains and promotes, the other scores by what serves."""
    rows = [
        f"{store},{day},{day % 7 + day * 2 + (store == 'north')}" for store in ("north", "south") for day in range(80)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["store,x,demand", *rows]) + "\n")

    def modelfleet(machine: str, *words: str) -> Any:
        environment = os.environ | {
            HOME: f"{gs_bucket}/home", LOCAL_HOME: str(tmp_path / machine), "MLFLOW_TRACKING_URI": "",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "modelfleet", *words, "--json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    spec = str(tmp_path / "sales.yaml")
    (tmp_path / "sales.yaml").write_text(
        "fleet: sales\nentity: store\ntask: regression\ndata: { source: sales.csv, target: demand }\n"
        "model: { family: linear, parameters: {} }\nsplit: { holdout: 0.3 }\n"
    )
    ran = modelfleet("trainer", "run", spec)
    assert ran["promote"]["generation"] == 1
    again = modelfleet("other trainer", "run", spec)
    assert again["promote"]["outcome"] == "no_change"
    scored = modelfleet("scorer", "score", spec, "--input", "sales.csv", "--output", str(tmp_path / "out.parquet"))
    assert (scored["generation"], scored["rows"]) == (1, 160)
    (release,) = modelfleet("scorer", "history", spec)
    assert release["bundle"]["uri"].startswith(f"{gs_bucket}/home/fleets/sales/bundles/")
    assert not (tmp_path / "scorer" / "fleets" / "sales" / "runs").exists()


def test_dataflows_serving_job_needs_the_bucket_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = parse_spec(
        SPEC | {
            "engine": "dataflow",
            "serving": {
                "source": {"kind": "pubsub", "subscription": "projects/my-shop/subscriptions/requests"},
                "sink": {
                    "kind": "pubsub",
                    "answers": "projects/my-shop/topics/answers",
                    "dead_letters": "projects/my-shop/topics/letters",
                },
            },
        },
        "test",
    )  # fmt: skip
    monkeypatch.setenv(HOME, "gs://my-shop-home/prod")
    here, there = Home.at(tmp_path / "here"), Home.at(tmp_path / "there")
    seen = {check.what: check for check in place_checks(spec, "serve", here)}
    assert (seen["home folder"].state, seen["home folder"].seen) == ("ok", "gs://my-shop-home/prod")
    assert {check.what: check for check in place_checks(spec, "train", here)}["home folder"].state == "ok"
    monkeypatch.delenv(HOME)
    mounted = {check.what: check for check in place_checks(spec, "train", Home.at(tmp_path / "here"))}["home folder"]
    assert (mounted.state, "MODELFLEET_HOME must name a bucket" in mounted.remedy) == ("unknown", True)
    monkeypatch.setenv(HOME, "gs://my-shop-home/prod")
    names = {dataflow_options(spec, "serve", home)["job_name"] for home in (here, there)}
    assert len(names) == 1, "one job per fleet, whichever machine asks"
