"""Collecting a home below a bucket: what nothing needs goes, on both kinds, while others publish and serve."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import send
from modelfleet.cli.main import app
from modelfleet.errors import (
    FleetBusyError,
    ReleaseConflictError,
    ReleaseError,
    StoreRefusedError,
)  # fmt: skip
from modelfleet.home import HOME, LOCAL_HOME, Home
from modelfleet.loop import collect_bucket
from modelfleet.loop.collect import collect
from modelfleet.loop.collected import Collected
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.registry.mlflow import MlflowRegistry
from modelfleet.releases import bucket_guard
from modelfleet.releases.bucket_guard import collecting
from modelfleet.releases.guard_files import COLLECTING, HOLDS
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.promote import promote as publish
from modelfleet.releases.promote import rollback
from modelfleet.run import Run
from modelfleet.serving.resident import get_resident
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.spec.file import parse_spec
from modelfleet.spec.retention import RetentionSpec
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from tests.loop.conftest import SPEC, Shop, families

assert families  # a fixture of every test here

SALES = parse_spec(SPEC, "test")


@pytest.fixture
def shop(bucket: Url, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    """The fleet on the machine that trains, with a home below a bucket."""
    monkeypatch.setenv(HOME, f"{bucket}/home")
    return Shop(tmp_path / "trainer")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    for module in (bucket_guard, collect_bucket):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(bucket_guard, "COLLECTOR_WAITS", 0.0)
    monkeypatch.setattr(bucket_guard, "PUBLISHER_WAITS", 0.0)


def published(shop: Shop, *models: dict[str, float]) -> list[str]:
    """Release one fleet after the other; return the names of their bundles."""
    for each in models:
        run = shop.run(each)
        register(run, shop.registry)
        promote(run, shop.registry)
    return [Url(release.bundle.uri).name for release in shop.ledger.all()]


def collected(shop: Shop, home: Home | None = None, **more: Any) -> Collected:
    """Collect, two days from now, and keep the newest only; on the machine that trains, or on another one."""
    asked = {"retention": RetentionSpec(generations=1, days=0), "now": datetime.now(UTC) + timedelta(days=2)}
    return collect(home or shop.home, SALES, registry=shop.registry, **asked | more)


def below(shop: Shop, part: str) -> set[str]:
    """Return the names of the folders in a part of the fleet's home below the bucket."""
    assert shop.folders.shared is not None
    return {entry.name.partition("/")[0] for entry in open_store(shop.folders.shared / part).below()}


def test_the_newest_stays_and_the_loop_goes_on(shop: Shop) -> None:
    *_, third = published(shop, {"a": 1.0}, {"a": 2.0}, {"a": 3.0})
    planned = collected(shop, dry_run=True)
    assert len(below(shop, "bundles")) == 3
    found = collected(shop)
    kinds = [item.kind for item in found.removed]
    assert (kinds.count("published"), kinds.count("bundle"), kinds.count("run")) == (2, 2, 2)
    assert [i for i in planned.removed if i.kind == "published"] == [i for i in found.removed if i.kind == "published"]
    assert below(shop, "bundles") == {third}
    assert guards(shop) == set()
    assert [release.bundle.there for release in shop.ledger.all()] == [False, False, True]
    with pytest.raises(ReleaseError, match=r"generation 1 cannot serve again.*are there: 3, or put it back: version 1"):
        rollback(shop.ledger, to=1)
    fourth = published(shop, {"a": 1.0})[-1]
    assert below(shop, "bundles") == {third, fourth}
    latest = shop.ledger.latest()
    assert latest is not None
    assert latest.bundle.open().entities == {"a"}


def test_what_serves_anywhere_stays(shop: Shop, tmp_path: Path) -> None:
    first, *_ = published(shop, {"a": 1.0})
    folders = shop.folders
    resident = get_resident(
        ResidentConfig(
            "sales", str(folders.releases), str(folders.leases), poll_seconds=3600.0, lease_seconds=3600.0,
            denylist=str(folders.denylist), predict_seconds=60.0, cache=str(tmp_path / "server" / "cache"),
        )
    )  # fmt: skip
    try:
        second = published(shop, {"a": 2.0})[-1]
        (lease,) = shop.leases.all()
        shop.leases.write(lease.model_copy(update={"expires_at": datetime.now(UTC) + timedelta(days=3)}))
        collected(shop)
        assert below(shop, "bundles") == {first, second}
    finally:
        resident.close()
    collected(shop)
    assert below(shop, "bundles") == {second}


def test_what_was_written_lately_stays(shop: Shop) -> None:
    published(shop, {"a": 1.0}, {"a": 2.0})
    assert shop.folders.shared is not None
    open_store(shop.folders.shared / "runs" / "failed").write("candidate/a.arrow", b"x")
    open_store(shop.folders.shared / "scores" / "job").write("sums/a.arrow@1@00", b"x")
    found = collected(shop, now=datetime.now(UTC) + timedelta(hours=1))
    assert [item.kind for item in found.removed if "://" in item.path] == []
    assert len(below(shop, "bundles")) == 2
    later = collected(shop)
    assert [item.path for item in later.removed if item.kind == "copy"] == [
        f"{shop.folders.shared}/runs/failed", f"{shop.folders.shared}/scores/job",
    ]  # fmt: skip
    assert below(shop, "runs") == below(shop, "scores") == set()


