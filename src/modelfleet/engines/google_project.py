"""Asks Google once, and briefly, about what a Dataflow job needs of a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.engines.check import Check, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.engines.google_identity import Identity
    from modelfleet.spec.fleet import FleetSpec

OK, NOT_FOUND, TOO_MANY, SERVER_ERRORS = 200, 404, 429, 500
"""Codes of HTTP."""

OBJECT_PERMISSIONS = ("storage.objects.create", "storage.objects.get", "storage.objects.list")


@dataclass(frozen=True)
class _Answer:
    state: State
    seen: str = ""
    body: dict[str, Any] | None = None
    absent: bool = False


class GoogleProject:
    """The project and region that a spec's ``engine_options`` name.

    Args:
        spec: The fleet's spec.
        identity: Who asks.
        seconds: Longest wait for an answer.
    """

    def __init__(self, spec: FleetSpec, identity: Identity, *, seconds: float) -> None:
        from google.auth.transport.requests import AuthorizedSession

        self._project = str(spec.engine_options["project"])
        self._region = str(spec.engine_options["region"])
        self._who = identity.name or "the caller"
        self._seconds = seconds
        self._session: Any = AuthorizedSession(identity.credentials)

    def dataflow(self) -> Check:
        """Ask for the newest job of the region: that tells of project, region, API and permission at once."""
        where = f"project '{self._project}', region '{self._region}'"
        url = f"https://dataflow.googleapis.com/v1b3/projects/{self._project}/locations/{self._region}/jobs?pageSize=1"
        return self._check("Dataflow", url, where, f"grant {self._who} roles/dataflow.developer on the project")

    def bucket(self, name: str) -> Check:
        """Ask whether files can be put into a bucket and read again."""
        asked = "&".join(f"permissions={permission}" for permission in OBJECT_PERMISSIONS)
        answer = self._get(f"https://storage.googleapis.com/storage/v1/b/{name}/iam/testPermissions?{asked}")
        remedy = f"grant {self._who} roles/storage.objectAdmin on it"
        if answer.body is None:
            return _problem("bucket", f"gs://{name}", answer, remedy)
        missing = [each for each in OBJECT_PERMISSIONS if each not in answer.body.get("permissions", ())]
        if missing:
            return Check("bucket", "wrong", f"gs://{name}: {self._who} lacks {', '.join(missing)}", remedy)
        return Check("bucket", "ok", f"gs://{name}: files can be put there and read")

    def pubsub(self, name: str) -> Check:
        """Ask whether a topic or a subscription is there.

        Args:
            name: ``projects/P/topics/T`` or ``projects/P/subscriptions/S``.
        """
        return self._check(
            "Pub/Sub", f"https://pubsub.googleapis.com/v1/{name}", name, f"grant {self._who} roles/pubsub.viewer on it"
        )

    def apis(self, names: Sequence[str]) -> Check:
        """Ask which APIs are switched on; who may not ask that learns it from the other answers.

        Args:
            names: Such as ``dataflow``.
        """
        asked = "&".join(f"names=projects/{self._project}/services/{name}.googleapis.com" for name in names)
        answer = self._get(f"https://serviceusage.googleapis.com/v1/projects/{self._project}/services:batchGet?{asked}")
        if answer.body is None:
            return Check("APIs", "unreachable" if answer.state == "unreachable" else "unknown", answer.seen)
        services = answer.body.get("services", ())
        off = [each["name"].rpartition("/")[2] for each in services if each.get("state") != "ENABLED"]
        if off:
            remedy = f"`gcloud services enable {' '.join(off)} --project={self._project}`"
            return Check("APIs", "wrong", f"switched off: {', '.join(off)}", remedy)
        return Check("APIs", "ok", ", ".join(names))

    def _check(self, what: str, url: str, where: str, remedy: str) -> Check:
        answer = self._get(url)
        return Check(what, "ok", where) if answer.body is not None else _problem(what, where, answer, remedy)

    def _get(self, url: str) -> _Answer:
        import requests
        from google.auth.exceptions import GoogleAuthError

        try:
            response = self._session.get(url, timeout=self._seconds, max_allowed_time=self._seconds)
            body = response.json() if response.content else {}
        except (requests.RequestException, GoogleAuthError, ValueError) as silence:
            return _Answer("unreachable", f"no answer within {self._seconds:.1f} s: {str(silence)[:200]}")
        body = body if isinstance(body, dict) else {}
        code = response.status_code
        if code == OK:
            return _Answer("ok", body=body)
        error = body.get("error")
        told = str(error.get("message", "")) if isinstance(error, dict) else ""
        return _Answer(
            "unreachable" if code == TOO_MANY or code >= SERVER_ERRORS else "wrong",
            f"{code}: {(told or response.reason)[:300]}",
            absent=code == NOT_FOUND,
        )


def _problem(what: str, where: str, answer: _Answer, remedy: str) -> Check:
    if answer.absent:
        return Check(what, "wrong", f"{where} is not there", "make it, or correct its name in the spec")
    return Check(what, answer.state, f"{where}: {answer.seen}", remedy if answer.state == "wrong" else "")
