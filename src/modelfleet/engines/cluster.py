"""A Flink cluster that others run, in containers or on Kubernetes: where its parts are, from the environment.

Without these variables jobs go to the job server of the home folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from modelfleet.errors import InputError

JOB_SERVER = "MODELFLEET_FLINK_JOB_SERVER"
REST = "MODELFLEET_FLINK_REST"
WORKERS = "MODELFLEET_FLINK_WORKERS"


@dataclass(frozen=True)
class Cluster:
    """Where the parts of a cluster are.

    Attributes:
        job_server: Host and port of Beam's job service.
        rest: Host and port of the job manager's REST API.
        workers: ``host:port`` of the pool that starts Python workers, as a task manager reaches it: each has its own
            beside it, on loopback, because Beam's harness listens for its workers there.
    """

    job_server: tuple[str, int]
    rest: tuple[str, int]
    workers: str


def named_cluster() -> Cluster | None:
    """Return the cluster that the environment names, or None where it names none.

    Raises:
        InputError: It names only a part of one, or an address is not ``host:port``.
    """
    given = {name: os.environ.get(name, "") for name in (JOB_SERVER, REST, WORKERS)}
    if not any(given.values()):
        return None
    parts = {name: _host_and_port(name, value) for name, value in given.items()}
    return Cluster(parts[JOB_SERVER], parts[REST], given[WORKERS])


def _host_and_port(name: str, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(
            f"${name} is '{value}', expected host:port; a Flink cluster is named by {JOB_SERVER}, {REST} and {WORKERS}"
        )
    return host, int(port)
