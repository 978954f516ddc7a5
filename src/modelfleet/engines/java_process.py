"""The Java process of the local job server: its jar, its configuration, its command line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import EngineUnavailableError

if TYPE_CHECKING:
    from modelfleet.engines.job_server import JobServer
    from modelfleet.home import Home

MAIN_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
HEAP = "1g"
_OPENED = [
    "lang",
    "lang.invoke",
    "lang.reflect",
    "util",
    "util.concurrent",
    "util.concurrent.atomic",
    "net",
    "io",
    "nio",
    "time",
    "text",
]
_TALKATIVE = ("security.token", "webmonitor")
"""Parts of Flink that warn at every start about what is not used here."""
_REPOSITORY = Path(__file__).resolve().parents[3]


def job_server_jar() -> Path:
    """Return the jar that ``infra/flink/build.sh`` builds, or what ``$MODELFLEET_JOB_SERVER_JAR`` names.

    Raises:
        EngineUnavailableError: It has not been built.
    """
    named = os.environ.get("MODELFLEET_JOB_SERVER_JAR")
    jar = Path(named) if named else _REPOSITORY / ".build" / "flink" / "job-server.jar"
    if not jar.is_file():
        raise EngineUnavailableError(f"{jar}: no such file; build the job server with `infra/flink/build.sh`")
    return jar


def java_program() -> str:
    """Return the Java that runs the local servers: that of ``$JAVA_HOME``, or the first on the path.

    Raises:
        EngineUnavailableError: There is none.
    """
    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else shutil.which("java")
    if not java:
        raise EngineUnavailableError("no 'java' on the path: install a Java 17 runtime or set JAVA_HOME")
    return java


def configure(home: Home, server: JobServer, *, savepoint: Path | None = None) -> None:
    """Write Flink's configuration, which the job server reads anew at every submission; a cluster has its own.

    Args:
        home: The root folder.
        server: Where the job server listens.
        savepoint: Checkpoint that the next job starts from. Flink embedded in the job server takes it from its
            configuration only: the pipeline option ``savepoint_path`` is for clusters.

    Raises:
        EngineUnavailableError: The template beside the job server is gone.
    """
    if server.is_cluster:
        return
    template = _REPOSITORY / "infra" / "flink" / "flink-conf.yaml"
    beside = job_server_jar().with_name("flink-conf.yaml")
    try:
        text = (beside if beside.is_file() else template).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EngineUnavailableError(f"{beside}: no such file; run `infra/flink/build.sh`") from None
    text = text.replace("{folder}", str(home.flink)).replace("{rest_ports}", "{}-{}".format(*server.rest_ports))
    if savepoint is not None:
        text += f"execution.savepoint.path: {savepoint}\n"
    write_whole(home.flink / "conf" / "flink-conf.yaml", text)


def java_command(home: Home, server: JobServer) -> list[str]:
    """Return the command line of the Java process."""
    return [
        java_program(),
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",  # a small heap and few cores: fewer threads, less memory
        "-XX:TieredStopAtLevel=1",  # half the CPU seconds up to the first answer: 9 rather than 19
        "-XX:+ExitOnOutOfMemoryError",  # a supervisor can start a dead server again, not a hung one
        *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        *(f"-Dorg.slf4j.simpleLogger.log.org.apache.flink.runtime.{name}=error" for name in _TALKATIVE),
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        f"-Djava.io.tmpdir={home.flink / 'tmp'}",
        "-cp",
        str(job_server_jar()),
        MAIN_CLASS,
        "--flink-master=[local]",
        f"--flink-conf-dir={home.flink / 'conf'}",
        f"--job-host={server.host}",
        f"--job-port={server.job_port}",
        f"--artifact-port={server.artifact_port}",
        "--expansion-port=-1",
        f"--artifacts-dir={home.flink / 'artifacts'}",
    ]


def write_whole(path: Path, text: str) -> None:
    """Write a small file that a reader sees whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
