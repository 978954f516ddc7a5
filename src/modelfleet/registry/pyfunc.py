"""The MLflow model: a whole bundle behind ``mlflow.pyfunc``; MLflow calls ``_load_pyfunc``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.reader import Bundle
from modelfleet.errors import BundleError

if TYPE_CHECKING:
    import pandas as pd

    from modelfleet.serving.loading import LoadedFleet

PROBABILITY = "probability_"
"""Begin of the names of the columns with class probabilities."""


def _load_pyfunc(data_path: str) -> FleetModel:
    """Load the bundle that lies in the MLflow model, under the folder name that is the begin of its hash.

    Raises:
        BundleError: It is not the bundle that was logged.
    """
    bundle = Bundle.open(data_path, verify=False)
    expected = Path(data_path).name
    if folder_name(bundle.sha256) != expected:
        raise BundleError(
            f"{data_path}: bundle.json has the sha256 {bundle.sha256}, expected {expected}...: it was altered; "
            "download the model again"
        )
    return FleetModel(bundle)


class FleetModel:
    """What ``mlflow.pyfunc.load_model`` wraps."""

    def __init__(self, bundle: Bundle) -> None:
        """Take a bundle; each file of models is read, and checked against its hash, when a row needs it first."""
        from modelfleet.serving.loading import load_bundle

        self._fleet: LoadedFleet = load_bundle(bundle, fleet=bundle.manifest.fleet, generation=0, lazy=True)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict rows of any mixture of entities.

        Args:
            model_input: n rows with the entity columns and every feature column. Values may be typed or text;
                null and NaN are missing.
            params: Not used.

        Returns:
            n rows under the same index: ``entity``, ``prediction`` (class label or number), ``score`` (for binary
            the probability of the second class, for multiclass that of the predicted one, else null), ``served_by``
            (``entity``, ``pooled``, or ``none`` where no model serves the row), and for classes one column
            ``probability_<class>`` each.

        Raises:
            DataError: A column is not there, or a value does not fit its type.
            BundleError: A file of models that these rows need is not what was logged.
        """
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        from modelfleet.data.encode import encode_table
        from modelfleet.data.entity import table_entities
        from modelfleet.serving.predict import label_and_score

        fleet = self._fleet
        table = pa.Table.from_pandas(model_input, preserve_index=False)
        entities: list[str | None] = table_entities(fleet.any_schema, table).to_pylist()
        predicted = fleet.models.predict_encoded(
            lambda schema: encode_table(schema, table), [entity or "" for entity in entities]
        )
        served = np.array([entity is not None for entity in entities], dtype=bool) & (predicted.served_by != "none")
        labels, scores = label_and_score(fleet, np.where(served[:, None], predicted.values, 0.0))
        answer = pd.DataFrame(
            {
                "entity": pd.Series(entities, dtype=object),
                "prediction": pd.Series(labels).where(served, None if fleet.models.classes else np.nan),
                "score": np.nan if scores is None else np.where(served, scores, np.nan),
                "served_by": np.where(served, predicted.served_by, "none"),
            }
        )
        for i, label in enumerate(fleet.models.classes):
            answer[f"{PROBABILITY}{label}"] = np.where(served, predicted.values[:, i], np.nan)
        return answer.set_index(model_input.index)
