"""Calibrate the ranges of a model's tensors once, and save them in the caches."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engines.artifacts.workspace import temporary_folder, write_file
from engines.core.errors import EngineError, UserError
from engines.core.values import Tensors
from engines.data.calibration import calibration_batches
from engines.graphs.context import GraphContext
from engines.graphs.dimensions import METHODS

if TYPE_CHECKING:
    import onnx

T = TypeVar("T")


def ranges(context: GraphContext, model: "onnx.ModelProto", precision: str) -> dict[str, float]:
    """Return the largest absolute value of every quantized tensor; saved in the caches."""
    file = context.caches / f"ranges-{context.key(precision)}.json"
    found = _read(file)
    if found is None:
        found = _calibrated(context, model, precision)
        write_file(file, json.dumps(found).encode())
    return found


def on_data(context: GraphContext, take: Callable[[Iterator[Tensors]], T]) -> T:
    """Return what `take` makes of the calibration data, in large batches if the model runs on them."""
    try:
        return take(counted_batches(context, large=True))
    except (UserError, EngineError, MemoryError, OSError):
        raise
    except Exception:  # ONNX Runtime raises many, for a batch that is dynamic in name only
        return take(counted_batches(context))


def counted_batches(context: GraphContext, *, large: bool = False) -> Iterator[Tensors]:
    """Yield the calibration data, and report the number of each batch."""
    for number, batch in enumerate(calibration_batches(context.workload, large=large), 1):
        context.report(f"calibrating, batch {number}")
        yield batch


def _read(file: Path) -> dict[str, float] | None:
    try:
        return {name: float(amax) for name, amax in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _calibrated(context: GraphContext, model: "onnx.ModelProto", precision: str) -> dict[str, float]:
    from engines.graphs.passes import calibration
    from engines.graphs.passes.selection import sites
    from engines.models import onnx_files

    context.report("calibrating")
    tensors = sorted({site.tensor for site in sites(model, precision) if not site.is_weight})
    method = str(context.settings.get("calibration", METHODS[0]))
    with temporary_folder(context.caches) as scratch:
        file = scratch / "model.onnx"
        onnx_files.save(model, file)
        return on_data(
            context, lambda batches: calibration.calibrate(file, batches, method, tensors, scratch)
        )
