"""How Pub/Sub names things: what Beam's connector would refuse when the job is built, the spec refuses."""

from __future__ import annotations

from typing import Final

PROJECT: Final = r"projects/[a-z][-a-z0-9:.]{4,61}[a-z0-9]"
RESOURCE: Final = r"[a-zA-Z][-a-zA-Z0-9_.~%+]{2,254}"
