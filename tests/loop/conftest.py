"""A fleet whose runs are made by hand up to the gate, with models that are constants."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.families import catalog
from modelfleet.gating.decision import Decisions, EntityDecision, Outcome
from modelfleet.home import Home
from modelfleet.registry.memory import MemoryRegistry
from modelfleet.releases.ledger import Ledger
from modelfleet.run import Run
from modelfleet.serving.lease import LeaseFolder
from modelfleet.spec.file import parse_spec
from tests.bundles import constant_family

SPEC = {
    "fleet": "sales",
    "entity": "store",
    "task": "regression",
    "data": {"source": "/data/sales.csv", "target": "y"},
    "model": {"family": "linear", "parameters": {}},
    "serving": {"lease_seconds": 10, "confirm_timeout_seconds": 60},
}


class Shop:
    """The fleet ``sales``: begins runs and plays the steps up to the gate."""

    def __init__(self, root):
        self.home = Home.at(root)
        self.folders = self.home.fleet("sales")
        self.ledger = Ledger(self.folders.releases)
        self.leases = LeaseFolder(self.folders.leases)
        self.registry = MemoryRegistry()

    def run(self, models, *, promote=None, pooled=None, refused=False, run_id=None, **asked):
        """Begin a run whose candidate has ``models`` (entity to constant) and whose gate promotes ``promote``."""
        run = Run.open(self.home, parse_spec(SPEC, "test"), run_id=run_id, actor="tester", **asked)
        constant_family.write_bundle(run.candidate, {0: models}, pooled=pooled, run_id=run.record.run_id)
        self.prepare(run, models)
        promote = set(models) if promote is None else set(promote)
        decisions = Decisions(
            entities=tuple(
                EntityDecision(e, "entity", Outcome.PROMOTE if e in promote else Outcome.KEEP, "because")
                for e in models
            ),
            pooled=None if pooled is None else EntityDecision("", "pooled", Outcome.PROMOTE, "because"),
            refused=refused,
            reason="worse all over" if refused else "",
        )
        pq.write_table(decisions.to_table(), run.folder / "decisions.parquet")
        run.write("gate", decisions.summary())
        return run

    def prepare(self, run, models):
        run.prepared.mkdir(exist_ok=True)
        for shard, hashes in enumerate([[1, 2**64 - 1], [7, 2**64 - 1]]):
            table = pa.table({"__row": pa.array(hashes, pa.uint64())})
            pq.write_table(table, run.prepared / f"shard-{shard:05d}.parquet")
        (run.folder / "schema.json").write_text(constant_family.schema().model_dump_json())
        run.write("prepare", {"rows_prepared": 3, "rows_bad": 1, "files": ["/data/sales.csv"]})
        run.write("validation", {"success": True, "data_docs": "/docs/index.html"})
        run.write("train", {"models": len(models)})
        n = len(models)
        evaluation = {
            "entity": list(models),
            "kind": ["entity"] * n,
            "rows_holdout": [10 * (i + 1) for i in range(n)],
            "candidate_loss": [0.1 * (i + 1) for i in range(n)],
            "champion_loss": [None] * n,
            "candidate_rmse": [1.0] * n,
        }
        types = {"champion_loss": pa.float64()}
        columns = {k: pa.array(v, types.get(k)) for k, v in evaluation.items()}
        pq.write_table(pa.table(columns), run.folder / "evaluation.parquet")


@pytest.fixture(autouse=True)
def families(monkeypatch):
    monkeypatch.setitem(catalog.BUILT_IN, "constant", f"{constant_family.__name__}:ConstantFamily")


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)
