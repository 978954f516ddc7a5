from __future__ import annotations

import json

import pyarrow as pa
import pytest

from modelfleet.bundles.writer import BundleWriter
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.spec.fleet import Task


class Fleet:
    """A fleet's folders, with bundles that hold no model but open."""

    def __init__(self, root):
        self.home = Home(root).fleet("sales")
        self.ledger = Ledger(self.home.releases)

    def bundle(self, name: str) -> BundleRef:
        folder = self.home.bundles / name
        writer = BundleWriter(folder, fleet="sales", task=Task.REGRESSION, split_fingerprint="s", run_id=name)
        made = writer.finish(pa.table({"entity": pa.array([], pa.string())}))
        return BundleRef(uri=str(folder), sha256=made.sha256)

    def lease(self, **fields):
        self.home.leases.mkdir(parents=True, exist_ok=True)
        (self.home.leases / f"{len(list(self.home.leases.iterdir()))}.json").write_text(json.dumps(fields))


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


@pytest.fixture
def ledger(fleet):
    return fleet.ledger


@pytest.fixture
def ref():
    return lambda letter: BundleRef(uri=f"/nowhere/{letter}", sha256=letter * 64)
