"""One field of the spec chooses the engine; this is where it becomes Beam pipeline options."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Literal

from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.engines.job_server import find_job_server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

Job = Literal["prepare", "train", "score", "serve"]
Options = dict[str, str | int | float | bool | list[str] | None]

IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
CHECKPOINT_MS = 1000
BUNDLE_MS = 10


def pipeline_options(spec: FleetSpec, job: Job, home: Home, *, run: str = "") -> Options:
    """Return the options of a job: the engine's own, then those of ``engine_options`` in the spec.

    Args:
        spec: The fleet's spec.
        job: Which job.
        home: The root folder.
        run: What tells this job from others of the fleet, such as the run's name; a job on Dataflow is named after it.

    Raises:
        EngineUnavailableError: The job needs a job server and none answers.
    """
    if spec.engine == "dataflow":
        return dataflow_options(spec, job, home, run)
    if spec.engine == "flink" or job == "serve":
        options: Options = _flink(spec, job, home)
    else:
        # Named, never DirectRunner: that one chooses for itself and tries to download another runner.
        options = {"runner": IN_PROCESS, "direct_num_workers": 1}
    return {**options, **spec.engine_options}


def job_name(fleet: str, job: Job, home: Home) -> str:
    """Return the name of a job, the same for every call, other for another home on the same engine."""
    mark = hashlib.sha256(str(home.root).encode()).hexdigest()[:8]
    return f"modelfleet-{fleet.replace('_', '-')}-{job}-{mark}"


def command_line(options: Mapping[str, str | int | float | bool | list[str] | None]) -> list[str]:
    """Return options as arguments: True is a bare flag, False and None are left out, a list is repeated."""
    arguments = []
    for name, value in options.items():
        if value is True:
            arguments.append(f"--{name}")
        elif isinstance(value, list):
            arguments += [f"--{name}={each}" for each in value]
        elif value is not None and value is not False:
            arguments.append(f"--{name}={value}")
    return arguments


def write_worker_script(home: Home) -> Path:
    """Write the program that Beam starts for every worker, and return it.

    ``--environment_type=PROCESS`` takes a program without arguments, so the interpreter and the log's place are
    written into a script.
    """
    home.logs.mkdir(parents=True, exist_ok=True)
    script = home.flink / "worker.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    log = shlex.quote(str(home.logs / "beam-worker.log"))
    text = (
        "#!/bin/sh\n"
        "# Written by modelfleet; started by Beam's runner, once per worker.\n"
        f'exec {shlex.quote(sys.executable)} -m beam_jobs.worker_boot --log={log} "$@" >>{log} 2>&1\n'
    )
    temporary = script.with_name(f".worker.sh.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o755)
    temporary.replace(script)
    return script


def _flink(spec: FleetSpec, job: Job, home: Home) -> Options:
    """Return the options of a job on the job server; infra/flink/README.md says why each is there."""
    server = find_job_server(home)
    options: Options = {
        "runner": "PortableRunner",
        "job_endpoint": server.endpoint,
        "job_name": job_name(spec.fleet, job, home),
        "environment_type": "EXTERNAL" if server.workers else "PROCESS",
        "environment_config": server.workers or json.dumps({"command": str(write_worker_script(home))}),
        "parallelism": 1,
        "max_parallelism": 16,
    }
    if job != "serve":
        return options
    return options | {
        "streaming": True,
        "experiments": ["disable_global_windowed_args_caching"],
        "max_bundle_time_mills": BUNDLE_MS,
        "checkpointing_interval": CHECKPOINT_MS,
        "finish_bundle_before_checkpointing": True,
        "externalized_checkpoints_enabled": True,
        "retain_externalized_checkpoints_on_cancellation": True,
        "number_of_execution_retries": 1000,
        "execution_retry_delay": 500,
    }
