"""Beam's RunInference, imported without its model manager.

Where torch and scipy are installed, the model manager imports both: four seconds and 500 MB in every worker, for an
optional part that is not used here. Beam does without it where its import fails, so that is what it is told.
"""

from __future__ import annotations

import sys

_MODEL_MANAGER = "apache_beam.ml.inference.model_manager"

if _MODEL_MANAGER not in sys.modules:
    sys.modules[_MODEL_MANAGER] = None  # type: ignore[assignment]
    from apache_beam.ml.inference.base import ModelHandler, ModelMetadata, PredictionResult, RunInference

    del sys.modules[_MODEL_MANAGER]
else:
    from apache_beam.ml.inference.base import ModelHandler, ModelMetadata, PredictionResult, RunInference

__all__ = ["ModelHandler", "ModelMetadata", "PredictionResult", "RunInference"]
