"""Run a model file with ONNX Runtime's default optimizations and threads, on the CPU."""

import re
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort

from engines.backends.base import Runner
from engines.backends.onnxruntime.session import SessionRunner
from engines.core.errors import UserError
from engines.core.values import Policy, TensorFacts, Tensors, Workload
from engines.models.ort import PROVIDERS, translated
from engines.models.weights import dtype_name


class ModelFile:
    """An .onnx or .ort file, loaded; raises EngineError if ONNX Runtime refuses it."""

    def __init__(self, path: Path, streams: int) -> None:
        self._streams = streams
        self._session: Any = translated(lambda: ort.InferenceSession(str(path), providers=PROVIDERS))

    def inputs(self) -> tuple[TensorFacts, ...]:
        """Return the inputs; raises UserError for one that is not a tensor."""
        return tuple(map(_facts, self._session.get_inputs()))

    def outputs(self) -> tuple[TensorFacts, ...]:
        return tuple(map(_facts, self._session.get_outputs()))

    def open(self, workload: Workload, inputs: Tensors, policy: Policy) -> Runner:
        return SessionRunner(self._session, self._streams, inputs)


def _facts(tensor: Any) -> TensorFacts:
    element = re.fullmatch(r"tensor\((\w+)\)", tensor.type)
    if element is None:
        raise UserError(
            f"{tensor.name!r} of the model is a {tensor.type}, not a tensor",
            "Export the model so that its inputs and outputs are tensors.",
        )
    dtype = dtype_name(onnx.TensorProto.DataType.Value(element[1].upper()))
    # a dimension that varies is its name, or None
    return TensorFacts(tensor.name, dtype, tuple(tensor.shape))
