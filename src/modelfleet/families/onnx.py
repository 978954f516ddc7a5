"""The family `onnx`: a model per entity that was trained elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from modelfleet.errors import BundleError, SpecError, nearest
from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import column, strings
from modelfleet.families.onnx_files import model_files
from modelfleet.families.onnx_inputs import Inputs
from modelfleet.families.onnx_sessions import Sessions, check_model, onnx_library, runtime_library, session
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard

POOLED = ""
"""The key under which the pooled model is asked for."""

TRIED_ROWS = 64
"""Most of an entity's training rows that its model is tried on."""

ROUNDING = 1e-3
"""Farthest a row's probabilities may sum from 1."""


class OnnxParameters(Section):
    """Parameters of the family.

    Attributes:
        models: A folder of ``ENTITY.onnx`` files, or a Parquet or CSV table with the columns ``entity`` and ``file``.
        pooled: The pooled model's file; absent means the fleet has none.
        inputs: The features each of the models' inputs gets, in order; absent means that the only input gets them all,
            categories (as codes) first.
        output: The output that is the prediction; absent means the only one that holds floats.
        classes: The classes in the order of the output's columns; absent means sorted.
    """

    models: str = Field(min_length=1)
    pooled: str | None = None
    inputs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    output: str | None = None
    classes: tuple[str, ...] = ()


class OnnxFamily:
    """Models brought as ONNX files. Fitting tries each on its entity's rows and stores its bytes."""

    name: ClassVar[str] = "onnx"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    libraries: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters; nothing is drawn, so the seed changes nothing. The files are looked at when fitting.

        Raises:
            SpecError: A parameter is wrong, or names a feature or a class that the data does not have.
            MissingExtraError: onnx or onnxruntime is not installed.
        """
        check_task(self.name, self.tasks, schema.task)
        self._parameters = check_parameters(self.name, OnnxParameters, parameters)
        onnx_library()
        runtime_library()
        self._schema = schema
        self._caller = _Caller(schema, self._parameters)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Take each entity's file; one that is missing, is no model or does not fit the data is its failure.

        Raises:
            SpecError: The folder or the table of files is not there.
        """
        files = dict(model_files(self._parameters.models)) if shard.entities else {}
        if self._parameters.pooled is not None:
            from pathlib import Path

            files[POOLED] = Path(self._parameters.pooled)
        kept: dict[str, bytes] = {}
        failures: dict[str, str] = {}
        for index, entity in enumerate(shard.entities):
            part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
            try:
                kept[entity] = self._take(files.get(entity), shard.rows.take(part))
            except (ValueError, OSError) as error:
                failures[entity] = str(error)
        return Fitted(
            pa.table(
                {
                    ENTITY: strings(list(kept)),
                    "model": pa.array(list(kept.values()), pa.large_binary()),
                    "fingerprint": strings([self._schema.fingerprint] * len(kept)),
                }
            ),
            failures,
        )

    def _take(self, file: Path | None, rows: EncodedRows) -> bytes:
        if len(rows) == 0:
            raise ValueError("it has no training rows")
        if file is None:
            raise ValueError(f"{self._parameters.models} has no model for it")
        blob = file.read_bytes()
        try:
            check_model(blob)
            tried = self._caller.call(session(blob), rows.take(slice(0, TRIED_ROWS)))
            if not np.isfinite(tried).all():
                raise ValueError("it predicts numbers that are not finite for its training rows")
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
        return blob

    def load(self, models: pa.Table) -> OnnxPredictor:
        """Check every model now; each is made ready when it is first used.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or a model is damaged.
        """
        entities = column(models, ENTITY, pa.string(), self.name).to_pylist()
        blobs = [blob.as_py() for blob in column(models, "model", pa.large_binary(), self.name)]
        written = set(column(models, "fingerprint", pa.string(), self.name).to_pylist())
        if written - {self._schema.fingerprint}:
            raise BundleError(f"family '{self.name}': the models are for other columns or classes than this schema's")
        for entity, blob in zip(entities, blobs, strict=True):
            try:
                check_model(blob)
            except ValueError as error:
                raise BundleError(
                    f"family '{self.name}': the model of entity {entity!r} cannot be loaded: {error}"
                ) from error
        return OnnxPredictor(entities, Sessions(blobs), self._caller)


