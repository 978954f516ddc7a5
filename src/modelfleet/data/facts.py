"""What was counted while rows were read: merged over all files, it decides levels and classes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from modelfleet.data.badrow import EXAMPLES, BadRow

SHOWN_ENTITIES = 50
"""Entities kept for messages, the first by name."""


@dataclass
class Facts:
    """Counts over some rows.

    Attributes:
        rows_read: Rows found in the files.
        rows_bad: Of these, rows that could not be used.
        rows_other: Rows of entities this run does not prepare.
        bad: Examples of bad rows, at most ``EXAMPLES``.
        levels: Per category feature, how often each level occurs in rows that are sure to train.
        classes: How often each class occurs, over all usable rows; empty for regression.
        entities_found: Which of the entities the run names there are.
        entity_examples: A few entities there are, for messages.
        error: Why a file could not be read on; empty where none.
    """

    rows_read: int = 0
    rows_bad: int = 0
    rows_other: int = 0
    bad: list[BadRow] = field(default_factory=list)
    levels: dict[str, Counter[str]] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)
    entities_found: set[str] = field(default_factory=set)
    entity_examples: set[str] = field(default_factory=set)
    error: str = ""

    def to_json(self) -> bytes:
        """Return it as bytes that cross between workers."""
        document = {
            **vars(self),
            "bad": [vars(row) for row in self.bad],
            "entities_found": sorted(self.entities_found),
            "entity_examples": sorted(self.entity_examples),
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Facts:
        """Return what ``to_json`` wrote."""
        document = json.loads(text)
        document["bad"] = [BadRow(**row) for row in document["bad"]]
        document["levels"] = {name: Counter(counts) for name, counts in document["levels"].items()}
        document["classes"] = Counter(document["classes"])
        document["entities_found"] = set(document["entities_found"])
        document["entity_examples"] = set(document["entity_examples"])
        return cls(**document)


def merge_facts(parts: Iterable[Facts]) -> Facts:
    """Return the sum; the order of the parts does not matter."""
    total = Facts()
    bad: list[BadRow] = []
    errors: list[str] = []
    for part in parts:
        total.rows_read += part.rows_read
        total.rows_bad += part.rows_bad
        total.rows_other += part.rows_other
        bad.extend(part.bad)
        for name, counts in part.levels.items():
            total.levels.setdefault(name, Counter()).update(counts)
        total.classes.update(part.classes)
        total.entities_found |= part.entities_found
        total.entity_examples |= part.entity_examples
        errors.extend([part.error] if part.error else [])
    total.bad = sorted(bad, key=lambda row: (row.file, row.line or 0, row.column))[:EXAMPLES]
    total.entity_examples = set(sorted(total.entity_examples)[:SHOWN_ENTITIES])
    total.error = min(errors, default="")
    return total
