"""What an environment needs to load a bundle from MLflow; stated, because inferring it costs a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.bundles.libraries import installed

if TYPE_CHECKING:
    from modelfleet.bundles.reader import Bundle

ALWAYS = ("mlflow", "numpy", "orjson", "pandas", "pyarrow", "pydantic", "ruamel.yaml")


def requirements(bundle: Bundle) -> list[str]:
    """Return pinned requirements: what every bundle needs, and what the families in this one need.

    Args:
        bundle: The bundle that will be loaded.
    """
    families = {name for file in bundle.manifest.files for name in file.libraries}
    return [f"{name}=={version}" for name, version in installed({*ALWAYS, *families}).items()]
