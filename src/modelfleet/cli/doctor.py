"""``modelfleet doctor``: what is installed and reachable, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.table import Table

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.errors import EngineUnavailableError, MissingExtraError, RetryableError, StorageError
from modelfleet.home import Home

EXTRAS = {
    "apache-beam": "beam",
    "apache-airflow": "airflow",
    "mlflow": "mlflow",
    "great-expectations": "validation",
    "scikit-learn": "sklearn",
    "skops": "sklearn",
    "numba": "fast",
    "torch": "torch",
    "xgboost-cpu": "xgboost",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "skl2onnx": "onnx",
    "confluent-kafka": "kafka",
}
"""Optional libraries and the extra that brings each."""

OPTIONAL = frozenset(
    {"numba", "torch", "xgboost-cpu", "onnx", "onnxruntime", "skl2onnx", "confluent-kafka", "apache-airflow"}
)
"""Libraries without which the loop still runs."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        state: ``ok``, ``optional`` (missing or not known, and the loop may run without it) or ``missing``.
        seen: Version, address or reason.
        remedy: How to get it; empty when nothing is to be done.
    """

    what: str
    state: str
    seen: str
    remedy: str = ""


def doctor(
    spec: Annotated[
        Path | None, typer.Argument(help="A fleet's YAML file: what its engine needs is checked too.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check this machine: libraries, Java, the home folder, the services that should answer, and a fleet's cloud."""
    findings = [_python(), *_libraries(), _java(), _tool("mvn", "Maven"), _home(), *_bucket(), *_services()]
    if spec is not None:
        findings += _engine(spec)
    missing = [finding for finding in findings if finding.state == "missing"]
    if as_json:
        print_json({"ok": not missing, "findings": [asdict(finding) for finding in findings]})
    else:
        table = Table()
        for column in ("what", "state", "seen", "what to do"):
            table.add_column(column)
        colour = {"ok": "green", "optional": "yellow", "missing": "red"}
        for finding in findings:
            table.add_row(finding.what, f"[{colour[finding.state]}]{finding.state}[/]", finding.seen, finding.remedy)
        out.print(table)
    if missing:
        raise typer.Exit(2)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] == (3, 11):
        return Finding("Python", "ok", version)
    return Finding("Python", "missing", version, "install Python 3.11 and run `make setup`")


def _libraries() -> list[Finding]:
    findings = []
    for library, extra in EXTRAS.items():
        try:
            findings.append(Finding(library, "ok", importlib.metadata.version(library)))
        except importlib.metadata.PackageNotFoundError:
            state = "optional" if library in OPTIONAL else "missing"
            findings.append(Finding(library, state, "not installed", f"pip install 'modelfleet[{extra}]'"))
    return findings


def _java() -> Finding:
    found = shutil.which("java")
    if found is None:
        return Finding("Java", "missing", "not found", "install a Java 17 runtime, such as openjdk-17-jdk-headless")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    version = re.search(r'version "(\d+)[^"]*"', told)
    if version and int(version[1]) >= 17:
        return Finding("Java", "ok", version[0].removeprefix("version ").strip('"'))
    return Finding("Java", "missing", told.strip().splitlines()[0] if told.strip() else "no answer", "install Java 17")


def _tool(command: str, name: str) -> Finding:
    found = shutil.which(command)
    remedy = "" if found else f"install {name}; the local streaming engine is built with it"
    return Finding(name, "ok" if found else "missing", found or "not found", remedy)


def _home() -> Finding:
    root = Home.from_environment().root
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Finding("home folder", "ok", str(root))
    return Finding(
        "home folder",
        "missing",
        f"{root} cannot be written, because of {nearest}",
        "set MODELFLEET_HOME to a folder of yours",
    )


def _engine(path: Path) -> list[Finding]:
    """Look at what the engine of a fleet needs, for serving too where the spec says how the cloud's workers serve."""
    from modelfleet.engines.preflight import engine_checks
    from modelfleet.spec.file import load_spec

    spec, states = load_spec(path), {"ok": "ok", "unknown": "optional"}
    serves = spec.serving.source.kind != "folder"
    return [
        Finding(f"{spec.engine}: {check.what}", states.get(check.state, "missing"), check.seen, check.remedy)
        for check in engine_checks(spec, "serve" if serves else "train", Home.from_environment())
    ]


def _bucket() -> list[Finding]:
    """Look into the bucket of a home that is not a folder."""
    shared = Home.from_environment().shared
    if shared is None:
        return []
    from modelfleet.stores.opening import open_store

    try:
        open_store(shared).names()
    except (StorageError, RetryableError, MissingExtraError) as error:
        return [Finding("bucket", "missing", str(shared), str(error))]
    return [Finding("bucket", "ok", str(shared))]


def _services() -> list[Finding]:
    # A service that is not up is not a fault of the machine: it may just not have been started
    return [_job_server(), _kafka_broker(), _mlflow()]


def _job_server() -> Finding:
    from modelfleet.engines.job_server import find_job_server

    try:
        return Finding("Flink job server", "ok", find_job_server(Home.from_environment()).endpoint)
    except EngineUnavailableError as error:
        return Finding("Flink job server", "optional", str(error).split(":")[0], "`modelfleet serve` starts one")
    except OSError:  # the finding about the home folder says what is wrong with it
        return Finding("Flink job server", "optional", "the home folder cannot be read")


def _kafka_broker() -> Finding:
    from modelfleet.engines.kafka_broker import START, find_kafka_broker, kafka_broker_folder

    try:
        folder = kafka_broker_folder()
    except EngineUnavailableError:
        return Finding("Kafka broker", "optional", "not built", "for a local one: `infra/kafka/build.sh`")
    try:
        return Finding("Kafka broker", "ok", find_kafka_broker(Home.from_environment()).bootstrap_servers)
    except (EngineUnavailableError, MissingExtraError, OSError):
        return Finding("Kafka broker", "optional", f"built in {folder}; none runs", f"for a local one: {START}")


def _mlflow() -> Finding:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    parts = urlsplit(uri)
    if not uri.startswith("http"):
        return Finding("MLflow", "ok", uri or "a local file; MLFLOW_TRACKING_URI is not set")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2):
            return Finding("MLflow", "ok", uri)
    except OSError as error:
        remedy = "start it, or unset MLFLOW_TRACKING_URI to use a local file"
        return Finding("MLflow", "optional", f"{uri}: {error.strerror or error}", remedy)
