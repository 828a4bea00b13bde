"""Compute reference outputs: the original model on ONNX Runtime's CPU provider, without optimizations."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from engines.artifacts.workspace import write_file
from engines.core.errors import UserError
from engines.core.values import Tensors, Workload
from engines.core.wire import digest
from engines.models.ort import PROVIDERS, one_line


def run(workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
    """Return the outputs for each batch; raises UserError for a model that cannot be loaded or run."""
    import onnxruntime as ort

    texts = [facts.name for facts in workload.model.inputs if facts.dtype == "string"]
    if texts:
        raise UserError(
            f"input {texts[0]!r} is text, which engines do not take",
            "Export the model without that part.",
        )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(workload.model.file.where, options, providers=PROVIDERS)
    except Exception as error:
        raise _cannot_load(error) from error
    names = [output.name for output in session.get_outputs()]
    try:
        found = [dict(zip(names, session.run(names, batch), strict=True)) for batch in batches]
    except Exception as error:
        raise UserError(
            f"ONNX Runtime cannot run the model on these inputs: {one_line(error)}",
            "Check --shapes and --inputs.",
        ) from error
    _refuse_empty_of_numbers(found)
    return found


def makers() -> Mapping[str, str]:
    """Return the libraries that `run` uses, by name and version."""
    import onnxruntime as ort

    return {"onnxruntime": ort.__version__}


def _refuse_empty_of_numbers(batches: Sequence[Tensors]) -> None:
    """Raise UserError if an output has no finite value, since any engine would pass then."""
    for outputs in batches:
        for name, values in outputs.items():
            if values.size and values.dtype.kind == "f" and not np.isfinite(values).any():
                raise UserError(
                    f"every value of output {name!r} is NaN or infinite in the model itself",
                    "Check the model's weights, or give real inputs with --inputs.",
                )


def _cannot_load(error: Exception) -> UserError:
    text = one_line(error)
    operator = re.search(r"(\S+?)\(-?\d+\) is not a registered function/op", text)
    missing = re.search(r"Could not find an implementation for (\S+?)\((\d+)\) node", text)
    if operator:
        return UserError(
            f"ONNX Runtime has no operator {operator[1]!r}",
            "Replace it in the model, or use a backend that has it.",
        )
    if missing:
        return UserError(
            f"ONNX Runtime's CPU provider has no kernel for the operator {missing[1]!r} (opset {missing[2]})",
            "Replace it in the model, or use a backend that has it.",
        )
    unknown = re.search(r"No Op registered for (\S+) with domain_version of (\d+)", text)
    if unknown:
        return UserError(
            f"ONNX Runtime has no operator {unknown[1]!r} in opset {unknown[2]}",
            "Export the model for an opset that has it, or replace the operator.",
        )
    newer = re.search(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)", text)
    if newer:
        return UserError(
            f"the model's IR version {newer[1]} is newer than ONNX Runtime's {newer[2]}",
            "Upgrade onnxruntime, or save the model with an older ir_version.",
        )
    return UserError(f"ONNX Runtime cannot load the model: {text}", "Check it with onnx.checker.")


# reading more than this takes longer than running the model
MOST_BYTES = 256 << 20
# raised for a file that was truncated or overwritten: by numpy and zipfile, and by our own reader
_SPOILED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,  # NotImplementedError too
    zipfile.BadZipFile,
    zlib.error,
)


def reference_file(
    folder: Path, workload: Workload, batch: int, makers: Mapping[str, str], case: int = 0
) -> Path:
    """Return the file of the outputs of a case at a batch; `makers` are the libraries that computed them."""
    source = workload.inputs.digest or workload.inputs.seed
    shapes = workload.plan.cases[case].shapes
    key = digest(workload.model.digest, shapes, workload.batched_inputs, batch, source, makers)
    return folder / f"reference-{key}.npz"


def load(file: Path) -> list[Tensors] | None:
    """Return the outputs of each batch of inputs; None if the file is missing or damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            return _batches(dict(stored))
    except _SPOILED:
        return None


def _batches(found: Tensors) -> list[Tensors] | None:
    count = int(found.pop("count"))
    if not 0 < count <= len(found):
        return None
    batches: list[Tensors] = [{} for _ in range(count)]
    for name, values in found.items():
        number, _, output = name.partition(":")
        batches[int(number)][output] = values
    return batches


def save(file: Path, batches: list[Tensors]) -> None:
    """Save the outputs, unless they are large, of a type that the format lacks, or the disk is full."""
    tensors = [values for outputs in batches for values in outputs.values()]
    if sum(values.nbytes for values in tensors) > MOST_BYTES or any(
        values.dtype.kind not in "fiub" for values in tensors
    ):
        return
    named = {
        f"{number}:{name}": values
        for number, outputs in enumerate(batches)
        for name, values in outputs.items()
    }
    content = io.BytesIO()
    np.savez(content, count=np.array(len(batches)), **named)  # type: ignore[arg-type]
    # if the disk is full, the trial reports it
    with suppress(OSError):
        write_file(file, content.getvalue())
