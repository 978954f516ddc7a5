"""Models that hang or kill their process: a real process, started again as a runner does, sends what is unanswered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.serving.denylist import Denylist
from modelfleet.serving.status import fleet_status

ENTITIES = {f"e{i:02d}": 10.0 * (i + 1) for i in range(40)}
TRIED_BY_NO_RELEASE = "e03"

PROCESS = """
import json, sys
from pathlib import Path
from modelfleet.families import catalog
catalog.BUILT_IN["fussy"] = "fussy_family:FussyFamily"
from modelfleet.serving.request import parse_request
from modelfleet.serving.resident import ResidentConfig, get_resident

config = json.loads(sys.argv[1])
resident = get_resident(ResidentConfig("sales", **config))
for line in sys.stdin:
    batch = [parse_request(json.dumps(request)) for request in json.loads(line)]
    for result in resident.predict(batch):
        print(result.to_json(), flush=True)
resident.close()
"""


class Runner:
    """Starts the process again until it has answered everything, and counts how often it had to."""

    def __init__(self, shop: Any, folder: Path, **config: Any) -> None:
        folders = shop.folders
        self.config = {
            "releases": str(folders.releases),
            "leases": str(folders.leases),
            "denylist": str(folders.denylist),
            "predict_seconds": 3.0,
        } | config
        self.folder = folder
        self.ends: list[int] = []

    def answers(self, *batches: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for _ in range(8):
            unanswered = [[one for one in batch if one["request_id"] not in found] for batch in batches]
            done = subprocess.run(
                [sys.executable, "-c", PROCESS, json.dumps(self.config)],
                input="".join(json.dumps(batch) + "\n" for batch in unanswered if batch),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                cwd=self.folder,
                env=os.environ | {"PYTHONFAULTHANDLER": ""},
            )
            found |= {one["request_id"]: one for one in map(json.loads, done.stdout.splitlines())}
            if done.returncode == 0:
                return found
            self.ends.append(done.returncode)
        raise AssertionError(f"it never got through: {self.ends}: {done.stderr[-2000:]}")


@pytest.fixture
def runner(shop: Any, fussy: Any) -> Callable[..., Runner]:
    return lambda **config: Runner(shop, Path(fussy.__file__).parent, **config)


def requests(*stores: str) -> list[dict[str, Any]]:
    return [{"request_id": s, "row": {"store": s, "x": 1.0, "colour": "red"}} for s in stores]


@pytest.mark.parametrize(
    ("value", "ends", "reason"),
    [
        (-9001.0, [75, 75], "the prediction took longer than 3 s"),
        (-9002.0, [1, 1], "the process ended while it was predicting"),
        (-9003.0, [-11, -11], "the process ended while it was predicting"),
    ],
    ids=["hangs", "hangs in native code", "crashes"],
)
def test_a_deadly_model_ends_two_processes_and_no_more(
    shop: Any, runner: Callable[..., Runner], value: float, ends: list[int], reason: str
) -> None:
    shop.release_of(shards={0: ENTITIES | {TRIED_BY_NO_RELEASE: value}, 1: {"far": 5.0}})
    run = runner()
    answers = run.answers(requests(*ENTITIES, "far"), requests("stranger"))
    assert run.ends == ends
    assert set(answers) == {*ENTITIES, "far", "stranger"}
    letter = answers.pop(TRIED_BY_NO_RELEASE)
    assert letter["reason"].startswith(f"denied: {reason}")
    assert (letter["stage"], letter["entity"], letter["generation"]) == ("predict", TRIED_BY_NO_RELEASE, 1)
    assert {name: one["prediction"] for name, one in answers.items()} == {
        name: value + 1.0 for name, value in [*ENTITIES.items(), ("far", 5.0), ("stranger", 1000.0)] if name in answers
    }
    # Once known, it ends no process any more, and nobody else is under suspicion
    assert run.answers(requests(*ENTITIES))[TRIED_BY_NO_RELEASE]["reason"].startswith("denied")
    assert run.ends == ends
    assert Denylist(shop.folders.denylist).all("suspect") == []
    assert list((shop.folders.denylist / "marks").iterdir()) == []

    text = fleet_status(shop.home, "sales").as_text()
    assert f"denied: the model of entity '{TRIED_BY_NO_RELEASE}': {reason}" in text
    (path,) = shop.folders.denylist.glob("*.denied.json")
    assert f"delete {path} to let it be asked again" in text

    # A model trained anew is another one
    shop.release_of(shards={0: ENTITIES, 1: {"far": 5.0}})
    assert run.answers(requests(TRIED_BY_NO_RELEASE))[TRIED_BY_NO_RELEASE]["prediction"] == 41.0


def test_a_release_with_a_deadly_model_that_is_tried_is_refused(shop: Any, runner: Callable[..., Runner]) -> None:
    shop.release_of(shards={0: ENTITIES})
    shop.release_of(shards={0: ENTITIES | {"e00": -9003.0}})
    run = runner()
    answers = run.answers(requests("e00", "e01"))
    assert run.ends == [-11, -11]
    assert {one["generation"] for one in answers.values()} == {1}


def test_two_deadly_models_in_one_batch(shop: Any, runner: Callable[..., Runner]) -> None:
    deadly = {"e03": -9003.0, "e04": -9003.0}
    shop.release_of(shards={0: ENTITIES | deadly})
    run = runner()
    answers = run.answers(requests(*ENTITIES))
    assert len(run.ends) == 3  # all are suspects after the first; each deadly one then ends one process alone
    assert {name for name, one in answers.items() if "reason" in one} == set(deadly)
