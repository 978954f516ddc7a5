"""Runs a batch pipeline to its end; on Dataflow, where a job outlives its launcher, exactly one of a name."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, SetupOptions, StandardOptions

from modelfleet.compiling import NOTE
from modelfleet.engines.dataflow_jobs import DataflowJob, DataflowJobs, console_url
from modelfleet.errors import CloudSetupError, EngineUnavailableError

logger = logging.getLogger(__name__)

DATAFLOW_LOG = "apache_beam.runners.dataflow.dataflow_runner"
"""Beam's logger that tells of a job's states and messages while it is waited for."""


END_SECONDS = 900.0
"""Longest wait for a job that somebody has cancelled: Dataflow takes minutes to give its machines back."""

POLL_SECONDS = 2.0


class Stopped(BaseException):
    """Somebody wants this launcher to end; no ``Exception``, so that nothing takes it for a failure of the job."""


def run_to_end(options: PipelineOptions, build: Callable[[beam.Pipeline], None]) -> None:
    """Run a pipeline and wait for its end.

    On Dataflow a job of the same name that is still active is waited for instead: it was submitted by a launcher that
    died. One that was asked to end is waited out first, for Dataflow gives a name to one job at a time. A launcher that
    is asked to end (SIGTERM, Ctrl-C) cancels its job, unless whoever started it has died: the next try will find the
    job.

    Args:
        options: Beam's.
        build: Fills the pipeline; not called where a job is running already.

    Raises:
        CloudSetupError: Dataflow refuses the job; or a template of it is wanted, which would find no folder of the run.
        EngineUnavailableError: Dataflow does not answer.
        Exception: What the job failed with.
    """
    if options.view_as(StandardOptions).runner != "DataflowRunner":
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        pipeline.run().wait_until_finish()
    elif options.view_as(GoogleCloudOptions).template_location:
        raise CloudSetupError(
            "template_location is set, and a batch job has no template: it needs the run's folder before and after; "
            "submit it by `modelfleet run` or by the DAGs"
        )
    else:
        _run_on_dataflow(options, build)


def _run_on_dataflow(options: PipelineOptions, build: Callable[[beam.Pipeline], None]) -> None:
    logging.getLogger(DATAFLOW_LOG).setLevel(logging.INFO)  # states and messages of the job
    # Else all names of the launcher's module are pickled and staged; the worker image has the module itself
    options.view_as(SetupOptions).save_main_session = False
    starter, result = os.getppid(), None
    with _stoppable():
        try:
            result = _active(options)
            if result is None:
                pipeline = beam.Pipeline(options=options)
                build(pipeline)
                result = _submitted_once(pipeline, options)
            _tell(result.job_id(), options)
            result.wait_until_finish()
        except Stopped:
            if result is not None and os.getppid() == starter:
                logger.warning("cancelling job %s", result.job_id())
                result.cancel()
            raise SystemExit(128 + signal.SIGTERM) from None


def _submitted_once(pipeline: beam.Pipeline, options: PipelineOptions) -> Any:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

    try:
        return submitted(pipeline)
    except DataflowJobAlreadyExistsError:  # by another launcher, meanwhile
        result = _active(options)
        if result is None:
            raise
        return result


def _tell(job_id: str, options: PipelineOptions) -> None:
    logger.info("Created job with id: [%s]", job_id)  # in the words by which Airflow's operator finds the id
    cloud = options.view_as(GoogleCloudOptions)
    logger.log(NOTE, "on Dataflow: %s", console_url(cloud.project, cloud.region, job_id))


def submitted(pipeline: beam.Pipeline) -> Any:
    """Submit a pipeline to Dataflow and return Beam's handle of the job.

    Raises:
        CloudSetupError: Dataflow refuses it.
        EngineUnavailableError: Dataflow does not answer.
    """
    from google.api_core import exceptions

    try:
        return pipeline.run()
    except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError) as error:
        raise EngineUnavailableError(f"Dataflow took no job: {error}") from error
    except exceptions.GoogleAPICallError as error:
        raise CloudSetupError(f"Dataflow refuses the job: {error}") from error


def _active(options: PipelineOptions) -> Any | None:
    """Return Beam's handle of the job that has the name of the options; None once there is none."""
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult, DataflowRunner
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    cloud = options.view_as(GoogleCloudOptions)
    jobs = DataflowJobs(cloud.project, cloud.region)
    job = jobs.find(cloud.job_name)
    if job is None:
        return None
    if job.ending:
        _wait_for_its_end(jobs, job)
        return None
    logger.warning("job %s of the name %s is active already; waiting for it", job.job_id, job.name)
    runner = DataflowRunner()
    runner.dataflow_client = DataflowApplicationClient(options)
    return DataflowPipelineResult(runner.dataflow_client.get_job(job.job_id), runner, options)


def _wait_for_its_end(jobs: DataflowJobs, job: DataflowJob) -> None:
    logger.warning("job %s of the name %s is still %s; waiting for its end", job.job_id, job.name, job.state)
    deadline = time.monotonic() + END_SECONDS
    while not (now := jobs.get(job.job_id)).ended:
        if time.monotonic() > deadline:
            raise EngineUnavailableError(
                f"job {job.job_id} has the name '{job.name}' and is still {now.state} after {END_SECONDS:.0f} s: "
                f"see {job.url}"
            )
        time.sleep(POLL_SECONDS)


@contextmanager
def _stoppable() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
