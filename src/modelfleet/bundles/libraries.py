"""Versions of the libraries that a stored model depends on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from modelfleet.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelfleet.families.base import Family

WRITING = ("numpy", "pyarrow")
"""Recorded in every bundle; their file formats are stable, so a difference is no reason to refuse one."""


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution, sorted by name; those not installed are left out."""
    versions = {}
    for name in sorted(names):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def libraries_of(family: Family) -> dict[str, str]:
    """Return the versions a family's stored models are bound to.

    A family names them in an optional class attribute ``libraries``, a tuple of distribution names. Ours that store
    plain arrays name none.
    """
    return installed(getattr(family, "libraries", ()))


def check_libraries(stored: Mapping[str, str], where: str) -> None:
    """Refuse models whose libraries here are of another series (major.minor) than those that wrote them.

    Args:
        stored: Distribution name to version.
        where: The file, for the message.

    Raises:
        BundleError: A library is missing or of another series.
    """
    here = installed(stored)
    for name, written in stored.items():
        found = here.get(name)
        if found is None:
            raise BundleError(
                f"{where}: needs {name} {written}, which is not installed: pip install '{name}=={written}'"
            )
        if _series(found) != _series(written):
            raise BundleError(
                f"{where}: written with {name} {written}, but {found} is installed here: "
                f"pip install '{name}=={written}', or retrain the fleet with {found}"
            )


def _series(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")[:2])
