"""Exit codes and messages of the commands that need no run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Command

SMALL = "fleet: sales\nentity: store\ntask: regression\ndata:\n  source: sales.csv\n  target: demand\n"


def test_version(modelfleet: Command) -> None:
    ended = modelfleet("--version")
    assert (ended.code, ended.out) == (0, "modelfleet 0.1.0\n")


def test_a_misspelt_key_exits_2_and_names_the_nearest(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL.replace("target", "traget"))
    ended = modelfleet("run", "sales.yaml")
    assert ended.code == 2
    assert "sales.yaml: data.traget: no such key; did you mean 'target'?" in ended.err


def test_a_missing_spec_names_the_ones_beside_it(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL)
    ended = modelfleet("status", "sale.yaml")
    assert ended.code == 2
    assert "did you mean 'sales.yaml'?" in ended.err


def test_a_missing_data_file_exits_2(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL)
    ended = modelfleet("run", "sales.yaml")
    assert ended.code == 2
    assert "sales.csv" in ended.err


def test_status_before_the_first_release(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL)
    assert "no release yet" in modelfleet("status", "sales.yaml").out
    assert modelfleet("history", "sales.yaml", "--json").json == []


def test_rollback_and_serve_before_the_first_release_exit_2(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL)
    for command in ("rollback", "serve"):
        ended = modelfleet(command, "sales.yaml")
        assert ended.code == 2, ended.err
        assert "modelfleet run fleets/sales.yaml" in ended.err


def test_overrides_that_are_no_json_exit_2(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SMALL)
    ended = modelfleet("run", "sales.yaml", "--overrides", "{model")
    assert ended.code == 2
    assert "--overrides: not valid JSON" in ended.err


def test_doctor_says_what_is_there(modelfleet: Command) -> None:
    ended = modelfleet("doctor", "--json")
    assert ended.code == 0, ended.out
    findings = {finding["what"]: finding for finding in json.loads(ended.out)["findings"]}
    assert findings["apache-beam"]["state"] == "ok"
    assert findings["Flink job server"]["state"] == "optional"
    assert findings["Kafka broker"]["state"] == "optional"
    assert "kafka" in findings["Kafka broker"]["remedy"]


def test_doctor_reports_a_home_that_cannot_be_written(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = modelfleet("doctor", "--json", env={"MODELFLEET_HOME": str(tmp_path / "file" / "home")})
    assert ended.code == 2
    home = next(f for f in json.loads(ended.out)["findings"] if f["what"] == "home folder")
    assert home["state"] == "missing"
