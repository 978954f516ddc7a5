"""What `modelfleet run` says of the candidates."""

from __future__ import annotations

from modelfleet.cli.run import summarise
from modelfleet.loop.whole import StepReport


def told(*chosen: int) -> str:
    candidates = [{"label": f"recipe {i}", "chosen": count} for i, count in enumerate(chosen)]
    return summarise(StepReport("train", 1.0, {"models": 7_000, "failures": {"a": "b"}, "candidates": candidates}))


def test_the_most_successful_come_first() -> None:
    assert told(2_000, 6_000, 1_000) == (
        "7,000 models, 1 failures; chosen: 6,000 recipe 1, 2,000 recipe 0, 1,000 recipe 2"
    )


def test_of_many_the_last_are_summed() -> None:
    assert told(1, 2, 3, 4, 5, 6, 7).endswith("4 recipe 3, 3 recipe 2, 3 by 2 others")


def test_one_recipe_is_no_choice() -> None:
    assert told() == "7,000 models, 1 failures"
