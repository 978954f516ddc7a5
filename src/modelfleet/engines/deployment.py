"""What has been deployed where this runs: the package, and the worker image that belongs to it.

A deployment (``.github/workflows/deploy.yml``) pushes images, installs the package, then writes a note that names both,
and copies DAGs last. So the image of new code reaches every fleet with the package, and a process that has one without
the other knows.
"""

from __future__ import annotations

import os
from importlib.metadata import version

from pydantic import BaseModel, ValidationError

from modelfleet.engines.check import Check
from modelfleet.errors import CloudSetupError, StoreUnavailableError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import place

DEPLOYED = "MODELFLEET_DEPLOYED"
"""Names the note: a file, or ``gs://bucket/deployed.json``. Where it is not set, nobody deploys."""


class Images(BaseModel):
    """The images of a deployment by digest; others than this one are for other readers.

    Attributes:
        worker: That of Dataflow's workers.
    """

    worker: str


class Deployment(BaseModel):
    """The note.

    Attributes:
        version: Of the package modelfleet that was installed.
        images: What was pushed with it.
    """

    version: str
    images: Images


def current_deployment() -> Deployment | None:
    """Return the note; None where nobody deploys.

    Raises:
        CloudSetupError: It is not there, or is none.
        StoreRefusedError: Its bucket is not there, or is closed to this account.
        StoreUnavailableError: Its bucket does not answer.
    """
    named = os.environ.get(DEPLOYED)
    if not named:
        return None
    file = place(named)
    try:
        return Deployment.model_validate_json(open_store(file.parent).read(file.name))
    except FileNotFoundError:
        raise CloudSetupError(f"${DEPLOYED} is '{named}', which is not there: nothing was deployed here yet") from None
    except ValidationError as error:
        raise CloudSetupError(f"{named} is not what a deployment writes: {error}") from error


def deployed_image() -> str | None:
    """Return the worker image that was deployed; None where there is none.

    Raises:
        StoreRefusedError: The bucket of the note is not there, or is closed to this account.
        StoreUnavailableError: It does not answer.
    """
    try:
        deployment = current_deployment()
    except CloudSetupError:
        return None  # the preflight tells
    return None if deployment is None else deployment.images.worker


def image_check() -> Check:
    """Check that a worker image was deployed with the package that would submit; for specs that name none."""
    remedy = "build beam_jobs/Dockerfile, push it, and name it in engine_options.sdk_container_image"
    try:
        deployment = current_deployment()
    except StoreUnavailableError as error:
        return Check("worker image", "unreachable", str(error))
    except (CloudSetupError, OSError) as error:
        return Check("worker image", "wrong", str(error), f"deploy, or {remedy}")
    if deployment is None:
        return Check("worker image", "wrong", "none is named, and Beam's own has no modelfleet in it", remedy)
    here = version("modelfleet")
    if deployment.version != here:
        seen = f"deployed with modelfleet {deployment.version}, and {here} is installed here"
        return Check("worker image", "unreachable", seen, "wait until the deployment has ended, and try again")
    return Check("worker image", "ok", deployment.images.worker)
