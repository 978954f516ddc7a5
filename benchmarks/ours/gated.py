"""The gated step by modelfleet: read, split, fit, evaluate candidate and champion, gate, write.

Configuration: ``data`` and ``home`` (with a champion in it), ``warm_data`` and ``warm_home`` for the warm-up, ``beam``
and ``numba`` (both true if left out). The steps prepare, train and gate run in this process, as ``modelfleet run``
runs them in one process each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import RUNNER, begin, throw_away, without


def gated_step(home: Path, data: Path, *, beam: bool) -> dict[str, Any]:
    """Do the step once and throw its folder away.

    Returns:
        ``units``, the number of models; ``decisions``, what the gate made of them; ``steps``, the CPU seconds of each.
    """
    from benchmarks.clock import timed
    from benchmarks.ours.direct import prepare_directly, train_directly
    from modelfleet.loop.gate import gate

    with throw_away(begin(home, data)) as run:
        if beam:
            from beam_jobs.prepare import prepare
            from beam_jobs.train import train

            steps = {
                "prepare": timed(lambda: prepare(run, RUNNER)),
                "train": timed(lambda: train(run.folder, RUNNER)),
            }
        else:
            steps = {
                "prepare": timed(lambda: prepare_directly(run)),
                "train": timed(lambda: train_directly(run)),
            }
        steps["gate"] = timed(lambda: {"decisions": gate(run).summary()})
        decisions = steps["gate"]["decisions"]
        return {
            "units": int(run.read("train")["entities"]),
            "decisions": {name: decisions[name] for name in ("promoted", "kept", "pooled", "undecidable")},
            "steps": {name: step["cpu_seconds"] for name, step in steps.items()},
        }


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    if not config.get("numba", True):
        without("numba")
    beam = bool(config.get("beam", True))
    gated_step(Path(config["warm_home"]), Path(config["warm_data"]), beam=beam)
    return lambda: gated_step(Path(config["home"]), Path(config["data"]), beam=beam)


if __name__ == "__main__":
    main(setup)
