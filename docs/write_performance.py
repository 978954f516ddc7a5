"""Writes the tables and pictures of docs/performance.md from what `modelfleet bench` left.

Run ``python docs/write_performance.py .modelfleet/bench/*.json``; several reports of one suite are put together, later
results replacing earlier ones of the same work and baseline. Where they are not about all works of a suite, the rows of
the others stay as they are, and a line of its own says which were measured again, and on what.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.plot import plot
from benchmarks.suites import SUITES

DOCS = Path(__file__).parent
PAGE = DOCS / "performance.md"


def main(paths: list[str]) -> None:
    """Read the reports, and write page and pictures."""
    reports: dict[str, dict[str, Any]] = {}
    for path in paths:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        if report["quick"]:
            raise SystemExit(f"{path}: its sizes are for trying; run it again without --quick")
        reports[report["suite"]] = together(reports.get(report["suite"]), report)
    text = PAGE.read_text(encoding="utf-8")
    for suite, report in reports.items():
        place = re.compile(rf"<!-- {suite} -->\n(.*?)<!-- end -->", re.DOTALL)
        before = place.search(text)
        if before is None:
            raise SystemExit(f"{PAGE}: has no place for suite '{suite}': put <!-- {suite} --> and <!-- end --> there")
        measured = {one["work"] for one in report["results"]}
        whole = measured >= {work for block in SUITES[suite] for work in block.works}
        block = (
            table(report) if whole else renewed(before[1], table(report), [one["title"] for one in report["results"]])
        )
        text = place.sub(lambda _, b=block, s=suite: f"<!-- {s} -->\n{b}\n<!-- end -->", text)
        if whole:  # a picture of some of the works would take the place of one of all
            plot(report, DOCS / "images" / f"performance-{suite}.png")
    PAGE.write_text(text, encoding="utf-8")


def together(before: dict[str, Any] | None, report: dict[str, Any]) -> dict[str, Any]:
    """Return two reports of a suite as one; the later one's machine is told."""
    if before is None:
        return report
    results = {key(one): one for one in (*before["results"], *report["results"])}
    order = [work for block in SUITES[report["suite"]] for work in block.works]
    return report | {"results": sorted(results.values(), key=lambda one: order.index(one["work"]))}


def key(result: dict[str, Any]) -> tuple[str, ...]:
    """Return what makes a result the same as another one."""
    return (result["title"], result["baseline_name"] or "")


def table(report: dict[str, Any]) -> str:
    """Return a report as a Markdown table, and where and when it was made."""
    lines = ["| work | modelfleet | baseline | unit | ratio (spread) | goal |", "|---|--:|--:|---|--:|---|"]
    for one in report["results"]:
        baseline = f"{one['baseline_name']} {short(one['baseline'])}" if one["baseline"] is not None else ""
        ratio = short(one["ratio"])
        if one["rounds"] > 1:
            ratio += f" ({short(one['spread'][0])} to {short(one['spread'][1])}, n = {one['rounds']:,})"
        goal = (
            "" if one["goal"] is None else f"{one['sense']} {short(one['goal'])}: {'met' if one['met'] else 'missed'}"
        )
        if one["ours"] is None or (one["ratio"] is None and one["baseline_name"]):
            baseline, ratio = f"{one['baseline_name']}: {one['note']}", ""
        size = "" if not one["size"] or one["size"] in one["title"] else f" ({one['size']})"
        lines.append(f"| {one['title']}{size} | {short(one['ours'])} | {baseline} | {one['unit']} | {ratio} | {goal} |")
    machine = report["machine"]
    lines += [
        "",
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f} to {machine['load_after']:.1f}, "
        f"{report['at'][:10]}; Python {machine['python']}, "
        + ", ".join(f"{name} {version}" for name, version in machine["libraries"].items() if version)
        + ".",
    ]
    return "\n".join(lines)


def renewed(before: str, after: str, titles: list[str]) -> str:
    """Return a table in which the rows of some works, and what is told of the machine, come from a later one.

    Args:
        before: The table as it was.
        after: That of the works that were measured again.
        titles: Of these works.
    """
    old, new = before.strip().splitlines(), after.splitlines()
    rows = {_name(line): line for line in new[2:] if line.startswith("|")}
    lines = [rows.pop(_name(line), line) for line in old if line.startswith("|")]
    again = "Measured again, " + ", ".join(f'"{title}"' for title in dict.fromkeys(titles)) + ": "
    told = [line for line in old if line and not line.startswith(("|", again))]
    notes = [part for line in (*told, again + new[-1]) for part in ("", line)]
    return "\n".join([*lines, *rows.values(), *notes])


def _name(line: str) -> tuple[str, str]:
    """Return what makes a row the same as another: what was measured, and against what."""
    what, _, baseline, *_ = (cell.strip() for cell in line.strip("|").split("|"))
    return what, re.sub(r" [\d.,]+$", "", baseline)


def short(number: float | None) -> str:
    """Return a number with three digits that count; nothing for none."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


if __name__ == "__main__":
    main(sys.argv[1:])
