"""Killed anywhere, a run is completed by running it again; two runs at once make no mixture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger

if TYPE_CHECKING:
    from conftest import Command

pytestmark = [pytest.mark.beam, pytest.mark.mlflow]

SPEC = """\
fleet: shops
entity: [shop]
task: regression
data: { source: shops.parquet, target: demand }
model: { family: linear }
gate: { min_holdout_rows: 10 }
expectations: { entities: { min_rows: 10 } }
"""

LEFT = {
    "while preparing": "prepared/*.parquet",
    "while training": "candidate/shards/*.arrow",
    "after the gate": "gate.json",
    "after registering": "register.json",
}
"""Where to kill: when this first appears in the run's folder."""


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    draw = np.random.default_rng(5)
    shop, price = draw.integers(0, 6, 1_200), draw.uniform(1, 9, 1_200)
    demand = 3.0 * shop - (1 + shop) * price + draw.normal(0, 0.5, 1_200)
    table = pa.table({"shop": [f"shop {s}" for s in shop], "price": price, "demand": demand})
    pq.write_table(table, tmp_path / "shops.parquet")
    spec = tmp_path / "shops.yaml"
    spec.write_text(SPEC)
    return spec


@pytest.fixture
def begin(shops: Path, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a run in the background, as the leader of a process group that can be killed whole."""
    started: list[subprocess.Popen[str]] = []

    def start(run_id: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "modelfleet", "run", str(shops), "--run-id", run_id, "--json"],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
            | {"MODELFLEET_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "nothing appeared in time"
        time.sleep(0.002)


def test_a_run_killed_again_and_again_is_completed_by_the_next_call(
    modelfleet: Command, shops: Path, tmp_path: Path, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    fleet = Home(tmp_path / "home").fleet("shops")
    ledger = Ledger(fleet.releases)
    for name, pattern in LEFT.items():
        process = begin("nightly")
        folder = fleet.runs / "nightly"
        wait_for(lambda folder=folder, pattern=pattern: any(folder.glob(pattern)), process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not ledger.all() or name == "after registering", f"killed {name}, something was published"
    done = modelfleet("run", shops, "--run-id", "nightly", "--json")
    assert done.code == 0, done.err
    assert done.json["promote"]["generation"] == 1
    releases = ledger.all()
    assert [release.generation for release in releases] == [1], "published once, however often it was begun"
    bundle = Bundle.open(Path(releases[0].bundle.uri), sha256=releases[0].bundle.sha256)
    assert len(bundle.entities) == 6
    again = modelfleet("run", shops, "--run-id", "nightly", "--json")
    assert again.code == 0, again.err
    assert len(ledger.all()) == 1, "a finished run is not published a second time"


def test_of_two_first_runs_at_once_one_is_published_and_the_other_told(
    shops: Path, tmp_path: Path, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    processes = [begin("left"), begin("right")]
    ended = [(*process.communicate(), process.returncode) for process in processes]
    ledger = Ledger(Home(tmp_path / "home").fleet("shops").releases)
    codes = sorted(code for _, _, code in ended)
    assert codes in ([0, 0], [0, 4]), ended
    for out, err, code in ended:
        if code == 4:
            assert json.loads(out)["error"]["type"] == "ReleaseConflictError"
            assert "run the loop again" in err + out
    assert len(ledger.all()) == 1, "both train the same models, so the later one has nothing to publish"


def test_the_same_run_twice_at_once_is_refused(
    modelfleet: Command, shops: Path, tmp_path: Path, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = begin("nightly")
    folder = Home(tmp_path / "home").fleet("shops").runs / "nightly"
    wait_for(lambda: any(folder.glob("prepared/*.parquet")), process)
    second = modelfleet("run", shops, "--run-id", "nightly", "--json")
    assert second.code == 4, second.out
    assert second.json["error"]["type"] == "RunBusyError"
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["promote"]["generation"] == 1
