"""Writing one Parquet file per shard, and the run's summary when all are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import apache_beam as beam

from modelfleet.data.arrow_stream import from_bytes, to_bytes
from modelfleet.data.facts import Facts, merge_facts
from modelfleet.data.plan import PreparePlan
from modelfleet.data.prepared import SHARDS, write_error, write_results
from modelfleet.data.resolve import resolve_schema
from modelfleet.data.schema import Schema
from modelfleet.data.shard import assemble_shard, champion_thresholds, write_shard
from modelfleet.errors import DataError
from modelfleet.workplace import Workplace


class ResolveSchema(beam.DoFn):
    """Merges what was counted over all rows into the schema.

    Output: one JSON document with ``facts``, and ``schema`` and ``capped``, or ``error``.
    """

    def __init__(self, plan: PreparePlan) -> None:
        self._plan = plan

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[bytes]:
        """Yield the one document."""
        facts = merge_facts(Facts.from_json(part) for part in element[1])
        document: dict[str, object] = {}
        try:
            schema, capped = resolve_schema(self._plan, facts)
            document = {"schema": schema.model_dump(mode="json"), "capped": capped}
        except DataError as error:
            document = {"error": str(error)}
        facts.levels.clear()  # large, and of no further use
        document["facts"] = facts.to_json().decode()
        yield json.dumps(document).encode()


class WriteShard(beam.DoFn):
    """Writes each shard's file; output: its profile as Arrow IPC bytes."""

    def __init__(self, plan: PreparePlan, place: Workplace) -> None:
        self._plan = replace(plan, files=(), entities=None)
        self._place = place
        self._thresholds: dict[str, float] = {}

    def setup(self) -> None:
        """Read the champion's holdout thresholds once per worker."""
        index = self._plan.champion_index
        if index is not None:
            with self._place.opened(index) as folder:
                self._thresholds = champion_thresholds(str(folder / index), self._plan.split_fingerprint)

    def process(self, element: tuple[int, Iterable[bytes]], resolved: bytes) -> Iterator[bytes]:
        """Write one shard."""
        shard, parts = element
        document = json.loads(resolved)
        if "error" in document:
            return
        prepared, profile = assemble_shard(
            (from_bytes(part) for part in parts),
            shard=shard,
            schema=Schema.model_validate(document["schema"]),
            split=self._plan.spec.split,
            thresholds=self._thresholds,
        )
        with self._place.opened() as folder:
            write_shard(folder / SHARDS, shard, prepared)
        yield to_bytes(profile)


class WriteSummary(beam.DoFn):
    """Writes schema, profile, bad rows and summary, or the reason why there are none."""

    def __init__(self, plan: PreparePlan, place: Workplace) -> None:
        self._plan = plan
        self._place = place

    def process(self, resolved: bytes, profiles: Iterable[bytes]) -> Iterator[str]:
        """Write the results; yield the folder."""
        document = json.loads(resolved)
        facts = Facts.from_json(document["facts"].encode())
        with self._place.opened() as folder:
            if "error" in document:
                write_error(folder, document["error"], facts)
            else:
                write_results(
                    folder,
                    plan=self._plan,
                    schema=Schema.model_validate(document["schema"]),
                    capped=document["capped"],
                    facts=facts,
                    profiles=[from_bytes(profile) for profile in profiles],
                )
        yield self._place.folder
