"""Figures: drawn for few and for many entities, and for names that are nasty to draw."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.registry.figures import COLOURS, MARKERS, figures


def decisions(n, *, compared=True):
    rng = np.random.default_rng(0)
    names = ["$x_1$ \\frac", "", "../x", "y" * 10_000, "line\nbreak", "a_b^c"]
    reference = rng.uniform(0.1, 0.2, n) if compared else np.full(n, np.nan)
    return pa.table(
        {
            "entity": [*names, *(f"e{i}" for i in range(n))][:n],
            "kind": ["entity"] * n,
            "outcome": [list(COLOURS)[i % len(COLOURS)] for i in range(n)],
            "candidate_loss": pa.array([None if i == 3 else 0.1 for i in range(n)], pa.float64()),
            "reference_loss": reference,
            "difference": reference - 0.1,
            "standard_error": [0.01] * n,
        }
    )


@pytest.mark.parametrize("n", [1, 6, 40, 2000])
def test_drawn(n, tmp_path):
    for name, figure in figures(decisions(n)).items():
        figure.savefig(tmp_path / name.replace("/", "-"), dpi=30)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("table", [decisions(0), decisions(5, compared=False)], ids=["no entity", "nothing compared"])
def test_nothing_to_draw(table):
    assert figures(table) == {}


def test_outcomes_are_told_apart_without_colour_too():
    assert set(COLOURS) == set(MARKERS)
    assert len(set(MARKERS.values())) == len(MARKERS)
