"""docker-compose.yaml: what compose-go loads, and what this project promises beyond that."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.local.settings import Ports, environment

REPOSITORY = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^[a-z0-9./-]+(:\d[\w.-]*)(@sha256:[0-9a-f]{64})?$")
ONE_SHOT = {"airflow-migrate", "object-store-bucket"}
ONLY_LOCAL = {
    "MODELFLEET_REPOSITORY",  # where supervisord's programs are
    "MODELFLEET_SOCKET",  # supervisord's own
    "MODELFLEET_JOB_PORT",  # the job server's, there in the same process group
    "MLFLOW_PORT",  # the tracking server's, here in its own container
}
"""What the local platform sets that Airflow's processes do not read."""

Project = dict[str, Any]


def services(compose: Project) -> dict[str, Project]:
    return dict(compose["services"])


def wrong_ports(compose: Project) -> list[str]:
    ports = [(name, port) for name, service in services(compose).items() for port in service.get("ports") or []]
    return [f"{name}: {port}" for name, port in ports if port.get("host_ip") != "127.0.0.1"]


def loose_images(compose: Project) -> list[str]:
    return [name for name, service in services(compose).items() if not PINNED.match(service["image"])]


def roots(compose: Project) -> list[str]:
    return [
        name for name, service in services(compose).items() if service.get("user", "0").split(":")[0] in ("0", "root")
    ]


def test_published_ports_are_on_loopback(compose: Project) -> None:
    assert wrong_ports(compose) == []


def test_images_are_pinned(compose: Project) -> None:
    assert loose_images(compose) == []


def test_nobody_is_root_or_can_become_it(compose: Project) -> None:
    assert roots(compose) == []
    for name, service in services(compose).items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged") and not service.get("cap_add"), name


def test_every_service_is_watched_and_has_a_limit(compose: Project) -> None:
    for name, service in services(compose).items():
        assert int(service["mem_limit"]) >= 2**29, name
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
        else:
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
            assert service["restart"] == "unless-stopped", name


def test_who_needs_a_service_waits_until_it_is_ready(compose: Project) -> None:
    for name, service in services(compose).items():
        for needed, how in (service.get("depends_on") or {}).items():
            wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, f"{name} needs {needed}"


def test_a_service_can_reach_what_it_waits_for(compose: Project) -> None:
    all_services = services(compose)
    for name, service in all_services.items():
        if service.get("network_mode"):
            assert service["network_mode"].removeprefix("service:") in service["depends_on"]
            continue
        for needed in service.get("depends_on") or {}:
            if needed not in ONE_SHOT:
                assert set(service["networks"]) & set(all_services[needed]["networks"]), f"{name} and {needed}"


def test_airflow_gets_what_the_local_platform_gives_it(compose: Project, tmp_path: Path) -> None:
    local = set(environment(tmp_path, Ports(), tmp_path / "socket"))
    ours = {name for name in local if name.startswith(("AIRFLOW", "MODELFLEET", "MLFLOW", "OMP", "OPENBLAS"))}
    for name in ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"):
        given = {each.removesuffix("_CMD") for each in services(compose)[name]["environment"]}
        assert ours - given - ONLY_LOCAL == set(), name


def test_the_images_that_are_built_here_exist(compose: Project) -> None:
    built = {service["build"]["dockerfile"] for service in services(compose).values() if service.get("build")}
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*Dockerfile"]
    done = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert built == set(done.stdout.split())


def test_what_is_mounted_from_here_exists_and_is_read_only(compose: Project) -> None:
    for name, service in services(compose).items():
        for mount in service.get("volumes") or []:
            if mount["type"] == "bind":
                assert Path(mount["source"]).exists(), f"{name}: {mount['source']}"
                assert mount["read_only"], f"{name}: {mount['source']}"


def test_secrets_are_files_and_never_values(compose: Project, env_file: Path) -> None:
    values = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if re.match(r"[A-Z]\w*=", line))
    secret = {values[secret["environment"]] for secret in compose["secrets"].values()}
    assert len(secret) == len(compose["secrets"]) and all(len(value) >= 32 for value in secret)
    assert [
        name for name, service in services(compose).items() for value in secret if value in json.dumps(service)
    ] == []
    for name, service in services(compose).items():
        read = set(re.findall(r"/run/secrets/(\w+)", json.dumps(service)))
        assert read <= {each["source"] for each in service.get("secrets") or []}, name


def test_the_env_file_is_private_and_written_once(tmp_path: Path) -> None:
    script, target = REPOSITORY / "infra/compose/make_env.sh", tmp_path / "env"
    subprocess.run([script, target], check=True, capture_output=True)
    first = target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    subprocess.run([script, target], check=True, capture_output=True)
    assert target.read_text() == first
    subprocess.run([script, tmp_path / "other"], check=True, capture_output=True)
    assert not set(re.findall(r"\w{32,}", first)) & set(re.findall(r"\w{32,}", (tmp_path / "other").read_text()))


def test_the_example_holds_no_secret() -> None:
    text = (REPOSITORY / "infra/compose/env.example").read_text()
    assert re.findall(r"^(?:\w*(?:PASSWORD|SECRET|KEY)\w*)=(.+)$", text, flags=re.MULTILINE) == []
    done = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("services: {a: {image: x, prots: []}}", "prots"),
        ("services: {a: {image: x, depends_on: [b]}}", "undefined"),
        ("services: {a: {image: x, networks: [nowhere]}}", "nowhere"),
        ("services: {a: {image: x, secrets: [nothing]}}", "nothing"),
        ("services: {a: {image: 'x:${NO_SUCH_VERSION:?give one}'}}", "give one"),
    ],
)
def test_what_compose_would_refuse_is_refused(tool: Any, tmp_path: Path, broken: str, told: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(f"name: t\n{broken}\n")
    done = tool("composecheck", file)
    assert done.returncode == 1
    assert told in done.stderr


def test_our_own_rules_can_fail(tool: Any, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: t\nservices: {a: {image: 'x:latest', ports: ['8080:8080']}}\n")
    loaded = json.loads(tool("composecheck", file).stdout)
    assert wrong_ports(loaded) and loose_images(loaded) == ["a"] and roots(loaded) == ["a"]
