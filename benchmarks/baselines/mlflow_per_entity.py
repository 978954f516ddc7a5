"""One MLflow run, one logged model and one registered version per entity: ``entities``, ``folder``.

With the requirements given: where MLflow infers them itself, each model takes a process of its own and many seconds.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import Config, Work, main


def setup(config: Config) -> Work:
    """Make the database, train one model, and return the work."""
    import logging
    import warnings

    import mlflow
    import mlflow.sklearn
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier

    warnings.filterwarnings("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("each", str(folder / "artifacts")))
    rows = np.random.default_rng(0).random((100, 59))
    model = DecisionTreeClassifier(random_state=0).fit(rows, rows[:, 0] > 0.5)

    def register(entity: str) -> None:
        with mlflow.start_run(run_name=entity):
            mlflow.log_metrics({"accuracy": 0.8, "roc_auc": 0.8, "log_loss": 0.4, "brier": 0.1})
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=entity,
                pip_requirements=["scikit-learn"],
                serialization_format="cloudpickle",
            )

    def work() -> dict[str, int]:
        for number in range(int(config["entities"])):
            register(f"entity-{number:06d}")
        return {"units": int(config["entities"])}

    register("warm-up")
    return work


if __name__ == "__main__":
    main(setup)
