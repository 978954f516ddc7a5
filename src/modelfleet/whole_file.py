"""Files that a reader sees whole or not at all, whenever their writer dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``path`` when the block ends, and is removed if it raises.

    It lies in the same folder, so that the rename is one step, under a name that begins with a dot and ends in
    ``.tmp``. Two writers of one path do no harm: the later one's file stays, whole.

    Args:
        path: The file to write; its folder is made if absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file's whole content, text as UTF-8; see ``replacing``."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
