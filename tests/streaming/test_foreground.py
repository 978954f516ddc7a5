"""`modelfleet serve` in one terminal, and what is done to its job from another."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.flink


def test_a_served_fleet_is_restarted_and_drained_from_another_terminal(shop, job_server_jar, tmp_path):
    shop.release()
    spec = tmp_path / "shop.yaml"
    spec.write_text(json.dumps(shop.spec.model_dump(mode="json", exclude_unset=True)))  # JSON is YAML
    environment = {**os.environ, "MODELFLEET_HOME": str(shop.home.root)}
    command = [sys.executable, "-m", "modelfleet", "serve", str(spec)]

    def elsewhere(*words):
        done = subprocess.run(
            [*command, *words, "--json"], env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with subprocess.Popen([*command, "--json"], env=environment, stdout=subprocess.PIPE, text=True) as foreground:
        try:
            first = "".join(iter(foreground.stdout.readline, "}\n")) + "}"
            assert shop.ask(seconds=120)
            second = elsewhere("--restart")
            assert second["job_id"] != json.loads(first)["job_id"]
            assert shop.ask(seconds=120)
            assert foreground.poll() is None
            drained = elsewhere("--drain")
            assert drained["drained"]
            assert foreground.wait(60) == 0  # what a person ended has not ended by itself
        finally:
            if foreground.poll() is None:
                foreground.terminate()
    status = subprocess.run(
        [sys.executable, "-m", "modelfleet", "status", str(spec), "--json"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(status.stdout)
    assert told["job"] is None
    newest, before = told["savepoints"]
    assert (newest["path"], newest["needed"]) == (drained["state"], True)
    assert before["path"] == second["restored_from"]
