"""A run's Data Docs where people can open them: below a bucket, if ``$MODELFLEET_DATA_DOCS`` names one."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelfleet.errors import InputError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import SCHEMES, Url

logger = logging.getLogger(__name__)

DATA_DOCS = "MODELFLEET_DATA_DOCS"
"""Names a place below a bucket, ``gs://BUCKET/...`` or ``s3://BUCKET/...``."""

PAGES = {"gs": "https://storage.cloud.google.com/"}
"""Where a browser of somebody who is signed in finds a bucket's files."""

AT_ONCE = 8


def published(first_page: Path, fleet: str, run_id: str) -> str:
    """Return the address of a run's Data Docs, after they were copied to where others can open them.

    Each run has a copy of its own, since the pages of one machine know nothing of runs on another.

    Args:
        first_page: Of the site on this machine.
        fleet: The fleet's name.
        run_id: The run's.

    Returns:
        The first page: its path where nothing names a bucket, or the bucket cannot be written; the validation stands
        without its pages.

    Raises:
        InputError: The environment names something else than a place below a bucket.
    """
    named = os.environ.get(DATA_DOCS)
    if not named:
        return str(first_page)
    url = Url(named.rstrip("/"))
    if url.scheme not in SCHEMES or not url.bucket:
        raise InputError(f"${DATA_DOCS} is '{named}': expected gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    there = url / fleet / run_id
    site = first_page.parent
    names = [path.relative_to(site) for path in site.rglob("*") if path.is_file()]
    try:
        store = open_store(there)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda name: store.upload(name.as_posix(), site / name), filter(_is_shown, names)):
                pass
    except OSError as error:
        logger.warning("the Data Docs stay on this machine, at %s: %s", first_page, error)
        return str(first_page)
    begin = PAGES.get(there.scheme)
    where = str(there) if begin is None else f"{begin}{there.bucket}/{there.key}"
    return f"{where}/{first_page.name}"


def _is_shown(name: Path) -> bool:
    """Return whether a file is of the pages, and not of what they are made from."""
    return not any(part.startswith(".") for part in name.parts)
