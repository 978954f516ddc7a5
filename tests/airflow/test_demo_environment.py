"""What the demo does not install must not be needed by what the demo runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import importlib.abc, importlib.metadata, importlib_metadata, sys

hidden = set(sys.argv[1].split(","))

def without_hidden(every):
    return lambda **k: (d for d in every(**k) if d.metadata["Name"].lower().replace("_", "-") not in hidden)

for metadata in (importlib.metadata, importlib_metadata):
    metadata.distributions = without_hidden(metadata.distributions)

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("airflow.providers.google", "google.cloud", "torch", "confluent_kafka")):
            raise ModuleNotFoundError(f"{name} is not in the demo's environment", name=name)

sys.meta_path.insert(0, Hide())
from modelfleet.engines.options import IN_PROCESS
from modelfleet_airflow.operators.beam_pipeline import ControlledBeamOperator
from airflow.providers.apache.beam.operators.beam import GOOGLE_PROVIDER

assert GOOGLE_PROVIDER is None, "the provider was not hidden: this test shows nothing"
operator = ControlledBeamOperator(
    task_id="job", py_file="json.tool", py_options=["-m"], py_interpreter=sys.executable, runner=IN_PROCESS,
    pipeline_options={"help": None},
)
operator._execute_context = None
print("made", operator.runner)
"""


def names(lock: str) -> set[str]:
    text = (ROOT / "requirements" / lock).read_text()
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==", text, re.MULTILINE))


def test_the_operator_can_be_made_without_the_google_provider(airflow_db: None) -> None:
    hidden = names("all.lock") - names("demo.lock")
    assert "apache-airflow-providers-google" in hidden
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, ",".join(sorted(hidden))],
        cwd=ROOT / "plugins",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "made" in ended.stdout
