"""The gated step by modelfleet: read, split, fit, evaluate candidate and champion, gate, write.

Configuration: ``data`` and ``home`` (with a champion in it), ``warm_data`` and ``warm_home`` for the warm-up, ``beam``
and ``numba`` (both true if left out), ``shards`` (the spec's default if left out). The steps prepare, train and gate
run in this process, as ``modelfleet run`` runs them in one process each.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import RUNNER, begin, throw_away, without


def gated_step(home: Path, data: Path, *, beam: bool, shards: int | None = None) -> dict[str, Any]:
    """Do the step once and throw its folder away.

    Returns:
        ``units``, the number of models; ``decisions``, what the gate made of them; ``steps``, the CPU seconds of each.
    """
    from benchmarks.ours.direct import prepare_directly, train_directly
    from modelfleet.loop.gate import gate

    with throw_away(begin(home, data, shards=shards)) as run:
        seconds = [time.process_time()]  # of this process, where all the work is; a look at all others takes longer
        if beam:
            from beam_jobs.prepare import prepare
            from beam_jobs.train import train

            prepare(run, RUNNER)
            seconds.append(time.process_time())
            train(run.folder, RUNNER)
        else:
            prepare_directly(run)
            seconds.append(time.process_time())
            train_directly(run)
        seconds.append(time.process_time())
        decisions = gate(run).summary()
        seconds.append(time.process_time())
        return {
            "units": int(run.read("train")["entities"]),
            "decisions": {name: decisions[name] for name in ("promoted", "kept", "pooled", "undecidable")},
            "steps": dict(zip(("prepare", "train", "gate"), np.diff(seconds).tolist(), strict=True)),
        }


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    if not config.get("numba", True):
        without("numba")
    beam = bool(config.get("beam", True))
    shards = config.get("shards")
    gated_step(Path(config["warm_home"]), Path(config["warm_data"]), beam=beam, shards=shards)
    return lambda: gated_step(Path(config["home"]), Path(config["data"]), beam=beam, shards=shards)


if __name__ == "__main__":
    main(setup)
