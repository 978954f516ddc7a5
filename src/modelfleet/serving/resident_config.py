"""What a process is told about the resident fleet it shall have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResidentConfig:
    """Which resident fleet a process wants; equal ones share it.

    Attributes:
        fleet: The fleet's name.
        releases: Folder of the ledger, here or below a bucket (``gs://``, ``s3://``).
        leases: Folder of the leases, likewise.
        job: The streaming job.
        lease_seconds: The lease's period.
        poll_seconds: How often the ledger is looked at without a notice.
        memory_mb: Most megabytes (of 10^6 bytes) that the models of all the machine's processes of the fleet may take
            together; None for no limit.
        denylist: Folder of the denylist, likewise; empty for none.
        predict_seconds: Longest prediction; None for any time.
        cache: Folder where this machine keeps bundles that are named by a URL; empty reads them there each time.
        cache_mb: Most megabytes (of 10^6 bytes) of files there.
        public_keys: Whose releases are believed, as ``Keyring.texts`` tells them, so that a worker needs no key file;
            empty means those of the process's environment.
    """

    fleet: str
    releases: str
    leases: str
    job: str = ""
    lease_seconds: float = 10.0
    poll_seconds: float = 0.5
    memory_mb: int | None = None
    denylist: str = ""
    predict_seconds: float | None = None
    cache: str = ""
    cache_mb: int = 10_000
    public_keys: tuple[str, ...] = ()
