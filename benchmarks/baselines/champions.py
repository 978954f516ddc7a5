"""The pickled pipelines that serve before anything is measured: ``data``, ``folder``."""

from __future__ import annotations

import pickle
from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.data import ENTITY


def setup(config: Config) -> Work:
    """Return the work: one pipeline per entity, of shallow trees, not trained on the holdout."""
    from benchmarks.baselines.frames import read_frame
    from benchmarks.baselines.one_entity import fit, holdout_mask
    from benchmarks.ours.fleet import CHAMPION

    def work() -> dict[str, int]:
        folder = Path(config["folder"])
        folder.mkdir(parents=True)
        groups = read_frame(Path(config["data"])).groupby(ENTITY, observed=True)
        for entity, rows in groups:
            model = fit(rows[~holdout_mask(rows)], **CHAMPION)
            (folder / f"{entity}.pkl").write_bytes(pickle.dumps(model))
        return {"units": len(groups)}

    return work


if __name__ == "__main__":
    main(setup)
