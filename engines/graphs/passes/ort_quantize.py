"""Quantize to INT8 for ONNX Runtime's CPU kernels, which need other graphs than TensorRT's to be fast."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import onnx
from onnx import NodeProto

from engines.core.errors import EngineError
from engines.core.values import Tensors
from engines.graphs.passes.calibration import quiet, ranges
from engines.graphs.passes.selection import PRODUCTS
from engines.models.onnx_files import is_large, load, raised

# scales for each channel came with it
OPSET = 13
SUMS = {"Add", "Sum", "Concat", "Mul", "Sub"}


def quantize_int8(
    model: Path, batches: Iterable[Tensors], file: Path, method: str, keep: frozenset[str]
) -> None:
    """Write the model with Q/DQ pairs around what can be computed in 8 bits, except the nodes in `keep`.

    Activations are unsigned and weights signed and per channel, which x86 and Arm dot products take. Raises
    EngineError when nothing is left to quantize.
    """
    from onnxruntime.quantization import QuantType, qdq_quantizer, registry

    large = is_large(onnx.load(model, load_external_data=False))
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch, quiet():
        prepared = Path(scratch) / "prepared.onnx"
        _prepare(model, prepared, large)
        operators = _worth_quantizing(prepared) or sorted(
            {*registry.QLinearOpsRegistry, *registry.QDQRegistry}
        )
        # not quantize_static, which holds all batches at once and whose entropy calibration has no effect
        quantizer = qdq_quantizer.QDQQuantizer(
            raised(load(prepared), OPSET),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges(prepared, batches, method, Path(scratch), operators=operators),
            nodes_to_quantize=[],
            nodes_to_exclude=_kept(prepared, keep),
            op_types_to_quantize=operators,
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(file), large)
    graph = onnx.load(file, load_external_data=False).graph
    if not any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in graph.node):
        raise EngineError("nothing in this model can be quantized to int8")


def _prepare(model: Path, prepared: Path, large: bool) -> None:
    """Return the model with inferred shapes and folded constants."""
    from onnxruntime.quantization import shape_inference

    try:
        shape_inference.quant_pre_process(str(model), str(prepared), save_as_external_data=large)
    except Exception:  # symbolic shape inference gives up on some models that quantize well without it
        shape_inference.quant_pre_process(
            str(model), str(prepared), skip_symbolic_shape=True, save_as_external_data=large
        )


def _kept(prepared: Path, keep: frozenset[str]) -> list[str]:
    """The nodes that are named, or were made of such (a fusion is called NAME/FUSION), and what only serves
    them: rounding the sum in front of a node that is kept would be rounding its input.
    """
    nodes = onnx.load(prepared, load_external_data=False).graph.node
    named = {node.name for node in nodes if node.name in keep or node.name.rpartition("/")[0] in keep}
    after = _following(list(nodes), named, lambda node: (node.input, node.output))
    before = _following(list(reversed(nodes)), named, lambda node: (node.output, node.input))
    return sorted(named | after | before)


def _following(
    nodes: list[NodeProto],
    named: set[str],
    ends: Callable[[NodeProto], tuple[Iterable[str], Iterable[str]]],
) -> set[str]:
    """Return the nodes after those named, in execution order, up to the next product and to the first sum."""
    reached: set[str] = set()
    found = set()
    for node in nodes:
        taken, given = ends(node)
        if node.name in named:
            reached.update(given)
        elif node.op_type not in PRODUCTS and reached & set(taken):
            found.add(node.name)
            # a sum belongs to all that it adds, and further on to others
            reached.update(given if node.op_type not in SUMS else ())
    return found


def _worth_quantizing(prepared: Path) -> list[str] | None:
    """Return operator types to quantize; None for all.

    Convolutional networks need everything between their convolutions in 8 bits to stay there. In others only
    the products are worth it, and sums must be left alone: the mask that attention adds before its softmax
    has a range in which the scores vanish.
    """
    operators = {node.op_type for node in onnx.load(prepared, load_external_data=False).graph.node}
    return None if "Conv" in operators else ["MatMul", "Gemm"]
