"""A run in which a test is skipped has failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("def test_one(): pass", 0),
        ("import pytest\n\n@pytest.mark.skip(reason='no browser')\ndef test_one(): pass", 1),
        ("import pytest\n\npytest.importorskip('no_such_library')", 1),
    ],
)
def test_a_skip_fails_the_run(tmp_path: Path, test: str, code: int) -> None:
    shutil.copy(CONFTEST, tmp_path / "conftest.py")
    (tmp_path / "test_one.py").write_text(test + "\n\ndef test_two(): pass\n" if code else test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
