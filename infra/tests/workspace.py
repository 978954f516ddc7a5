"""A copy of infra/ in which Terraform may leave what it leaves, run with the stand-in for the google provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("MODELFLEET_BUILD") or INFRA.parent / ".build") / "terraform"

MODULES = sorted(f"modules/{path.name}" for path in (INFRA / "modules").iterdir())
ENVIRONMENTS = sorted(f"environments/{path.name}" for path in (INFRA / "environments").iterdir() if path.is_dir())


@dataclass(frozen=True)
class Tested:
    """What `terraform test` said of a folder.

    Attributes:
        outcomes: Each run's: ``pass``, ``fail``, ``error`` or ``skip``.
        plans: The plan of each run, as Terraform's JSON has it.
        complaints: Errors, one text each.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class Workspace:
    """A copy of the modules and environments.

    Args:
        folder: Where the copy is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tested: dict[str, Tested] = {}
        self._ready: set[str] = set()
        for part in ("modules", "environments"):
            shutil.copytree(
                INFRA / part, folder / part, ignore=shutil.ignore_patterns(".terraform*", "terraform.tfstate*")
            )

    def terraform(self, folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in a folder of the copy, with nothing of the caller's own Terraform."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment = own | {
            "TF_CLI_CONFIG_FILE": str(BUILD / "terraformrc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            # A test run starts the provider some twenty times; a certificate for each costs more than all the rest
            "TF_DISABLE_PLUGIN_TLS": "1",
            "GOGC": "400",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder / folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def ready(self, folder: str) -> None:
        """Initialise a folder, once."""
        if folder not in self._ready:
            done = self.terraform(folder, "init", "-backend=false", "-input=false", "-no-color")
            if done.returncode:
                raise AssertionError(f"terraform init in {folder}: {done.stdout}{done.stderr}")
            self._ready.add(folder)

    def validate(self, folder: str) -> list[str]:
        """Return what is wrong with a folder, by `terraform validate`."""
        self.ready(folder)
        done = self.terraform(folder, "validate", "-json")
        return [complaint(found) for found in json.loads(done.stdout)["diagnostics"]]

    def test(self, folder: str) -> Tested:
        """Run the tests of a folder, once."""
        if folder not in self._tested:
            self.ready(folder)
            done = self.terraform(folder, "test", "-json", "-verbose")
            self._tested[folder] = _read(done.stdout)
        return self._tested[folder]


def complaint(diagnostic: dict[str, Any]) -> str:
    """Return an error of Terraform's as one text."""
    where = diagnostic.get("range") or {}
    place = f"{where['filename']}:{where['start']['line']}: " if where else ""
    return f"{place}{diagnostic['summary']}. {diagnostic.get('detail', '')}".strip()


def _read(output: str) -> Tested:
    tested = Tested()
    for line in output.splitlines():
        event = json.loads(line)
        if event["type"] == "test_run" and event["test_run"].get("progress", "complete") == "complete":
            tested.outcomes[event["test_run"]["run"]] = event["test_run"]["status"]
        elif event["type"] == "test_plan":
            tested.plans[event["@testrun"]] = event["test_plan"]
        elif event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
            tested.complaints.append(complaint(event["diagnostic"]))
    return tested
