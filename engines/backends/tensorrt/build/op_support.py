"""Find out which operators parser and builder support, with the smallest networks that need them."""

import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.tensorrt.bindings.monitor import Messages, progress_monitor
from engines.backends.tensorrt.bindings.refusals import guarded
from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build import network
from engines.core.errors import EngineError
from engines.core.values import Shape
from engines.graphs.dimensions import CONVOLUTIONS, HALVES

SIZE = 8
CHANNELS = 32
# has all operators below
OPSET = 18


@dataclass(frozen=True)
class Suspect:
    """An operator of x and of weights, by their shapes, that may not be had in these precisions."""

    operator: str
    precisions: tuple[str, ...] = HALVES
    x: Shape = (1, CHANNELS, SIZE, SIZE)
    weights: tuple[Shape, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_built(self) -> bool:
        """Whether the parser takes it all the same: only RTX is asked, whose builder times no kernels."""
        return self.operator in CONVOLUTIONS


# of some 130 operators those that TensorRT-RTX 1.6.1 takes in FP32, but not in BF16, or not in INT8;
# Celu and MeanVarianceNormalization not even in FP16
SUSPECTS = (
    Suspect("Celu"),
    Suspect("Conv", ("int8",), weights=((CHANNELS, CHANNELS, 3, 3),)),
    Suspect("ConvTranspose", ("bf16", "int8"), weights=((CHANNELS, CHANNELS, 2, 2),)),
    Suspect("GRU", x=(2, 4, SIZE), weights=((1, 3 * SIZE, SIZE),) * 2, attributes={"hidden_size": SIZE}),
    Suspect("GlobalLpPool"),
    Suspect("HardSwish"),
    Suspect("LpNormalization"),
    Suspect("LpPool", attributes={"kernel_shape": [2, 2]}),
    Suspect("MeanVarianceNormalization"),
    Suspect("Mish"),
    Suspect("Shrink"),
)


@functools.cache
def refused(vendor: Vendor, operators: frozenset[str]) -> Mapping[str, Mapping[str, str]]:
    """Which of the operators cannot be had in a precision, and why in the vendor's words, by precision."""
    asked = [
        (one, precision)
        for one in SUSPECTS
        if one.operator in operators and (vendor.is_rtx or not one.is_built)
        for precision in one.precisions
    ]
    found: dict[str, dict[str, str]] = {}
    if not asked:
        return found
    messages = Messages(vendor, None)
    builder = guarded(lambda: vendor.module.Builder(messages.logger), messages)
    for suspect, precision in asked:
        said = _refusal(vendor, builder, suspect, precision, messages)
        if said:
            found.setdefault(precision, {})[suspect.operator] = said
    return found


def _refusal(vendor: Vendor, builder: Any, suspect: Suspect, precision: str, messages: Messages) -> str:
    """Empty where it is taken. What the library prints about it is no business of a log."""
    from engines.models import onnx_files

    with tempfile.TemporaryDirectory() as folder, _silent():
        file = Path(folder) / "probe.onnx"
        onnx_files.save(_graph(suspect, precision), file)
        try:
            # the parser must outlive the build
            parsed, parser = network.parse(vendor, builder, file, messages)
            if suspect.is_built:
                _build(vendor, builder, parsed, messages)
            del parser
        except EngineError as error:
            return f"the builder refuses {suspect.operator} in {precision}: {error.message}"
    return ""


def _build(vendor: Vendor, builder: Any, parsed: Any, messages: Messages) -> None:
    options = builder.create_builder_config()
    options.progress_monitor = monitor = progress_monitor(vendor, lambda _: None)
    guarded(lambda: builder.build_serialized_network(parsed, options), messages)
    # it must outlive the build
    del monitor


@contextmanager
def _silent() -> Iterator[None]:
    """The library writes to the file behind standard error, past Python."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _graph(suspect: Suspect, precision: str) -> Any:
    """The operator alone, in the precision as the search would make it."""
    from engines.graphs.passes import half_precision, qdq

    if precision in HALVES:
        return half_precision.lower(_model(suspect), precision, frozenset())
    return qdq.insert_qdq(_model(suspect), precision, {"x": 1.0}, frozenset())


def _model(suspect: Suspect) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = {f"w{place}": random.normal(size=shape) for place, shape in enumerate(suspect.weights)}
    node = helper.make_node(suspect.operator, ["x", *weights], ["y"], name="node", **suspect.attributes)
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, suspect.x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
