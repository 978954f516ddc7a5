"""The Dockerfiles: hadolint's rules, and what this project promises of every image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILES = [
    "beam_jobs/Dockerfile",
    "infra/flink/Dockerfile",
    "infra/images/airflow/Dockerfile",
    "infra/images/object-store/Dockerfile",
    "mlflow/Dockerfile",
]
LOCKS = {"beam_jobs": "worker", "infra/images/airflow": "airflow", "mlflow": "mlflow"}


def stages(text: str) -> list[str]:
    """Return the text of each stage, its FROM line first."""
    return re.split(r"(?m)^(?=FROM )", text)[1:]


def parents(text: str) -> list[str]:
    """Return the images that come from elsewhere."""
    own = re.findall(r"(?mi)^FROM \S+ AS (\S+)", text)
    return [image for image in re.findall(r"(?m)^FROM (\S+)", text) if image not in own]


def test_every_dockerfile_is_checked() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*Dockerfile"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(listed.stdout.split()) == DOCKERFILES


@pytest.mark.parametrize("path", DOCKERFILES)
class TestDockerfile:
    def test_hadolint_has_nothing_to_say(self, path: str, tool: Any) -> None:
        done = tool("hadolint", path)
        assert done.returncode == 0, done.stdout

    def test_what_it_is_built_from_is_pinned(self, path: str) -> None:
        for image in parents((REPOSITORY / path).read_text()):
            assert re.search(r":\d[\w.]*\d|@sha256:[0-9a-f]{64}$", image), image

    def test_it_does_not_run_as_root(self, path: str) -> None:
        text = (REPOSITORY / path).read_text()
        runs = [stage for stage in stages(text) if "ENTRYPOINT" in stage and "FROM worker" not in stage]
        assert runs
        for stage in runs:
            assert re.findall(r"(?m)^USER (\S+)", stage)[-1] == "10001:10001"

    def test_it_says_what_it_is_and_is_watched(self, path: str) -> None:
        text = (REPOSITORY / path).read_text()
        for label in ("title", "description", "licenses", "revision"):
            assert f"org.opencontainers.image.{label}=" in text, label
        assert "HEALTHCHECK" in text

    def test_it_copies_only_what_the_context_holds(self, path: str) -> None:
        """`.dockerignore` lets through a list; what is copied and not on it would break the build."""
        allowed = re.findall(r"(?m)^!(\S+)$", (REPOSITORY / ".dockerignore").read_text())
        for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", (REPOSITORY / path).read_text()):
            for source in line.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert any(source == name or source.startswith(f"{name}/") for name in allowed), source


def test_a_bad_dockerfile_is_found(tool: Any, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM python\nRUN cd / && pip install numpy\nUSER root\n")
    done = tool("hadolint", file)
    assert done.returncode == 1
    assert {"DL3006", "DL3013", "DL3002"} <= set(re.findall(r"DL\d+", done.stdout))
    assert parents(file.read_text()) == ["python"]


@pytest.mark.parametrize(("folder", "lock"), LOCKS.items())
def test_packages_come_from_a_lock_with_hashes(folder: str, lock: str) -> None:
    text = (REPOSITORY / folder / "Dockerfile").read_text()
    assert f"--require-hashes -r requirements/{lock}.lock" in text
    lines = (REPOSITORY / f"requirements/{lock}.lock").read_text().splitlines()
    packages = [number for number, line in enumerate(lines) if "==" in line]
    assert len(packages) > 50
    assert all("--hash=sha256:" in lines[number + 1] for number in packages)


@pytest.mark.parametrize("lock", LOCKS.values())
def test_an_image_has_the_versions_that_the_tests_ran_with(lock: str) -> None:
    def versions(name: str) -> dict[str, str]:
        text = (REPOSITORY / f"requirements/{name}.lock").read_text()
        return dict(re.findall(r"(?m)^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text))

    tested, image = versions("all"), versions(lock)
    assert {name: version for name, version in image.items() if tested.get(name, version) != version} == {}


def test_the_worker_has_no_airflow_and_the_server_no_beam() -> None:
    def names(lock: str) -> str:
        return (REPOSITORY / f"requirements/{lock}.lock").read_text()

    assert "apache-beam" in names("worker") and "apache-airflow" not in names("worker")
    assert "apache-beam" not in names("mlflow")
    assert "psycopg2-binary" in names("mlflow") and "psycopg2-binary" in names("airflow")
    assert "asyncpg" in names("airflow")


def test_the_harness_is_that_of_the_beam_in_the_lock() -> None:
    beam = re.search(r"(?m)^apache-beam(?:\[\w+\])?==(\S+)", (REPOSITORY / "requirements/worker.lock").read_text())
    assert beam and f"apache/beam_python3.11_sdk:{beam[1]} " in (REPOSITORY / "beam_jobs/Dockerfile").read_text()


def test_a_second_process_compiles_no_kernel() -> None:
    """What the build leaves in numba's cache is what a worker finds there, by the processor that both name."""
    text = (REPOSITORY / "beam_jobs/Dockerfile").read_text()
    named = dict(re.findall(r"(NUMBA_CPU_\w+)=(\S+)", text))
    cache = REPOSITORY / ".build/cloud/numba"
    environment = os.environ | named | {"NUMBA_CACHE_DIR": str(cache)}
    subprocess.run([sys.executable, "-m", "beam_jobs.warm"], cwd=REPOSITORY, env=environment, check=True)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")}
    assert before
    subprocess.run([sys.executable, "-m", "beam_jobs.warm"], cwd=REPOSITORY, env=environment, check=True)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")} == before


def test_workers_get_a_copy_of_the_cache_that_they_can_write_to(tmp_path: Path) -> None:
    """numba drops a cache that it cannot write to, and everything would run uncompiled."""
    seen = tmp_path / "seen"
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$NUMBA_CACHE_DIR" >{seen}\n')
    python.chmod(0o755)
    cache = tmp_path / "image/numba"
    cache.mkdir(parents=True)
    (cache / "a.nbi").write_text("x")
    (tmp_path / "tmp").mkdir()
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "MODELFLEET_HOME": str(tmp_path / "home"),
        "NUMBA_CACHE_DIR": str(cache),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    for _ in range(2):  # the second worker finds the first one's copy
        subprocess.run([REPOSITORY / "beam_jobs/worker.sh", "--id=1"], env=environment, check=True)
    assert seen.read_text().strip() == str(tmp_path / "tmp/numba")
    assert [str(path.relative_to(tmp_path / "tmp")) for path in (tmp_path / "tmp").rglob("*.nbi")] == ["numba/a.nbi"]
