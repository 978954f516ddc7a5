"""The jobs of a project and region on Dataflow: finding one by its name, looking at it, ending it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelfleet.engines.google_identity import find_identity
from modelfleet.errors import CloudSetupError, EngineUnavailableError, MissingExtraError

SECONDS = 10.0
"""Longest wait for one answer."""

TRANSPORT = "rest"

IDENTITY_SECONDS = 2.0

ENDED = frozenset({"DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED", "STOPPED"})
ENDING = frozenset({"CANCELLING", "DRAINING"})

GRAPH_LABEL = "modelfleet_graph"


@dataclass(frozen=True)
class DataflowJob:
    """A job on Dataflow.

    Attributes:
        job_id: Dataflow's id of it.
        name: The pipeline option ``job_name``; of one name, at most one job is active.
        state: Such as ``RUNNING``.
        started_at: When it was submitted.
        url: Its page in Google's console.
        replaces: The id of the job that it went on from; None where it began with nothing.
        graph: The label with the hash of its graph; None where it has none.
    """

    job_id: str
    name: str
    state: str
    started_at: datetime
    url: str
    replaces: str | None = None
    graph: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.state in ENDED

    @property
    def ending(self) -> bool:
        """Whether somebody has asked it to end."""
        return self.state in ENDING


class DataflowJobs:
    """The jobs of one project and region.

    Args:
        project: The project's id.
        region: Such as ``europe-west1``.

    Raises:
        CredentialsError: There are no credentials, or they are refused.
        EngineUnavailableError: Google does not answer.
        MissingExtraError: Google's libraries are not installed.
    """

    def __init__(self, project: str, region: str) -> None:
        try:
            from google.cloud import dataflow_v1beta3
        except ImportError:
            raise MissingExtraError("google-cloud-dataflow-client", "gcp") from None
        self._api = dataflow_v1beta3
        self._where = {"project_id": project, "location": region}
        identity = find_identity(seconds=IDENTITY_SECONDS)
        self._credentials = identity.credentials
        # By REST: a process that speaks gRPC may die when it starts another, as it does with every launcher
        self._client = dataflow_v1beta3.JobsV1Beta3Client(credentials=identity.credentials, transport=TRANSPORT)

    def find(self, name: str) -> DataflowJob | None:
        """Return the job of this name that has not ended, the newest if one replaces another; None where there is none.

        Raises:
            CloudSetupError: The caller may not look.
            EngineUnavailableError: Dataflow does not answer.
        """
        active = self._api.ListJobsRequest.Filter.ACTIVE
        request = self._api.ListJobsRequest(**self._where, filter=active, name=name)
        with self._translated(f"looking for job '{name}'"):
            listed = [job for job in self._client.list_jobs(request, timeout=SECONDS) if job.name == name]
        jobs = sorted((self.get(job.id) for job in listed), key=lambda job: job.started_at, reverse=True)
        return next((job for job in jobs if not job.ended), None)

    def get(self, job_id: str) -> DataflowJob:
        """Return a job as it is now.

        Raises:
            CloudSetupError: It is not there, or the caller may not look.
            EngineUnavailableError: Dataflow does not answer.
        """
        view = self._api.JobView.JOB_VIEW_ALL
        request = self._api.GetJobRequest(**self._where, job_id=job_id, view=view)
        with self._translated(f"looking at job {job_id}"):
            return self._told(self._client.get_job(request, timeout=SECONDS))

    def cancel(self, job: DataflowJob, *, seconds: float) -> None:
        """Cancel a job and wait until it has ended; one that has ended is fine.

        Raises:
            EngineUnavailableError: Dataflow does not answer, or the job has not ended in time.
        """
        self._end(job, "JOB_STATE_CANCELLED", seconds)

    def drain(self, job: DataflowJob, *, seconds: float) -> None:
        """Stop what a job reads, let everything that was read be answered, and wait until it has ended.

        Raises:
            EngineUnavailableError: Dataflow does not answer, or the job has not ended in time.
        """
        self._end(job, "JOB_STATE_DRAINED", seconds)

    def errors(self, job: DataflowJob) -> list[str]:
        """Return what Dataflow says is wrong with a job, the oldest first."""
        importance = self._api.JobMessageImportance.JOB_MESSAGE_ERROR
        request = self._api.ListJobMessagesRequest(**self._where, job_id=job.job_id, minimum_importance=importance)
        client = self._api.MessagesV1Beta3Client(credentials=self._credentials, transport=TRANSPORT)
        with self._translated(f"reading the messages of job {job.job_id}"):
            return [message.message_text for message in client.list_job_messages(request, timeout=SECONDS)]

    def _end(self, job: DataflowJob, state: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        now = self.get(job.job_id)
        if not now.ended:
            wanted = self._api.Job(requested_state=self._api.JobState[state])
            request = self._api.UpdateJobRequest(**self._where, job_id=job.job_id, job=wanted)
            with self._translated(f"ending job {job.job_id}"):
                self._client.update_job(request, timeout=SECONDS)
        pause = 0.2
        while not (now := self.get(job.job_id)).ended:
            if time.monotonic() > deadline:
                raise EngineUnavailableError(
                    f"job '{job.name}' is still {now.state} {seconds:.0f} s after it was asked to end: see {job.url}"
                )
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _told(self, job: Any) -> DataflowJob:
        created = job.create_time
        return DataflowJob(
            job_id=job.id,
            name=job.name,
            state=self._api.JobState(job.current_state).name.removeprefix("JOB_STATE_"),
            started_at=datetime.fromtimestamp(created.timestamp(), UTC) if created else datetime.now(UTC),
            url=console_url(self._where["project_id"], self._where["location"], job.id),
            replaces=job.replace_job_id or None,
            graph=job.labels.get(GRAPH_LABEL),
        )

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError) as error:
            raise EngineUnavailableError(f"{doing}: Dataflow does not answer: {error}") from error
        except exceptions.GoogleAPICallError as error:
            raise CloudSetupError(f"{doing}: Dataflow refuses: {error}") from error
        except GoogleAuthError as error:
            raise EngineUnavailableError(f"{doing}: Google gives no token: {error}") from error


def console_url(project: str, region: str, job_id: str) -> str:
    """Return the page of a job in Google's console."""
    return f"https://console.cloud.google.com/dataflow/jobs/{region}/{job_id}?project={project}"
