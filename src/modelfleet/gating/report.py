"""The gate's decisions for people: a table for terminals, lines for logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from modelfleet.gating.decision import Decisions, EntityDecision, Outcome

if TYPE_CHECKING:
    from rich.table import Table

_STYLE = {
    Outcome.PROMOTE: "green",
    Outcome.KEEP: "default",
    Outcome.POOLED: "cyan",
    Outcome.RETIRE: "magenta",
    Outcome.UNDECIDABLE: "yellow",
}


def headline(decisions: Decisions) -> str:
    """Return the whole run's decision in one line."""
    counts = Counter(d.outcome for d in decisions.entities)
    found = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]) or "none"
    text = f"gate ({decisions.intent}): {len(decisions.entities)} entities: {found}"
    if decisions.pooled is not None:
        text += f"; pooled model: {decisions.pooled.outcome}"
    if decisions.absent:
        text += f"; {decisions.absent} entities not in this run keep their models"
    if decisions.refused:
        return f"{text}; REFUSED: {decisions.reason}"
    return f"{text}; {decisions.reason}" if decisions.reason else text


def decision_lines(decisions: Decisions, limit: int = 50) -> list[str]:
    """Return the headline and one sentence per decision, promotions first.

    Args:
        decisions: What the gate decided.
        limit: Most decisions told; a fleet may have thousands.
    """
    shown, left = _chosen(decisions, limit)
    lines = [headline(decisions), *(f"  {decision.sentence}" for decision in shown)]
    return [*lines, f"  ... and {left:,} more in decisions.parquet"] if left else lines


def decision_table(decisions: Decisions, limit: int = 50) -> Table:
    """Return the decisions as a table for a terminal, promotions first; arguments as ``decision_lines``."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown, left = _chosen(decisions, limit)
    caption = f"{left:,} more in decisions.parquet" if left else None
    table = Table(title=headline(decisions), caption=caption, title_justify="left", box=SIMPLE_HEAD, padding=0)
    # Made to fit 80 columns; an entity's name gives way last of all but is bounded, since some are long
    table.add_column("entity", no_wrap=True, max_width=24)
    table.add_column("decision", no_wrap=True)
    for column in ("loss", "against", "difference", "p", "q", "rows"):
        table.add_column(column, justify="right", no_wrap=True)
    for d in shown:
        outcome = f"{d.outcome} (forced)" if d.forced else str(d.outcome)
        # Text, not markup: an entity's name is data and may hold brackets
        table.add_row(
            Text("pooled model" if d.kind == "pooled" else d.entity),
            Text(outcome, style=_STYLE[d.outcome]),
            *(_loss(value) for value in (d.candidate_loss, d.reference_loss, d.difference)),
            *(_probability(value) for value in (d.p_value, d.q_value)),
            f"{d.rows_independent:,}",
        )
    return table


def _chosen(decisions: Decisions, limit: int) -> tuple[list[EntityDecision], int]:
    every = [*([decisions.pooled] if decisions.pooled else []), *decisions.entities]
    every.sort(key=lambda d: d.outcome is not Outcome.PROMOTE)
    return every[:limit], max(len(every) - limit, 0)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _probability(value: float | None) -> str:
    if value is None:
        return ""
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0")
