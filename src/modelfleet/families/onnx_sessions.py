"""Running ONNX models: checked when loaded, made ready when first used, and only so many kept ready."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

MOST_READY = 512
"""Most models kept ready by one table of models; a small one takes 75 kB and half a millisecond to make ready."""

LARGEST_BYTES = 2**28
"""Most bytes of a model: larger ones are not for thousands of entities."""


class Sessions:
    """The models of a table, one thread each; the least recently used make room for others."""

    def __init__(self, blobs: Sequence[bytes], most: int = MOST_READY) -> None:
        """Take models that ``check_model`` has seen."""
        self._blobs = blobs
        self._most = most
        self._ready: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ready)

    def get(self, model: int) -> Any:
        """Return a model's session.

        Raises:
            ValueError: onnxruntime refuses the model.
        """
        with self._lock:
            if model in self._ready:
                self._ready.move_to_end(model)
                return self._ready[model]
        made = session(self._blobs[model])
        with self._lock:
            self._ready[model] = made
            while len(self._ready) > self._most:
                self._ready.popitem(last=False)
        return made


def session(blob: bytes) -> Any:
    """Return an onnxruntime session that keeps to one thread.

    Raises:
        ValueError: onnxruntime refuses the model.
    """
    runtime = runtime_library()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # thousands of small models, each with memory of its own, would keep more of it than they use
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base
        raise ValueError(f"onnxruntime refuses it: {str(error).strip().partition(chr(10))[0]}") from error


def check_model(blob: bytes) -> None:
    """Refuse bytes that are no whole ONNX model, or that would make the runtime read other files.

    Raises:
        ValueError: They are not; the message says why.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_library()
    if len(blob) > LARGEST_BYTES:
        raise ValueError(f"it has {len(blob)} bytes, more than {LARGEST_BYTES}")
    try:
        model = onnx.load_model_from_string(blob)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's errors and the checker's
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"it is no ONNX model: {type(error).__name__}: {first}") from error
    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise ValueError(f"its tensor '{tensor.name}' lies in another file; save the model as one file")


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.initializer:
                    yield from _graphs(inner)


def onnx_library() -> ModuleType:
    """Return the module ``onnx``.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import onnx
        import onnx.checker
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "onnx") from error
    module: ModuleType = onnx
    return module


def runtime_library() -> ModuleType:
    """Return the module ``onnxruntime``.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "onnx") from error
    module: ModuleType = onnxruntime
    return module
