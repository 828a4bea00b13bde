"""What is right: the original model on ONNX Runtime's CPU provider, nothing optimized."""

import re
from collections.abc import Sequence

import numpy as np

from engines.errors import UserError
from engines.values import Tensors, Workload

PROVIDERS = ["CPUExecutionProvider"]


def run(workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
    """The outputs for each batch; raises UserError for a model that cannot be loaded or run."""
    import onnxruntime as ort

    texts = [facts.name for facts in workload.model.inputs if facts.dtype == "string"]
    if texts:
        raise UserError(f"input {texts[0]!r} is text, which engines do not take", "Cut the model behind it.")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(workload.model.path, options, providers=PROVIDERS)
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


def _refuse_empty_of_numbers(batches: Sequence[Tensors]) -> None:
    """With nothing finite to compare with, any engine would pass as right."""
    for outputs in batches:
        for name, values in outputs.items():
            if values.size and values.dtype.kind == "f" and not np.isfinite(values).any():
                raise UserError(
                    f"output {name!r} of the model itself is NaN or infinite throughout",
                    "Check the model's weights, or give real inputs with --inputs.",
                )


def one_line(error: Exception) -> str:
    """ONNX Runtime's message without its codes and line breaks."""
    text = " ".join(str(error).split())
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : (\w+ : )?", "", text) or type(error).__name__


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