def guards(shop: Shop) -> set[str]:
    """Return the files by which publishers and the collector tell each other what they do."""
    assert shop.folders.shared is not None
    names = {entry.name for entry in open_store(shop.folders.shared).below()}
    return {name for name in names if name == COLLECTING or name.startswith(f"{HOLDS}/")}


@pytest.mark.usefixtures("quick")
def test_publishers_and_the_collector_keep_each_other_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    published(shop, {"a": 1.0}, {"a": 2.0})
    assert shop.folders.shared is not None
    root = shop.folders.shared
    with collecting(root) as turn:
        assert turn.goes_on()
        with pytest.raises(FleetBusyError, match="removes bundles, and did not end"):
            rollback(shop.ledger)
        run = shop.run({"a": 3.0})
        with pytest.raises(FleetBusyError, match="removes bundles, and did not end"):
            register(run, shop.registry)
        with pytest.raises(FleetBusyError, match="let it end, then try again"):
            collected(shop)
    with shop.ledger.bundles_in_place(), pytest.raises(FleetBusyError, match="are being published"):
        collected(shop)
    assert guards(shop) == set()
    died = collecting(root)
    died.__enter__()
    monkeypatch.setattr(bucket_guard, "DEAD_SECONDS", -1.0)
    register(run, shop.registry)
    assert promote(run, shop.registry).generation == 3
    collected(shop)
    assert len(below(shop, "bundles")) == 1
    assert guards(shop) == set()
    del died


@pytest.mark.usefixtures("quick")
def test_a_release_never_names_what_was_removed(shop: Shop, tmp_path: Path) -> None:
    """A machine sends and promotes while another one collects, each again and again."""
    assert shop.folders.shared is not None
    assert shop.folders.published is not None
    runs = [Run.load(shop.run({"a": float(number)}).folder) for number in range(3)]
    bundles = [Bundle.open(run.candidate) for run in runs]
    parent = shop.folders.published
    elsewhere = Home.at(tmp_path / "elsewhere")
    done = threading.Event()

    def work() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            bundle = bundles[turn % 3]
            try:
                if turn % 2:
                    with shop.ledger.bundles_in_place():
                        send(bundle, parent)
                publish(shop.ledger, BundleRef(uri=str(parent / bundle.sha256[:16]), sha256=bundle.sha256))
            except (FleetBusyError, ReleaseConflictError, ReleaseError):
                continue

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(work) for _ in range(2)]
        try:
            removed = 0
            while removed < 3 and not any(one.done() for one in working):
                try:
                    removed += [item.kind for item in collected(shop, elsewhere).removed].count("published")
                except FleetBusyError:
                    continue
                latest = shop.ledger.latest()
                if latest is not None and shop.ledger.newest() == latest.generation:
                    latest.bundle.open()
        finally:
            done.set()
        for one in working:
            one.result()
    latest = shop.ledger.latest()
    assert latest is not None
    latest.bundle.open()


def test_a_bucket_that_fails_is_told(shop: Shop, bucket: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, f"{bucket}-gone/home")
    with pytest.raises(StoreRefusedError, match="there is no bucket"):
        collect(Shop(shop.home.root).home, SALES, registry=shop.registry)


def test_the_command_line_tells_what_it_did_and_how_it_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = tmp_path / "sales.yaml"
    spec.write_text(
        "fleet: sales\nentity: store\ntask: regression\ndata: { source: sales.csv, target: demand }\n"
        "model: { family: linear, parameters: {} }\n"
    )
    monkeypatch.setenv(LOCAL_HOME, str(shop.home.root))
    monkeypatch.setattr(MlflowRegistry, "for_home", lambda _: shop.registry)
    assert shop.folders.shared is not None
    open_store(shop.folders.shared / "runs" / "failed").write("candidate/a.arrow", b"x")
    (name,) = published(shop, {"a": 1.0})
    told = CliRunner().invoke(app, ["gc", str(spec)])
    assert told.exit_code == 0, told.output
    words = " ".join(told.stdout.split())
    assert f"published {name} kept it was sent 0.0 days ago" in words
    assert "copy failed kept it is not older than 30 days" in words
    kept = json.loads(CliRunner().invoke(app, ["gc", str(spec), "--json"]).stdout)["kept"]
    assert f"{shop.folders.shared}/runs/failed" in [item["path"] for item in kept if item["kind"] == "copy"]
    monkeypatch.setattr(bucket_guard, "COLLECTOR_WAITS", 0.0)
    with shop.ledger.bundles_in_place():
        failed = CliRunner().invoke(app, ["gc", str(spec)])
    assert (failed.exit_code, "FleetBusyError" in failed.output) == (4, True)
