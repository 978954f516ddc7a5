"""The MLflow signature of a bundle: which columns go in and which come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.registry.pyfunc import PROBABILITY

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from modelfleet.bundles.reader import Bundle


def signature(bundle: Bundle) -> ModelSignature:
    """Return the signature.

    Inputs are of type "any": MLflow would refuse whole numbers where it was told "double", gaps where it was told
    "long", and codes where it was told "string". The model checks values itself, by the bundle's schema; MLflow
    checks that no column without a default is missing.

    Args:
        bundle: The bundle that will predict.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    schemas = list(bundle.manifest.schemas.values())
    needed = dict.fromkeys(
        [name for schema in schemas for name in schema.entity] + [f.name for schema in schemas for f in schema.features]
    )
    required = {name for schema in schemas for name in schema.required}
    classes = sorted({label for schema in schemas for label in schema.classes})
    outputs = [
        ColSpec(DataType.string, "entity"),
        ColSpec(DataType.string if classes else DataType.double, "prediction"),
        ColSpec(DataType.double, "score"),
        ColSpec(DataType.string, "served_by"),
        *(ColSpec(DataType.double, f"{PROBABILITY}{label}") for label in classes),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name, required=name in required) for name in needed]), outputs=Schema(outputs)
    )
