"""A fleet with a past: releases, runs, leases and bundles of any age, without a model."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.home import Home
from modelfleet.loop.collect import collect
from modelfleet.registry.memory import MemoryRegistry
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.run import Run
from modelfleet.serving.lease import Lease, LeaseFolder, Refusal
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import Task
from modelfleet.spec.retention import RetentionSpec
from tests.loop.conftest import SPEC

NEWEST_ONLY = RetentionSpec(generations=1, days=0)


def now():
    return datetime.now(UTC)


class AgedFleet:
    """The fleet ``sales``, with bundles that hold no model but open, named by single letters."""

    def __init__(self, root, shared=None):
        self.home = Home(root, shared)
        self.folders = self.home.fleet("sales")
        self.ledger = Ledger(self.folders.releases, self.folders.leases)
        self.registry = MemoryRegistry()
        self.spec = parse_spec(SPEC, "test")

    def bundle(self, name):
        folder = self.folders.bundles / name
        if not folder.exists():
            writer = BundleWriter(folder, fleet="sales", task=Task.REGRESSION, split_fingerprint="s", run_id=name)
            writer.finish(pa.table({"entity": pa.array([], pa.string())}))
        return BundleRef(uri=str(folder), sha256=Bundle.open(folder).sha256)

    def release(self, names):
        for name in names:
            self.ledger.publish(bundle=self.bundle(name), reason="promote")

    def lease(self, process, serving, *, holding=(), refused=(), passing=False, ended=timedelta(seconds=-30)):
        """Write a lease that ended, or ends, so long ago."""
        refusals = tuple(Refusal(generation=g, reason="bad", passing=passing) for g in refused)
        ends = now() - ended
        lease = Lease(
            process=process, fleet="sales", job="j", host="h", pid=1, serving=serving, serving_since=None,
            holding=holding, refused=refusals, renewed_at=ends - timedelta(seconds=30), expires_at=ends,
        )  # fmt: skip
        LeaseFolder(self.folders.leases).write(lease)
        file = self.folders.leases / f"{process}.json"
        os.utime(file, (ends.timestamp() - 30,) * 2)

    def run(self, run_id, *, days=0.0, **results):
        """Begin a run so many days ago, and leave what its steps left."""
        run = Run.open(self.home, self.spec, run_id=run_id)
        record = run.record.model_copy(update={"started_at": now() - timedelta(days=days)})
        (run.folder / "run.json").write_text(record.model_dump_json())
        for name, result in results.items():
            run.write(name, result)
        return run

    def collect(self, **more):
        settings = {"retention": NEWEST_ONLY, "registry": self.registry, "now": now() + timedelta(seconds=1)}
        return collect(self.home, self.spec, **(settings | more))

    @property
    def left(self):
        return {path.name for path in self.folders.bundles.iterdir()}
