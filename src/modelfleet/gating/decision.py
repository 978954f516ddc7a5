"""What the gate decides, entity by entity and for the whole run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal

import pyarrow as pa

from modelfleet.errors import StepError

_METADATA = b"modelfleet.gate"


class Outcome(StrEnum):
    """What becomes of an entity.

    Attributes:
        PROMOTE: The candidate serves.
        KEEP: What serves stays: the champion is as good, or the candidate is not fit to serve.
        POOLED: The pooled model serves; the entity has no model of its own.
        RETIRE: The entity's model is removed. No rule decides this: a model is never removed for lack of data.
        UNDECIDABLE: The comparison can prove nothing, so the champion stays.
    """

    PROMOTE = "promote"
    KEEP = "keep"
    POOLED = "pooled"
    RETIRE = "retire"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True)
class EntityDecision:
    """One decision, with the numbers that decided it.

    Attributes:
        entity: The entity; empty for the pooled model.
        kind: ``entity`` or ``pooled``.
        outcome: What becomes of it.
        sentence: The decision in one plain sentence.
        reference: What the candidate was compared with: ``champion`` (what serves the entity now), ``pooled`` or
            ``baseline``; None where nothing was compared.
        candidate_loss: Mean loss over the independent holdout rows; None where there is none. So are the next ones.
        reference_loss: The reference's.
        difference: Candidate minus reference; negative is better.
        standard_error: Of the difference.
        p_value: One-sided; of "better", or under ``refresh`` of "not worse by more than the margin".
        q_value: Adjusted for the false discoveries over the fleet; None where it did not decide.
        rows_independent: Distinct holdout rows.
        forced: Promoted by ``force``, in spite of the comparison.
        unchanged: The candidate equals the champion.
        has_champion: A model of its own served it before the run.
    """

    entity: str
    kind: Literal["entity", "pooled"]
    outcome: Outcome
    sentence: str
    reference: str | None = None
    candidate_loss: float | None = None
    reference_loss: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    rows_independent: int = 0
    forced: bool = False
    unchanged: bool = False
    has_champion: bool = False


_COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("entity", "kind", "outcome", "sentence", "reference")]
    + [
        (name, pa.float64())
        for name in ("candidate_loss", "reference_loss", "difference", "standard_error", "p_value", "q_value")
    ]
    + [("rows_independent", pa.int64()), *((name, pa.bool_()) for name in ("forced", "unchanged", "has_champion"))]
)


@dataclass(frozen=True)
class Decisions:
    """The gate's whole answer.

    Attributes:
        entities: One decision per entity of the run.
        pooled: The pooled model's; None where the run trained none and none was compared.
        refused: The whole run is refused; nothing is promoted.
        reason: Why it is refused, or what is remarkable about it; may be empty.
        intent: ``refresh``, ``change``, or ``mixed`` where it differs between entities.
        absent: Entities of the champion that were not part of this run; they keep their models.
    """

    entities: tuple[EntityDecision, ...]
    pooled: EntityDecision | None
    refused: bool = False
    reason: str = ""
    intent: str = "change"
    absent: int = 0

    @property
    def accepted(self) -> frozenset[str]:
        """Entities whose candidate is promoted; empty where the run is refused."""
        return frozenset(d.entity for d in self.entities if d.outcome is Outcome.PROMOTE and not self.refused)

    @property
    def retired(self) -> frozenset[str]:
        """Entities whose model is removed."""
        return frozenset(d.entity for d in self.entities if d.outcome is Outcome.RETIRE and not self.refused)

    @property
    def pooled_accepted(self) -> bool:
        """Whether the new pooled model is promoted."""
        return self.pooled is not None and self.pooled.outcome is Outcome.PROMOTE and not self.refused

    @property
    def changes(self) -> bool:
        """Whether anything would serve differently after this run."""
        return bool(self.accepted or self.retired or self.pooled_accepted)

    @property
    def forced(self) -> frozenset[str]:
        """Entities promoted by force."""
        return frozenset(d.entity for d in self.entities if d.forced)

    def summary(self) -> dict[str, object]:
        """Return the counts and the fleet's decision, as written to ``gate.json``."""
        counts = Counter(d.outcome for d in self.entities)
        return {
            "refused": self.refused,
            "reason": self.reason,
            "promoted": counts[Outcome.PROMOTE],
            "kept": counts[Outcome.KEEP],
            "pooled": counts[Outcome.POOLED],
            "retired": counts[Outcome.RETIRE],
            "undecidable": counts[Outcome.UNDECIDABLE],
            "entities": len(self.entities),
            "unchanged": sum(d.unchanged for d in self.entities),
            "forced": sum(d.forced for d in self.entities),
            "absent": self.absent,
            "pooled_model": None if self.pooled is None else str(self.pooled.outcome),
            "intent": self.intent,
        }

    def to_table(self) -> pa.Table:
        """Return one row per decision, the pooled model's last; the fleet's decision is in the schema's metadata."""
        decisions = [*self.entities, *([self.pooled] if self.pooled else [])]
        rows = [{**vars(d), "outcome": str(d.outcome)} for d in decisions]
        fleet = {"refused": self.refused, "reason": self.reason, "intent": self.intent, "absent": self.absent}
        return pa.Table.from_pylist(rows, schema=_COLUMNS.with_metadata({_METADATA: json.dumps(fleet).encode()}))

    @classmethod
    def from_table(cls, table: pa.Table) -> Decisions:
        """Read what ``to_table`` made.

        Raises:
            StepError: The table is not one of decisions.
        """
        found = (table.schema.metadata or {}).get(_METADATA)
        if found is None or not set(_COLUMNS.names) <= set(table.column_names):
            missing = sorted(set(_COLUMNS.names) - set(table.column_names)) or [_METADATA.decode()]
            raise StepError(f"this is not a table of gate decisions: it lacks {', '.join(missing)}; run the gate again")
        names = [field.name for field in fields(EntityDecision)]
        rows = table.select(names).to_pylist()
        decisions = [EntityDecision(**{**row, "outcome": Outcome(row["outcome"])}) for row in rows]
        return cls(
            entities=tuple(d for d in decisions if d.kind == "entity"),
            pooled=next((d for d in decisions if d.kind == "pooled"), None),
            **json.loads(found),
        )
