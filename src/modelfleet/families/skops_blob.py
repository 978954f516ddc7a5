"""Estimators as skops bytes: equal estimators give equal bytes, and only trusted types are loaded. No pickle."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

from modelfleet.errors import BundleError, MissingExtraError
from modelfleet.families.trusted_types import TRUSTED_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import ModuleType

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
ADDRESS = re.compile(r'"__id__": \d+|"file": "(?P<file>\d+\.npy)"')
"""Where a schema names memory addresses. It cannot match inside a text, where quotes stand behind a backslash."""

LARGEST_BYTES = 2**31
"""Most bytes a blob may unpack to."""


class _Parts:
    """The files of a blob by name, collected in memory. skops writes into it as into a ``zipfile.ZipFile``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def namelist(self) -> Collection[str]:
        return self.files.keys()

    def writestr(self, name: str, data: bytes) -> None:
        self.files[name] = bytes(data)


def dump(estimator: object) -> bytes:
    """Return the estimator as skops bytes that depend only on its state.

    skops names its parts after memory addresses and stamps them with the time; both are replaced. Nothing is
    compressed: a bundle's files are, and there the parts that many estimators share are found again.

    Raises:
        TypeError: The estimator holds something skops cannot store, such as a lambda.
    """
    skops = _skops()
    # Not skops.io.dumps, which indents its JSON and writes an archive that would have to be taken apart again: that
    # took longer than fitting a small estimator. The types it cannot store are refused here just as there.
    from skops.io._utils import SaveContext, get_state

    parts = _Parts()
    context = SaveContext(zip_file=parts)
    try:
        schema = get_state(estimator, context)
    except Exception as error:
        raise TypeError(f"skops cannot store a {type(estimator).__name__}: {error}") from error
    schema |= {"protocol": context.protocol, "_skops_version": skops.__version__}
    named: dict[bytes, str] = {}
    numbers = itertools.count(1)

    def renamed(match: re.Match[str]) -> str:
        if match["file"] is None:
            return f'"__id__": {next(numbers)}'
        # equal parts once, so that it does not matter which were shared in memory
        return f'"file": "{named.setdefault(parts.files[match["file"]], f"{len(named)}.npy")}"'

    text = ADDRESS.sub(renamed, json.dumps(schema))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for data, name in named.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=EPOCH), data)
        archive.writestr(zipfile.ZipInfo(SCHEMA, date_time=EPOCH), text)
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
    return load_all([blob], trusted, [entity])[0]


def load_all(blobs: Iterable[bytes], trusted: Collection[str], entities: Iterable[str]) -> list[Any]:
    """Return the estimators of many blobs; see ``load``."""
    skops = _skops()
    allowed = TRUSTED_TYPES | set(trusted)
    needed: set[str] = set()  # of those allowed: asking skops about all of them would take twice the time
    estimators = []
    for blob, entity in zip(blobs, entities, strict=True):
        try:
            _check_size(blob, entity)
            try:
                estimators.append(skops.io.loads(blob, trusted=sorted(needed)))
            except skops.io.exceptions.UntrustedTypesFoundException:
                found = set(skops.io.get_untrusted_types(data=blob))
                if found - allowed:
                    raise BundleError(
                        f"the estimator of entity {entity!r} holds types that are not trusted: "
                        f"{', '.join(sorted(found - allowed))}; if you know them to be safe, name them in "
                        "model.parameters.trusted_types and train again"
                    ) from None
                needed |= found
                estimators.append(skops.io.loads(blob, trusted=sorted(needed)))
        except BundleError:
            raise
        except Exception as error:  # a damaged or forged blob can fail in any way
            raise BundleError(f"the estimator of entity {entity!r} cannot be loaded: {error}") from error
    return estimators


def _check_size(blob: bytes, entity: str) -> None:
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > LARGEST_BYTES:
        raise BundleError(f"the estimator of entity {entity!r} unpacks to {unpacked} bytes, more than is believable")


def _skops() -> ModuleType:
    try:
        import skops
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "sklearn") from error
    module: ModuleType = skops
    return module
