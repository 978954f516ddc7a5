"""The campaign's counts as a table of the docs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.faults.campaign import Counts

BEGIN, END = "<!-- faults -->", "<!-- end -->"
COLUMNS = ("fault", "sent", "answered", "dead letters", "lost", "twice", "conflicting", "longest gap, s")


def write_table(page: Path, counts: Sequence[Counts]) -> None:
    """Replace the table between the page's marks.

    Args:
        page: A Markdown file that has the marks.
        counts: One row each, in this order.
    """
    lines = [f"| {' | '.join(COLUMNS)} |", f"|---|{'--:|' * (len(COLUMNS) - 1)}"]
    for one in counts:
        numbers = (one.sent, one.answered, one.dead_letters, one.lost, one.twice, one.conflicting, one.gap_seconds)
        lines.append(f"| {one.fault} | {' | '.join(f'{number:,}' for number in numbers)} |")
    text = page.read_text(encoding="utf-8")
    table = f"{BEGIN}\n{chr(10).join(lines)}\n{END}"
    changed, found = re.subn(f"{BEGIN}.*{END}", lambda _: table, text, flags=re.DOTALL)
    assert found == 1, f"{page} has no place for the table"
    page.write_text(changed, encoding="utf-8")
