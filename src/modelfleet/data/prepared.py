"""The results of preparing, in the run's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.badrow import bad_row_table
from modelfleet.data.facts import Facts
from modelfleet.data.plan import PreparePlan
from modelfleet.data.profile import PROFILE
from modelfleet.data.schema import Schema
from modelfleet.whole_file import replacing, write_whole

SHARDS, PROFILE_FILE, BAD_ROWS_FILE = "prepared", "profile.parquet", "bad_rows.parquet"
SCHEMA_FILE, SUMMARY_FILE, ERROR_FILE = "schema.json", "prepare.json", "prepare.error.json"

RESULTS = (SCHEMA_FILE, PROFILE_FILE, BAD_ROWS_FILE, ERROR_FILE, SUMMARY_FILE)
"""What is left beside the folder of the shards; the last is written last, and only where all went well."""


def clear_results(folder: Path) -> None:
    """Remove what an earlier, unfinished attempt has left, and make the folder of the shards."""
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)


def write_results(
    folder: Path,
    *,
    plan: PreparePlan,
    schema: Schema,
    capped: dict[str, int],
    facts: Facts,
    profiles: Iterable[pa.Table],
) -> dict[str, Any]:
    """Write schema, profile, bad rows and, last, the summary; return the summary.

    Args:
        folder: The run's folder.
        plan: What was to be done.
        schema: The resolved schema.
        capped: Categories with more levels than are kept, and how many they have.
        facts: What was counted over all rows.
        profiles: One table per shard that has rows.
    """
    profile = pa.concat_tables([PROFILE.empty_table(), *profiles]).sort_by("entity")
    summary: dict[str, Any] = {
        "rows_read": facts.rows_read,
        "rows_bad": facts.rows_bad,
        "rows_other_entities": facts.rows_other,
        "rows_prepared": sum(profile["rows"].to_pylist()),
        "entities": len(profile),
        "shards": len(set(profile["shard"].to_pylist())),
        "columns": {name: {"type": str(c.type), "role": str(c.role)} for name, c in plan.columns.items()},
        "columns_inferred": plan.inferred,
        "columns_ignored": plan.ignored,
        "levels_capped": capped,
        "missing": list(plan.missing),
        "split_fingerprint": plan.split_fingerprint,
        "split_identity": {"kind": plan.identity_kind, "columns": list(plan.identity)},
        "files": [file.path for file in plan.files],
    }
    with replacing(folder / PROFILE_FILE) as temporary:
        pq.write_table(profile, temporary)
    _write_bad_rows(folder, facts)
    write_whole(folder / SCHEMA_FILE, schema.model_dump_json(indent=2))
    write_whole(folder / SUMMARY_FILE, json.dumps(summary, indent=2, ensure_ascii=False))
    return summary


def write_error(folder: Path, message: str, facts: Facts) -> None:
    """Leave the reason why the data cannot be used, and the bad rows, for whoever started the job."""
    _write_bad_rows(folder, facts)
    write_whole(folder / ERROR_FILE, json.dumps({"error": message}))


def read_error(folder: Path) -> str | None:
    """Return the reason ``write_error`` left, if there is one."""
    try:
        return str(json.loads((folder / ERROR_FILE).read_text(encoding="utf-8"))["error"])
    except FileNotFoundError:
        return None


def _write_bad_rows(folder: Path, facts: Facts) -> None:
    with replacing(folder / BAD_ROWS_FILE) as temporary:
        pq.write_table(bad_row_table(facts.bad), temporary)
