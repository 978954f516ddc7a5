"""``modelfleet bench``: what it prints and leaves, at sizes that measure nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Command

PROMISED = {"work", "ours", "baseline", "baseline_name", "ratio", "goal", "met", "unit"}


def test_a_comparison_with_its_ratio_and_goal(modelfleet: Command, tmp_path: Path) -> None:
    works = ("--only", "gated_step", "--only", "memory")
    ended = modelfleet("bench", "train", "--quick", *works, "--against", "naive Beam", "--repeats", "1", "--json")
    assert ended.code == 0, ended.err
    gated, memory = ended.json
    assert set(gated) >= PROMISED
    assert (gated["work"], gated["baseline_name"], gated["goal"]) == ("gated_step", "naive Beam", 150)
    assert gated["ours"] > 0
    assert gated["baseline"] > 0
    assert gated["ratio"] == pytest.approx(gated["baseline"] / gated["ours"])
    assert gated["met"] is (gated["ratio"] >= 150)
    assert "measured on 12 entities" in gated["note"]
    assert "scaled to 80" in gated["note"]
    assert (memory["baseline"], memory["goal"], memory["met"]) == (None, None, None)
    folder = tmp_path / "home" / "bench"
    report = json.loads((folder / "train.json").read_text())
    assert report["results"] == ended.json
    assert report["machine"]["libraries"]["apache-beam"]
    assert (folder / "train.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in folder.iterdir() if path.name.startswith("scratch")] == []
    assert "naive Beam, round 1 of 1" in ended.err


def test_a_missed_goal_ends_with_1_only_if_asked(modelfleet: Command) -> None:
    asked = ("bench", "train", "--quick", "--only", "fit_logistic_100", "--repeats", "1")
    ended = modelfleet(*asked, "--check")
    assert "logistic fit, 100 rows" in ended.out
    missed = "1 of 1 results miss their goal: logistic fit, 100 rows" in ended.err
    assert ended.code == int(missed), ended.err


def test_registering_and_scoring(modelfleet: Command) -> None:
    (step,) = modelfleet("bench", "register", "--quick", "--only", "register_step", "--repeats", "1", "--json").json
    assert (step["ours"] > 0, step["goal"], step["met"]) == (True, None, None)
    (stored,) = modelfleet("bench", "score", "--quick", "--only", "bundle_bytes", "--repeats", "1", "--json").json
    assert stored["unit"] == "bytes/model"
    assert stored["met"] is (stored["ours"] <= 700)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("train", "--only", "gated_stp"),
            "--only gated_stp: suite 'train' has no such work; did you mean 'gated_step'?",
        ),
        (("train", "--against", "naive Baem"), "--against 'naive Baem': no such baseline; did you mean 'naive Beam'?"),
        (("tarin",), "'tarin' is not one of 'train', 'score', 'register'"),
    ],
)
def test_what_it_does_not_know_exits_2(modelfleet: Command, arguments: tuple[str, ...], message: str) -> None:
    ended = modelfleet("bench", *arguments)
    assert ended.code == 2
    assert message in ended.err
