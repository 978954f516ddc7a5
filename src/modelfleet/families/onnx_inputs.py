"""How rows reach a model's inputs: which features go where, as which type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.errors import SpecError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
"""Types of inputs that take numbers, and codes of categories."""

LARGEST_WHOLE = {"tensor(int64)": 2.0**62, "tensor(int32)": 2.0**30}
"""Numbers beyond it are taken as this large by an input of whole numbers."""

LARGEST = 1e38
"""Numbers beyond it are taken as this large, so that float32 holds them."""


class Inputs:
    """What of a row each input of a model gets."""

    def __init__(self, schema: Schema, wanted: Mapping[str, Sequence[str]]) -> None:
        """Check the features named.

        Args:
            schema: What rows are encoded by.
            wanted: Input name to features, in the order of the input's columns. Empty: the model's only input gets
                every feature, the categories first, each in the schema's order.

        Raises:
            SpecError: There is no such feature.
        """
        self._places = {feature.name: j for j, feature in enumerate((*schema.categories, *schema.numbers))}
        self._categories = len(schema.categories)
        self._texts = [np.array(["", *(each.levels or ()), ""], dtype=object) for each in schema.categories]
        self._wanted = {name: tuple(features) for name, features in wanted.items()}
        for name, features in self._wanted.items():
            for feature in features:
                if feature not in self._places:
                    raise SpecError(
                        f"model.parameters.inputs.{name}: the data has no feature "
                        f"'{feature}'{nearest(feature, self._places)}"
                    )

    def feed(self, rows: EncodedRows, declared: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Return what each input gets for n rows.

        Args:
            rows: The rows.
            declared: The model's inputs, as onnxruntime tells of them: ``name``, ``type``, ``shape``.

        Raises:
            ValueError: The inputs are not those that were named, or are of a type that rows do not fit.
        """
        wanted = self._wanted
        if not wanted and len(declared) == 1:
            wanted = {declared[0].name: tuple(self._places)}
        names = [each.name for each in declared]
        if set(names) != set(wanted):
            raise ValueError(f"its inputs are {names}, but model.parameters.inputs names {sorted(wanted)}")
        fed = {}
        for each in declared:
            columns = self._columns(rows, wanted[each.name], each)
            shape = each.shape
            width = shape[1] if len(shape) == 2 else 1
            if len(shape) not in {1, 2} or (isinstance(width, int) and width != columns.shape[1]):
                raise ValueError(f"its input '{each.name}' has the shape {shape}, but gets {columns.shape[1]} features")
            fed[each.name] = columns[:, 0] if len(shape) == 1 else columns
        return fed

    def _columns(self, rows: EncodedRows, features: Sequence[str], declared: Any) -> NDArray[Any]:
        places = [self._places[name] for name in features]
        if declared.type == "tensor(string)":
            if any(place >= self._categories for place in places):
                raise ValueError(f"its input '{declared.name}' takes text, but {list(features)} are not all categories")
            # the last text is what a code of -1, a level the schema does not know, finds
            texts = [self._texts[place][rows.codes[:, place]] for place in places]
            return np.stack(texts, axis=1) if texts else np.empty((len(rows), 0), dtype=object)
        if declared.type not in TYPES:
            raise ValueError(f"its input '{declared.name}' is a {declared.type}, which no feature is")
        numbers = np.clip(rows.numbers, -LARGEST, LARGEST)
        values = np.concatenate([rows.codes, numbers], axis=1)[:, places]
        kind = TYPES[declared.type]
        if declared.type in LARGEST_WHOLE:  # which has no NaN
            largest = LARGEST_WHOLE[declared.type]
            values = np.clip(np.nan_to_num(values, nan=0.0), -largest, largest)
        return np.ascontiguousarray(values, dtype=kind)
