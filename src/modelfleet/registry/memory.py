"""A registry that forgets: for trying the loop without MLflow, and the second one its contract is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelfleet.registry.base import Logged, RunReport

if TYPE_CHECKING:
    from modelfleet.bundles.reader import Bundle
    from modelfleet.releases.manifest import Release


class MemoryRegistry:
    """Keeps everything in this process.

    Attributes:
        runs: Reports by fleet and run.
        versions: By fleet, the sha256 of each version's bundle; version 1 comes first.
        aliases: By fleet, the champion's version.
        floors: By fleet, the highest generation told.
    """

    uri = "memory:"

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], RunReport] = {}
        self.versions: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}
        self.floors: dict[str, int] = {}

    def log_run(self, report: RunReport, bundle: Bundle | None) -> Logged:
        """See ``Registry``."""
        self.runs.setdefault((report.fleet, report.run_id), report)
        version = None if bundle is None else self._version(report.fleet, bundle.sha256)
        page = f"{self.uri}{report.fleet}"
        return Logged(report.run_id, f"{page}/{report.run_id}", page, version)

    def reconcile(self, fleet: str, releases: Sequence[Release]) -> None:
        """See ``Registry``."""
        if not releases:
            return
        newest = releases[-1]
        self.floors[fleet] = max(self.floor(fleet), newest.generation)
        if newest.model_version is None:
            self.aliases.pop(fleet, None)
        else:
            self.aliases[fleet] = newest.model_version

    def champion(self, fleet: str) -> str | None:
        """See ``Registry``."""
        return self.aliases.get(fleet)

    def aliased(self, fleet: str) -> dict[str, str]:
        """See ``Registry``."""
        version = self.champion(fleet)
        return {} if version is None else {self.versions[fleet][int(version) - 1]: "champion"}

    def floor(self, fleet: str) -> int:
        """See ``Registry``."""
        return self.floors.get(fleet, 0)

    def _version(self, fleet: str, sha256: str) -> str:
        versions = self.versions.setdefault(fleet, [])
        if sha256 not in versions:
            versions.append(sha256)
        return str(versions.index(sha256) + 1)
