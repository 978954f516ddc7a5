"""The serving works run, on a real broker and a real Flink, at sizes that measure nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.works.answering import RATES
from benchmarks.works.serving import WORKS

REPOSITORY = Path(__file__).resolve().parents[2]
EXACT = ("swaps_lost", "swaps_refused", "swaps_duplicates", "swaps_conflicting")


@pytest.mark.flink
@pytest.mark.kafka
@pytest.mark.timeout(1200)
def test_every_serving_work_gives_a_figure(tmp_path: Path) -> None:
    for built in ("flink", "kafka"):
        subprocess.run([REPOSITORY / "infra" / built / "build.sh"], check=True)
    command = [sys.executable, "-P", "-m", "benchmarks", "serve", "--quick", "--repeats", "1", "--folder", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(Path(ended.stdout.strip()).read_text())
    results = {result["work"]: result for result in report["results"]}
    assert list(results) == list(WORKS)
    for result in results.values():
        assert result["ours"] is not None and result["rounds"] >= 1, result
    for work in EXACT:
        assert (results[work]["ours"], results[work]["goal"], results[work]["met"]) == (0.0, 0, True), results[work]
    assert "1 releases damaged and refused" in results["swaps_refused"]["note"]
    assert results["swap_latency"]["rounds"] == 4
    assert results["swap_gap"]["rounds"] == 2
    assert 0 < results["latency_p50"]["ours"] <= results["latency_p99"]["ours"]
    for work in RATES:
        assert results[work]["ratio"] > 0
    assert (tmp_path / "serve.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("scratch")] == []
