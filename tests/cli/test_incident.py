"""What a person does in an incident, as commands: pin, kill switch, rollback, and cleaning up afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelfleet.families import catalog
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from tests.bundles import constant_family

if TYPE_CHECKING:
    from conftest import Command, Ended

pytestmark = pytest.mark.mlflow

SPEC = {"fleet": "sales", "entity": "store", "task": "regression", "data": {"source": "x.csv", "target": "y"}}
NO_MLFLOW = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
"""Nothing listens there; in an incident that must not matter."""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The spec of a fleet with three generations."""
    monkeypatch.setitem(catalog.BUILT_IN, "constant", f"{constant_family.__name__}:ConstantFamily")
    home = Home(tmp_path / "home").fleet("sales")
    for number in range(1, 4):
        bundle = constant_family.write_bundle(
            home.bundles / f"b{number}", {0: {"a": float(number)}}, pooled=0.0, run_id=f"run-{number}"
        )
        Ledger(home.releases).publish(
            bundle=BundleRef(uri=str(bundle.path), sha256=bundle.sha256), reason="promote", model_version=str(number)
        )
    path = tmp_path / "sales.yaml"
    path.write_text(json.dumps(SPEC))  # JSON is YAML
    return path


def test_pin_and_kill_switch_show_everywhere_until_they_are_taken_back(modelfleet: Command, spec: Path) -> None:
    def by_hand(*words: str) -> Ended:
        return modelfleet(words[0], spec, *words[1:], env=NO_MLFLOW)

    assert by_hand("pin").code == 2, "a pin says why"
    pinned = by_hand("pin", "--reason", "complaints", "--to", "2", "--json").json
    assert (pinned["generation"], pinned["pinned"], pinned["rolled_back_to"]) == (4, True, 2)
    switched = by_hand("serve", "--pooled-only", "--reason", "to be sure", "--json")
    assert (switched.code, switched.json["pooled_only"], switched.json["pinned"]) == (0, True, True)

    told = modelfleet("status", spec).out
    assert "because: complaints; `modelfleet unpin" in told
    assert "the pooled model answers for every entity" in told
    assert "pinned by" in modelfleet("status", spec, "--json").json["pinned"]
    assert "mode, pinned, pooled only" in modelfleet("history", spec).out

    assert "generation 6 serves the bundle of generation 1" in (out := by_hand("rollback", "--to", "1").out)
    assert "and stays pinned" in out
    assert "generation 7: every entity's own model answers" in by_hand("serve", "--whole-fleet").out
    assert "it is so already" in by_hand("serve", "--whole-fleet").out
    assert "generation 8: fleet 'sales' is no longer pinned" in by_hand("unpin").out
    again = by_hand("unpin")
    assert (again.code, "fleet 'sales' is not pinned" in again.err) == (2, True)
    both = by_hand("serve", "--stop", "--drain")
    assert both.code == 2
    assert "stop and drain at once" in both.err


def test_gc_says_what_goes_and_what_stays_and_a_rollback_says_what_is_left(modelfleet: Command, spec: Path) -> None:
    words: tuple[Any, ...] = ("gc", spec, "--keep", "1", "--older-than", "0")
    down = modelfleet(*words, env=NO_MLFLOW)
    assert down.code == 4, "without the registry's word nothing is removed"
    planned = modelfleet(*words, "--dry-run", "--json").json
    assert [Path(item["path"]).name for item in planned["removed"]] == ["b1", "b2"]
    assert planned["bytes"] > 0
    done = modelfleet(*words)
    assert done.code == 0, done.err
    assert "generation 3 is the newest" in done.out
    assert "2 removed, 1 kept" in done.out
    history = modelfleet("history", spec, "--json").json
    assert [release["bundle_there"] for release in history] == [True, False, False]
    assert "b1 (removed)" in modelfleet("history", spec).out
    gone = modelfleet("rollback", spec, "--to", "1", env=NO_MLFLOW)
    assert gone.code == 1
    assert "whose bundles are there: 3, or put it back: version 1 in MLflow has a copy" in gone.err
