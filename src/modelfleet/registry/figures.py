"""Figures of a run: candidate against what serves, entity by entity. Drawn without a display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "promote": "#1a7f37",
    "keep": "#57606a",
    "undecidable": "#bf8700",
    "pooled": "#0969da",
    "retire": "#cf222e",
}
"""By outcome; told apart in grey too, by the marker."""

MARKERS = {"promote": "^", "keep": "o", "undecidable": "s", "pooled": "D", "retire": "v"}

MOST_NAMED = 40
"""Up to so many entities each gets a line with its name; above, each is a point."""


def figures(decisions: pa.Table) -> dict[str, Figure]:
    """Return the figures of a run by file name.

    Args:
        decisions: Columns ``entity``, ``kind``, ``outcome``, ``candidate_loss``, ``reference_loss``,
            ``difference``, ``standard_error``.

    Returns:
        None at all where no entity was compared with anything.
    """
    compared = decisions.filter(
        pc.and_(
            pc.equal(decisions["kind"], "entity"),
            pc.and_(
                pc.is_finite(_number(decisions, "candidate_loss")), pc.is_finite(_number(decisions, "reference_loss"))
            ),
        )
    )
    if compared.num_rows == 0:
        return {}
    named = compared.num_rows <= MOST_NAMED
    return {
        "figures/candidate_against_champion.png": _dumbbells(compared) if named else _scatter(compared),
        "figures/differences.png": _differences(compared),
    }


def _number(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.fill_null(table[name].cast(pa.float64()), float("nan"))


def _by_outcome(table: pa.Table) -> list[tuple[str, pa.Table]]:
    return [(o, t) for o in COLOURS if (t := table.filter(pc.equal(table["outcome"], o))).num_rows]


def _axes(width: float, height: float, title: str, *, names: bool = False) -> tuple[Figure, Any]:
    """Return a figure of a size in inches; with names beside the axis, room is made for the longest.

    Measuring every text to make room takes as long as drawing, so it is not done where all are numbers.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained" if names else None)
    axes = figure.subplots()
    if not names:
        left, below = 0.85 / width, 0.55 / height
        figure.subplots_adjust(left=left, right=1 - 0.15 / width, bottom=below, top=1 - 0.4 / height)
    # With a place of its own: to find one, matplotlib measures every text of the figure
    axes.set_title(title, loc="left", fontsize=11, y=1.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(nbins=5)  # a tick takes longer to draw than a thousand entities
    return figure, axes


def _dumbbells(table: pa.Table) -> Figure:
    table = table.sort_by([("difference", "descending")])
    figure, axes = _axes(
        8, 1.6 + 0.27 * table.num_rows, "Loss per entity: what serves (|) and the candidate", names=True
    )
    reference, candidate = _number(table, "reference_loss").to_numpy(), _number(table, "candidate_loss").to_numpy()
    outcomes = table["outcome"].to_pylist()
    for y, outcome in enumerate(outcomes):
        axes.plot([reference[y], candidate[y]], [y, y], color=COLOURS.get(outcome, "black"), linewidth=1.5, alpha=0.6)
    axes.scatter(reference, range(table.num_rows), marker="|", color="black", s=90, label="serves now")
    for outcome in dict.fromkeys(outcomes):
        rows = [y for y, o in enumerate(outcomes) if o == outcome]
        axes.scatter(candidate[rows], rows, color=COLOURS[outcome], marker=MARKERS[outcome], s=36, label=outcome)
    names = [_short(entity) for entity in table["entity"].to_pylist()]
    axes.set_yticks(range(table.num_rows), labels=names, fontsize=8)
    axes.set_xlabel("mean loss per holdout row (less is better)")
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    return figure


def _scatter(table: pa.Table) -> Figure:
    figure, axes = _axes(6.5, 6.5, f"Loss of {table.num_rows:,} entities: candidate against what serves")
    for outcome, part in _by_outcome(table):
        axes.scatter(
            _number(part, "reference_loss").to_numpy(),
            _number(part, "candidate_loss").to_numpy(),
            s=10,
            alpha=0.5,
            linewidths=0,
            color=COLOURS[outcome],
            marker=MARKERS[outcome],
            label=f"{outcome} ({part.num_rows:,})",
            rasterized=True,
        )
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color="black", linewidth=0.8)
    axes.set_xlabel("what serves now")
    axes.set_ylabel("candidate (below the line is better)")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def _differences(table: pa.Table) -> Figure:
    figure, axes = _axes(8, 4, "Candidate's loss minus that of what serves (left of 0 is better)")
    parts = _by_outcome(table)
    values = [
        _number(part, "candidate_loss").to_numpy() - _number(part, "reference_loss").to_numpy() for _, part in parts
    ]
    bins = np.histogram_bin_edges(np.concatenate(values), bins=min(60, max(10, table.num_rows // 4)))
    axes.hist(
        values,
        bins=bins,
        stacked=True,
        histtype="stepfilled",  # one shape per outcome, not one per bar
        color=[COLOURS[o] for o, _ in parts],
        label=[o for o, _ in parts],
    )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_ylabel("entities")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def _short(entity: str) -> str:
    """Return a label that fits and that matplotlib does not take for mathematics."""
    shown = entity if entity.isprintable() else repr(entity)
    shown = shown if len(shown) <= 28 else f"{shown[:27]}…"
    return shown.replace("$", r"\$") or "(empty)"
