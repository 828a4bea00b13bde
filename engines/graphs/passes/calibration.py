"""Find the ranges of activations on calibration data with ONNX Runtime's calibrators."""

import contextlib
import io
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from engines.core.errors import EngineError
from engines.core.values import Tensors
from engines.models.onnx_files import is_large

# the class of each method, and its options; by default entropy has so few bins that it cuts off nothing
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "minmax": ("MinMaxCalibrater", {}),
    "entropy": ("EntropyCalibrater", {"num_bins": 512, "num_quantized_bins": 128}),
    "percentile": ("PercentileCalibrater", {"num_bins": 2048, "percentile": 99.99}),
}


def calibrate(
    model: Path, batches: Iterable[Tensors], method: str, tensors: Sequence[str], scratch: Path
) -> dict[str, float]:
    """Return the largest absolute value of each tensor that quantization must represent; ranges are
    symmetric.

    `model` lies in a folder that may be written to, `scratch` is one for a copy of it. Raises EngineError
    when there is no data, or values are not finite.
    """
    if not tensors:
        return {}
    with quiet():
        found = ranges(model, batches, method, scratch, tensors=tensors, symmetric=True).data
    return {tensor: _amax(tensor, found[tensor].range_value) for tensor in tensors}


def ranges(
    model: Path,
    batches: Iterable[Tensors],
    method: str,
    scratch: Path,
    *,
    tensors: Sequence[str] | None = None,
    operators: Sequence[str] | None = None,
    symmetric: bool = False,
) -> Any:
    """Return ONNX Runtime's TensorsData: the ranges of these tensors, or of all that these operators
    touch.
    """
    from onnxruntime.quantization import calibrate as calibrators

    name, options = METHODS[method]
    calibrator = getattr(calibrators, name)(
        model,
        op_types_to_calibrate=operators,
        augmented_model_path=str(scratch / "augmented.onnx"),
        symmetric=symmetric,
        use_external_data_format=is_large(onnx.load(model, load_external_data=False)),
        **options,
    )
    if tensors is not None:
        calibrator.select_tensors_to_calibrate = lambda graph: _selected(graph, tensors)
    if tensors is None and not calibrator.select_tensors_to_calibrate(calibrator.model)[0]:
        raise EngineError("nothing in this model can be quantized to int8")
    calibrator.augment_graph()
    calibrator.infer_session = _session(Path(calibrator.augmented_model_path))
    _collect(calibrator, batches)
    return calibrator.compute_data()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence ONNX Runtime's tools, which print and warn; standard output may be a protocol."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)


@dataclass
class _One:
    """A batch as ONNX Runtime's calibrators take it: once, and then None."""

    batch: Tensors | None

    def get_next(self) -> Tensors | None:
        batch, self.batch = self.batch, None
        return batch


def _collect(calibrator: Any, batches: Iterable[Tensors]) -> None:
    """Collect one batch at a time: together they may not fit into memory, or have different shapes."""
    count = 0
    for count, batch in enumerate(batches, 1):
        try:
            with np.errstate(all="ignore"):
                calibrator.collect_data(_One(batch))
        except ValueError as error:  # numpy has no histogram of an infinite range
            raise EngineError(f"the model cannot be calibrated on batch {count}: {error}") from error
    if not count:
        raise EngineError("there is no calibration data", "Give at least one batch.")


def _selected(model: ModelProto, tensors: Sequence[str]) -> tuple[list[str], dict[str, ValueInfoProto]]:
    values = {
        value.name: value for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)
    }
    missing = [tensor for tensor in tensors if tensor not in values]
    unknown = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in missing]
    model.graph.value_info.extend(unknown)
    return list(dict.fromkeys(tensors)), values | {value.name: value for value in unknown}


def _session(path: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _amax(tensor: str, limits: tuple[Any, Any]) -> float:
    amax = float(max(abs(limit.item()) for limit in limits))
    if not math.isfinite(amax):
        raise EngineError(f"the tensor {tensor!r} is not finite on the calibration data")
    return amax