class OnnxPredictor:
    """ONNX models ready to predict."""

    def __init__(self, entities: list[str], sessions: Sessions, caller: _Caller) -> None:
        self._entities = entities
        self._sessions = sessions
        self._caller = caller

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, 1); one call per model that occurs.

        Raises:
            BundleError: A model that was tried when it was taken does not run any more.
        """
        result = np.zeros((len(rows), self._caller.outputs))
        order = np.argsort(model, kind="stable")
        starts = np.flatnonzero(np.diff(model[order], prepend=-1))
        for at in np.split(order, starts[1:]) if len(order) else []:
            which = int(model[at[0]])
            try:
                result[at] = self._caller.call(self._sessions.get(which), rows.take(at))
            except ValueError as error:
                raise BundleError(
                    f"family 'onnx': the model of entity {self._entities[which]!r} does not run: {error}"
                ) from error
        return result


class _Caller:
    """How a model is called, and what its answer means."""

    def __init__(self, schema: Schema, parameters: OnnxParameters) -> None:
        self.outputs = schema.outputs
        self._regression = schema.task is Task.REGRESSION
        self._inputs = Inputs(schema, parameters.inputs)
        self._output = parameters.output
        self._columns = np.arange(schema.outputs)
        if parameters.classes:
            for name in parameters.classes:
                if name not in schema.classes:
                    raise SpecError(
                        f"model.parameters.classes: the data has no class '{name}'{nearest(name, schema.classes)}"
                    )
            if len(set(parameters.classes)) != len(parameters.classes):
                raise SpecError("model.parameters.classes: a class is named twice")
            self._columns = np.array([schema.classes.index(name) for name in parameters.classes])

    def call(self, session: Any, rows: EncodedRows) -> NDArray[np.float64]:
        """Return a session's predictions (n, outputs).

        Raises:
            ValueError: It does not take these rows, or answers with something else.
        """
        output = self._chosen(session)
        try:
            (answer,) = session.run([output], self._inputs.feed(rows, session.get_inputs()))
        except ValueError:
            raise
        except Exception as error:  # onnxruntime's errors share no base
            raise ValueError(f"it cannot predict: {str(error).strip().partition(chr(10))[0]}") from error
        values = np.asarray(answer, dtype=np.float64)
        if self._regression:
            if values.size != len(rows):
                raise ValueError(f"its output '{output}' has the shape {values.shape} for {len(rows)} rows")
            return values.reshape(len(rows), 1)
        if values.shape != (len(rows), len(self._columns)):
            raise ValueError(
                f"its output '{output}' has the shape {values.shape} for {len(rows)} rows, "
                f"expected a probability for each of {len(self._columns)} classes"
            )
        total = values.sum(axis=1, keepdims=True)
        if (values < -ROUNDING).any() or (abs(total - 1) > ROUNDING).any():
            raise ValueError(f"its output '{output}' holds no probabilities: they are negative or do not sum to 1")
        result = np.zeros((len(rows), self.outputs))
        result[:, self._columns] = np.maximum(values, 0.0) / np.maximum(values, 0.0).sum(axis=1, keepdims=True)
        return result

    def _chosen(self, session: Any) -> str:
        declared: dict[str, str] = {each.name: each.type for each in session.get_outputs()}
        if self._output is not None:
            if self._output not in declared:
                raise ValueError(f"it has no output '{self._output}', only {', '.join(declared)}")
            return self._output
        floats = [name for name, kind in declared.items() if kind in {"tensor(float)", "tensor(double)"}]
        if len(floats) != 1:
            raise ValueError(
                f"its outputs are {declared}: name the one with the prediction in model.parameters.output "
                "(skl2onnx writes probabilities as a tensor with the option zipmap=False)"
            )
        return floats[0]
