"""Importing a class a spec names: only from modules the spec trusts, and only from installed packages."""

from __future__ import annotations

import importlib
import json
import re
from importlib.metadata import Distribution, distribution, distributions, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from modelfleet.errors import SpecError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection

PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def import_class(path: str, trusted: Collection[str], base: type, where: str) -> type[Any]:
    """Return a class by its import path, such as ``mypackage.nets:Net``.

    Importing runs code, and a bundle names what it needs: so nothing is imported that the spec does not list and that
    whoever set up this machine did not install. A folder that merely lies on the path is not enough.

    Args:
        path: Module and class, with a colon between.
        trusted: Modules that may be imported; a package stands for all within it.
        base: What the class must derive from.
        where: The field of the spec, for the message.

    Raises:
        SpecError: The path is malformed, not trusted, not of an installed package, or does not lead to such a class.
    """
    match = PATH.fullmatch(path)
    if match is None:
        raise SpecError(f"{where}: '{path}' is not an import path such as 'mypackage.nets:Net'")
    module, name = match.groups()
    if not any(module == allowed or module.startswith(f"{allowed}.") for allowed in trusted):
        raise SpecError(
            f"{where}: the module '{module}' is not trusted; if you know its code to be safe, name it in "
            "model.parameters.trusted_modules"
        )
    if not is_installed(module.partition(".")[0]):
        raise SpecError(
            f"{where}: '{module}' is not part of an installed package; install the package that holds it, here and "
            "wherever the fleet trains and serves"
        )
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # whatever the module's own code raises
        raise SpecError(f"{where}: '{module}' cannot be imported: {error}") from error
    found = getattr(imported, name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        classes = [key for key, value in vars(imported).items() if isinstance(value, type) and issubclass(value, base)]
        raise SpecError(
            f"{where}: '{module}' has no class '{name}' derived from {base.__name__}{nearest(name, classes)}"
        )
    return found


def is_installed(package: str) -> bool:
    """Return whether the files a top-level package would be imported from belong to an installed distribution."""
    spec = find_spec(package)
    if spec is None or spec.origin is None or not spec.has_location:  # a frozen module's origin is not a path
        return False
    origin = Path(spec.origin).resolve()
    owners = [Path(str(distribution(name).locate_file(""))) for name in packages_distributions().get(package, ())]
    owners += [folder for found in distributions() if (folder := _editable(found)) is not None]
    return any(origin.is_relative_to(folder.resolve()) for folder in owners)


def _editable(found: Distribution) -> Path | None:
    """Return the source folder of a distribution that was installed in place, None for any other."""
    text = found.read_text("direct_url.json")
    if text is None:
        return None
    said = json.loads(text)
    editable = said.get("dir_info", {}).get("editable", False)
    return Path(unquote(urlparse(said["url"]).path)) if editable else None
