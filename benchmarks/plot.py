"""The report as a picture: every goal and how far it is met, what everybody takes, how cost grows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.whole_file import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MET, MISSED, OURS, OTHERS, INK = "#2a7f62", "#c8553d", "#2a5f9e", "#b9c3cf", "#333333"
ROW_INCHES = 0.34


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw a report.

    Args:
        report: As ``python -m benchmarks`` writes it.
        path: A ``.png`` or ``.svg`` file.
    """
    from matplotlib.figure import Figure

    results = report["results"]
    goals = [one for one in results if one["goal"] and one["spread"] is not None and _figure(one) > 0]
    costs = [one for one in results if one["work"] == "gated_step" and one["baseline"] is not None]
    grid = [one for one in results if one["work"] == "grid"]
    panels = [(draw, chosen) for draw, chosen in ((_goals, goals), (_costs, costs), (_grid, grid)) if chosen]
    if not panels:
        panels = [(_figures, results)]
    heights = [6.5 if draw is _grid else max(len(chosen), 4) + 2.5 for draw, chosen in panels]
    figure = Figure(figsize=(9.0, sum(heights) * ROW_INCHES), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12)  # type: ignore[union-attr]
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for (draw, chosen), axis in zip(panels, axes, strict=True):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, length=0, labelsize=9)
        draw(axis, chosen)
        axis.title.set(fontsize=11, color=INK, ha="left", position=(0.0, 1.0))
    quick = ", sizes for trying: no measure of the goals" if report["quick"] else ""
    machine = report["machine"]
    figure.suptitle(
        f"modelfleet bench {report['suite']}{quick}\n{machine['processor']}, {machine['cores']} cores, "
        f"load {machine['load']:.1f} to {machine['load_after']:.1f}, {report['at'][:10]}",
        fontsize=10, color=INK,
    )  # fmt: skip
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip("."), dpi=130, facecolor="white")


def _goals(axis: Axes, results: list[dict[str, Any]]) -> None:
    """One bar per goal: right of the line it is met."""
    met = []
    for one in results:
        figure = _figure(one)
        met.append(figure / one["goal"] if one["sense"] == "at least" else one["goal"] / figure)
    _bars(axis, [one["title"] for one in results], [share - 1 for share in met], 1.0,
          [MET if one["met"] else MISSED for one in results])  # fmt: skip
    for row, one in enumerate(results):
        figure = _figure(one)
        unit = f" {one['unit']}" if one["ratio"] is None else "x"
        text = f"{_short(figure)}{unit}, goal {one['sense']} {_short(one['goal'])}"
        axis.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)
    axis.axvline(1.0, color=INK, linewidth=1)
    low, high = min([*met, 1.0]), max([*met, 1.0])
    axis.set(xscale="log", title="Goals: right of the line is met", xlim=(low / 1.3, high * 1.3))
    axis.xaxis.set_visible(False)
    axis.spines[["bottom", "left"]].set_visible(False)


def _costs(axis: Axes, results: list[dict[str, Any]]) -> None:
    """One bar per side of the gated step."""
    names = ["modelfleet", *(one["baseline_name"] for one in results)]
    seconds = [results[0]["ours"], *(one["baseline"] for one in results)]
    _bars(axis, names, seconds, 0.0, [OURS, *[OTHERS] * len(results)])
    for row, value in enumerate(seconds):
        axis.annotate(f" {_short(value)}", (value, row), va="center", fontsize=8, color=INK)
    axis.set(title=f"Gated step, {results[0]['size']}: CPU seconds", xlim=(0, max(seconds) * 1.15))
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)


def _grid(axis: Axes, results: list[dict[str, Any]]) -> None:
    """One line per number of entities, over rows."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    lines: dict[str, list[tuple[float, float]]] = {}
    for one in results:
        rows, entities = one["size"].split(", ")
        lines.setdefault(entities, []).append((float(rows.split()[0].replace(",", "")), one["ours"]))
    shades = ("#9cc3e6", "#4d8fcc", "#1d4f86", "#0b2a4a")
    for number, (entities, points) in enumerate(lines.items()):
        color = shades[number % len(shades)]
        axis.plot(*zip(*points, strict=True), marker="o", color=color, label=entities)
    rows = sorted({rows for points in lines.values() for rows, _ in points})
    axis.set(xscale="log", yscale="log", title="Gated step as the work grows: CPU seconds over rows")
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    axis.set_xticks(rows, [f"{each:,.0f}" for each in rows])
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.grid(color="#e6e9ed")


def _figures(axis: Axes, results: list[dict[str, Any]]) -> None:
    """Where nothing has a goal: the figures as they are."""
    known = [one for one in results if one["ours"] is not None]
    _bars(axis, [f"{one['title']}, {one['unit']}" for one in known], [one["ours"] for one in known], 0.0, [OURS])
    for row, one in enumerate(known):
        axis.annotate(f" {_short(one['ours'])}", (one["ours"], row), va="center", fontsize=8, color=INK)
    axis.set(title="Figures")


def _figure(result: dict[str, Any]) -> float:
    """Return what the goal is about."""
    return float(result["ours"] if result["ratio"] is None else result["ratio"])


def _short(number: float) -> str:
    """Return a number with three digits that count, and no powers of ten."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _bars(axis: Axes, names: list[str], widths: list[float], left: float, colors: list[str]) -> None:
    """Draw horizontal bars, the first on top."""
    places = range(len(names))
    axis.barh(places, widths, left=left, color=colors if len(colors) > 1 else colors * len(names), height=0.62)
    axis.set_yticks(places, names)
    axis.invert_yaxis()
