"""The local job server: Beam's Flink runner with Flink embedded in it, one Java process, loopback only.

``python -m modelfleet.engines.job_server --home=.modelfleet`` writes the configuration and the address, then becomes
the Java process, so whoever supervises it supervises Flink itself. Everything it leaves lies in ``<home>/flink``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from modelfleet.engines.cluster import JOB_SERVER, Cluster, named_cluster
from modelfleet.engines.java_process import configure, java_command, job_server_jar, write_whole
from modelfleet.engines.loopback import HOST, free_port, free_range, listens
from modelfleet.errors import EngineUnavailableError
from modelfleet.home import Home

JOB_PORT = 8099
REST_PORTS = (18081, 18099)


class JobServer(BaseModel):
    """Where a job server listens; written to ``<home>/flink/job-server.json`` when it starts.

    Attributes:
        pid: The Java process; None for a cluster that others run.
        host: Where Flink's REST API is: loopback, or a cluster's job manager.
        job_host: Where Beam's job service is; None means at ``host``.
        job_port: Beam's job service (gRPC).
        artifact_port: Beam's artifact service (gRPC); None where only the job server itself needs to know.
        rest_ports: First and last port on which the mini clusters of its jobs, or the cluster, offer Flink's REST API.
        workers: ``host:port`` of the pool that starts Python workers; None means that Flink starts them itself.
    """

    model_config = ConfigDict(frozen=True)

    pid: int | None = None
    host: str = HOST
    job_host: str | None = None
    job_port: int
    artifact_port: int | None = None
    rest_ports: tuple[int, int]
    workers: str | None = None

    @property
    def endpoint(self) -> str:
        """What ``--job_endpoint`` takes."""
        return f"{self.job_host or self.host}:{self.job_port}"

    @property
    def is_cluster(self) -> bool:
        """Whether others run it: its configuration is not ours to write, nor its processes ours to stop."""
        return self.pid is None

    def answers(self) -> bool:
        """Return whether something listens on the job port."""
        return listens(self.job_port, self.job_host or self.host)


def job_server_command(home: Home, *, job_port: int = JOB_PORT, rest_ports: tuple[int, int] = REST_PORTS) -> list[str]:
    """Return the command line that runs a job server until it is stopped, for a process supervisor.

    Args:
        home: The root folder; one job server per home.
        job_port: Port of Beam's job service; 0 takes a free one.
        rest_ports: Range for Flink's REST API, a port per running job; (0, 0) takes ten free ones.
    """
    command = [sys.executable, "-m", "modelfleet.engines.job_server", f"--home={home.root}"]
    return [*command, f"--job-port={job_port}", f"--rest-ports={rest_ports[0]}-{rest_ports[1]}"]


def find_job_server(home: Home) -> JobServer:
    """Return the job server of the cluster that the environment names, else that of this home.

    Raises:
        InputError: The environment names a cluster wrongly.
        EngineUnavailableError: None was started, or it does not answer.
    """
    cluster = named_cluster()
    if cluster is not None:
        return _of_cluster(cluster)
    server = _recorded(home)
    if server is None:
        raise EngineUnavailableError(
            f"no job server runs for {home.root}: start one with `make up` or `modelfleet serve`"
        )
    if not server.answers():
        raise EngineUnavailableError(
            f"the job server of {home.root} does not answer at {server.endpoint}: look into "
            f"{home.logs / 'job-server.log'} and start it again with `make up` or `modelfleet serve`"
        )
    return server


def wait_for_job_server(
    home: Home, *, process: subprocess.Popen[bytes] | None = None, seconds: float = 60.0
) -> JobServer:
    """Wait until the job server of this home answers.

    Args:
        home: The root folder.
        process: The process just started, so that its end is noticed at once; None where somebody else started it.
        seconds: How long to wait.

    Raises:
        EngineUnavailableError: It ended, or did not answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        server = _recorded(home)
        if server is not None and (process is None or server.pid == process.pid) and server.answers():
            return server
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    raise EngineUnavailableError(
        f"the job server of {home.root} did not start; its log is {home.logs / 'job-server.log'}"
    )


@contextlib.contextmanager
def running_job_server(home: Home, *, job_port: int = 0, rest_ports: tuple[int, int] = (0, 0)) -> Iterator[JobServer]:
    """Give the job server of this home, starting one for the length of the block where none runs.

    One that was running already is left running; one started here is stopped, and its jobs with it.

    Args:
        home: The root folder.
        job_port: As in ``job_server_command``.
        rest_ports: As in ``job_server_command``.

    Raises:
        EngineUnavailableError: It is not built, or does not start.
    """
    server = _recorded(home)
    if server is not None and server.answers():
        yield server
        return
    job_server_jar()
    home.logs.mkdir(parents=True, exist_ok=True)
    with (home.logs / "job-server.log").open("ab") as log:
        process = subprocess.Popen(
            job_server_command(home, job_port=job_port, rest_ports=rest_ports),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only us; we cancel the jobs first and then end it
        )
    try:
        yield wait_for_job_server(home, process=process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(arguments: list[str] | None = None) -> None:
    """Write configuration and address, then become the Java process."""
    parser = argparse.ArgumentParser(prog="python -m modelfleet.engines.job_server", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--job-port", type=int, default=JOB_PORT)
    parser.add_argument("--rest-ports", default="{}-{}".format(*REST_PORTS))
    options = parser.parse_args(arguments)
    home = Home(options.home.absolute())
    first, last = (int(port) for port in options.rest_ports.split("-"))
    if options.job_port and listens(options.job_port):
        raise EngineUnavailableError(f"port {options.job_port} is taken; stop what listens there or give --job-port=0")
    server = JobServer(
        pid=os.getpid(),
        job_port=options.job_port or free_port(),
        artifact_port=free_port(),
        rest_ports=(first, last) if first else free_range(10),
    )
    for leftover in ("artifacts", "tmp"):  # of a server that was killed: hundreds of megabytes per job
        shutil.rmtree(home.flink / leftover, ignore_errors=True)
        (home.flink / leftover).mkdir(parents=True)
    configure(home, server)
    command = java_command(home, server)
    write_whole(_address(home), server.model_dump_json(indent=1))
    os.execv(command[0], command)  # noqa: S606 - no shell; the process id stays what the supervisor knows


def _of_cluster(cluster: Cluster) -> JobServer:
    (job_host, job_port), (host, port) = cluster.job_server, cluster.rest
    server = JobServer(
        host=host, job_host=job_host, job_port=job_port, rest_ports=(port, port), workers=cluster.workers
    )
    if not server.answers():
        raise EngineUnavailableError(
            f"the cluster's job server does not answer at {server.endpoint}: look whether it runs, and whether "
            f"${JOB_SERVER} names it"
        )
    return server


def _address(home: Home) -> Path:
    return home.flink / "job-server.json"


def _recorded(home: Home) -> JobServer | None:
    try:
        return JobServer.model_validate_json(_address(home).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


if __name__ == "__main__":
    main()
