"""Loading a registered fleet by ``mlflow.pyfunc`` and predicting one row: ``mlflow``, ``version``, ``data``, ``all``.

``mlflow`` and ``version`` are where and what ``benchmarks.ours.register`` registered. With ``all`` one row of every
entity is predicted, otherwise the first row of the data.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.clock import Config, Work, main
from benchmarks.data import ENTITY
from benchmarks.ours.fleet import FLEET


def setup(config: Config) -> Work:
    """Import MLflow and return the work."""
    import mlflow
    import mlflow.pyfunc
    import pandas as pd

    from modelfleet.serving import loading, predict  # noqa: F401 - imports are not what is measured

    mlflow.set_tracking_uri(f"sqlite:///{Path(config['mlflow']) / 'mlflow.db'}")
    frame = pd.read_parquet(config["data"])
    rows = frame.drop_duplicates(ENTITY) if config["all"] else frame.head(1)
    opened: set[str] = set()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, Path)):
            path = Path(arguments[0])
            if path.parent.name == "shards":
                opened.add(path.name)

    # Once without the clock: MLflow imports and asks its database for many things the first time
    mlflow.pyfunc.load_model(f"models:/{FLEET}/1").predict(frame.head(1).assign(**{ENTITY: "level-000000"}))
    sys.addaudithook(note)

    def work() -> dict[str, Any]:
        model = mlflow.pyfunc.load_model(f"models:/{FLEET}/{config['version']}")
        answer = model.predict(rows)
        served = sorted(set(answer["served_by"]))
        return {"units": len(rows), "files": len(opened), "served_by": served}

    return work


if __name__ == "__main__":
    main(setup)
