"""What checks the files of the deployment: built once into ``.build/cloud`` by infra/local/cloud_tools.sh."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("MODELFLEET_BUILD", REPOSITORY / ".build")) / "cloud"

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Run one of the tools by its name; what is missing fails the test with what to install."""
    made = subprocess.run(
        [REPOSITORY / "infra/local/cloud_tools.sh"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.fail(made.stdout + made.stderr, pytrace=False)

    def run(name: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        program = next(path for path in (TOOLS / "bin" / name, TOOLS / "python/bin" / name) if path.exists())
        return subprocess.run(
            [program, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False, **options
        )

    return run


@pytest.fixture(scope="session")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a .env as ``infra/compose/make_env.sh`` writes it."""
    path = tmp_path_factory.mktemp("compose") / "env"
    subprocess.run([REPOSITORY / "infra/compose/make_env.sh", path], capture_output=True, check=True)
    return path


@pytest.fixture(scope="session")
def compose(tool: Tool, env_file: Path) -> dict[str, Any]:
    """Return docker-compose.yaml as docker compose understands it, all profiles on."""
    done = tool("composecheck", "docker-compose.yaml", env_file)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
