"""What people read of the decisions."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from modelfleet.gating.decide import decide
from modelfleet.gating.report import decision_lines, decision_table, headline
from modelfleet.spec.gate import GatePolicy


def test_lines_put_promotions_first_and_say_what_is_left_out(case: SimpleNamespace) -> None:
    rows = case.table(case.evaluated("kept", diff_champion_mean=0.01), case.evaluated("better"))
    found = decide(rows, GatePolicy(), intent="change", champion={"gone"})
    lines = decision_lines(found, limit=1)
    assert (
        lines[0]
        == headline(found)
        == ("gate (change): 2 entities: 1 promote, 1 keep; 1 entities not in this run keep their models")
    )
    assert lines[1].startswith("  better: brier") and lines[2] == "  ... and 1 more in decisions.parquet"


def test_a_refusal_says_why(case: SimpleNamespace) -> None:
    found = decide(case.table(case.evaluated(diff_champion_mean=0.01)), GatePolicy(), intent="change")
    assert "; REFUSED: nothing to promote among 1 candidates" in headline(found)


def test_table_prints_names_as_they_are(case: SimpleNamespace) -> None:
    rows = case.table(
        case.evaluated("[bold]x[/]"), case.evaluated("empty", rows_independent=0, diff_champion_n=0), case.shared()
    )
    found = decide(rows, GatePolicy(), intent="change", force=True)
    stream = io.StringIO()
    Console(file=stream, width=160).print(decision_table(found))
    text = stream.getvalue()
    assert "[bold]x[/]" in text and "promote (forced)" in text and "pooled model" in text and "0.139" in text
