"""The demo's traffic counts every request, whatever comes back."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from modelfleet.spec.file import load_spec

ROOT = Path(__file__).parents[2]
ROWS = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40,"
    " United-States, <=50K.\n"
    "18, ?, 103497, Some-college, 10, Never-married, ?, Own-child, White, Female, 0, 0, 30, United-States, >50K.\n\n"
)


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("demo_traffic", ROOT / "examples/demo/traffic.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["demo_traffic"] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "adult.test"
    path.write_text(ROWS)
    return path


def test_rows_are_typed_and_have_no_target(module: Any, rows: Path) -> None:
    first, second = module.adult_rows(rows, load_spec(ROOT / "fleets/income.yaml"))
    assert (first["age"], first["workclass"], first["education"]) == (39.0, "State-gov", "Bachelors")
    assert (second["workclass"], second["occupation"]) == (None, None)
    assert "income" not in first


def sent_requests(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_answers_are_counted_once_and_what_is_missing_is_lost(
    module: Any, rows: Path, tmp_path: Path, shop: Any
) -> None:
    folders = [tmp_path / name for name in ("requests", "answers", "dead")]
    traffic = module.Traffic(*folders, rows, per_second=2000, per_file=5, bad_every=10)
    traffic.start()
    shop.until(lambda: len(sent_requests(folders[0])) >= 40)
    assert traffic.stop(settle_seconds=0).lost >= 40
    requests = sent_requests(folders[0])
    bad = [request["request_id"] for request in requests if request["row"]["age"] == module.BAD_VALUE]
    assert len(bad) == len(requests) // 10

    folders[1].mkdir()
    folders[2].mkdir()
    answered = [request["request_id"] for request in requests if request["request_id"] not in bad][1:]
    times = [f"2026-01-01T00:00:{i:02d}+00:00" for i in range(4)]

    def answer(request_id: str, prediction: str = "a", process: str = "p", generation: int = 1, at: int = 1) -> str:
        facts = {"request_id": request_id, "prediction": prediction, "process": process, "served_by": "entity"}
        return json.dumps(facts | {"generation": generation, "processed_time": times[at]}) + "\n"

    (folders[1] / "1.jsonl").write_text("".join(answer(request_id) for request_id in answered[:-1]))
    more = [
        answer(answered[-1], process="q", generation=2, at=3),
        answer(answered[0], at=0),
        answer(answered[1], "b"),
        answer("who?"),
    ]
    (folders[1] / "2.jsonl").write_text("".join(more))
    (folders[1] / ".3.jsonl").write_text("half a li")
    (folders[2] / "1.jsonl").write_text("".join(json.dumps({"request_id": i, "reason": "age"}) + "\n" for i in bad))

    summary = traffic.summary()
    assert summary == traffic.summary()
    assert (summary.sent, summary.answered, summary.dead_lettered) == (len(requests), len(answered), len(bad))
    assert (summary.lost, summary.duplicated, summary.conflicting, summary.unknown) == (1, 2, 1, 1)
    assert summary.generations == {1: len(answered) - 1, 2: 1}
    assert summary.reasons == {"age": len(bad)}
    first = traffic.first_answers()
    assert {generation: list(processes) for generation, processes in first.items()} == {1: ["p"], 2: ["q"]}
    assert first[2]["q"] - first[1]["p"] == 2.0
