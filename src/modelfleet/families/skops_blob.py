"""Estimators as skops bytes: equal estimators give equal bytes, and only trusted types are loaded. No pickle."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from modelfleet.errors import BundleError, MissingExtraError
from modelfleet.families.trusted_types import TRUSTED_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import ModuleType

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
LARGEST_BYTES = 2**31
"""Most bytes a blob may unpack to."""


def dump(estimator: object) -> bytes:
    """Return the estimator as skops bytes that depend only on its state.

    skops names its parts after memory addresses and stamps them with the time; both are replaced.

    Raises:
        TypeError: The estimator holds something skops cannot store, such as a lambda.
    """
    try:
        raw = _skops().dumps(estimator)
    except Exception as error:
        raise TypeError(f"skops cannot store a {type(estimator).__name__}: {error}") from error
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if name != SCHEMA}
        schema = json.loads(archive.read(SCHEMA))
    # named by content, so that it does not matter which objects happened to be shared in memory
    names = {name: f"{hashlib.sha256(data).hexdigest()[:24]}.npy" for name, data in content.items()}
    _rename(schema, names, [0])
    files = {names[name]: data for name, data in content.items()}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            archive.writestr(_entry(name), files[name])
        archive.writestr(_entry(SCHEMA), json.dumps(schema, separators=(",", ":"), sort_keys=False))
    return target.getvalue()


def load(blob: bytes, trusted: Collection[str], entity: str) -> Any:
    """Return the estimator of a blob.

    Args:
        blob: What ``dump`` returned.
        trusted: Full names of types trusted besides the shipped list.
        entity: Whose it is, for the message.

    Raises:
        BundleError: The blob is damaged or holds a type that is not trusted; nothing of it was loaded.
    """
    skops = _skops()
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > LARGEST_BYTES:
            raise BundleError(
                f"the estimator of entity {entity!r} unpacks to {unpacked} bytes, more than is believable"
            )
        refused = sorted(set(skops.get_untrusted_types(data=blob)) - TRUSTED_TYPES - set(trusted))
        if refused:
            raise BundleError(
                f"the estimator of entity {entity!r} holds types that are not trusted: {', '.join(refused)}; "
                "if you know them to be safe, name them in model.parameters.trusted_types and train again"
            )
        return skops.loads(blob, trusted=sorted(TRUSTED_TYPES | set(trusted)))
    except BundleError:
        raise
    except Exception as error:  # a damaged or forged blob can fail in any way
        raise BundleError(f"the estimator of entity {entity!r} cannot be loaded: {error}") from error


def _skops() -> ModuleType:
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "sklearn") from error
    module: ModuleType = skops.io
    return module


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _rename(node: Any, names: dict[str, str], counter: list[int]) -> None:
    """Number the nodes in the order they stand and point them at the renamed files, in place."""
    if isinstance(node, dict):
        if "__id__" in node:
            counter[0] += 1
            node["__id__"] = counter[0]
        if isinstance(node.get("file"), str) and node["file"] in names:
            node["file"] = names[node["file"]]
        for value in node.values():
            _rename(value, names, counter)
    elif isinstance(node, list):
        for value in node:
            _rename(value, names, counter)
