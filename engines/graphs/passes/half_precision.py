"""Convert FP32 graphs to FP16 or BF16, with casts between nodes of different types.

ONNX Runtime's converter is not used: it defines a cast twice where two kept nodes read the same tensor, which
is no valid model, rounds what goes from one kept node to the next, and knows no BF16.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.graphs.passes.selection import ONLY_MOVES, has_half
from engines.models.onnx_files import (
    captured,
    constants,
    copy_of,
    drop_unread,
    free_name,
    infer_shapes,
    names_of,
    replace,
)

TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
# a weight beyond the largest becomes the largest, and one that would vanish the smallest that is not zero
LIMITS = {"fp16": (5.96e-8, 65504.0), "bf16": (9.2e-41, 3.3895313892515355e38)}
# inputs that are FP32 whatever the others are, from this index on
FP32_FROM = {"Resize": 1}


def lower(model: ModelProto, to: str, keep: frozenset[str]) -> ModelProto:
    """Return the model in fp16 or bf16 except the nodes in `keep`; inputs and outputs keep their types."""
    lowered = copy_of(model)
    _constants_to_weights(lowered.graph)
    _Lowering(lowered, to, keep).run()
    return lowered


def halves(values: NDArray[np.float32], to: str) -> NDArray[np.generic]:
    """Return the values rounded to the nearest in fp16 or bf16; finite ones other than zero stay so."""
    import ml_dtypes

    smallest, largest = LIMITS[to]
    sizes = np.abs(values)
    bounded = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    bounded = np.where((sizes > 0) & (sizes < smallest), np.copysign(smallest, values), bounded)
    dtype: type[np.generic] = np.float16 if to == "fp16" else ml_dtypes.bfloat16
    return bounded.astype(dtype)


@dataclass
class _Lowering:
    """One pass over the graph in the order that it runs; `halved` are the tensors now in 16 bits."""

    model: ModelProto
    to: str
    keep: frozenset[str]
    halved: set[str] = field(default_factory=set)
    nodes: list[NodeProto] = field(default_factory=list)
    casts: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        graph = self.model.graph
        self.known = infer_shapes(self.model)
        self.weights = constants(graph)
        self.names = names_of(graph) | set(self.known)
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        # tensors that must be there in FP32 under their own names
        self.pinned = {value.name for value in graph.output} | captured(graph)
        for node in graph.node:
            if self._is_lowered(node):
                self._lower(node)
            else:
                self._restore(node)
        _finish(self.model, self.nodes, self.halved, TYPES[self.to])

    def _is_lowered(self, node: NodeProto) -> bool:
        """Return whether to lower the node; nodes that only move FP32 values stay in FP32, to avoid rounding
        twice.
        """
        if node.name in self.keep or not has_half(node, self.known):
            return False
        if node.op_type == "Cast":
            return node.input[0] in self.halved and not self._is_fp32(node.output[0])
        moved = [name for name in node.input if self._is_fp32(name) and name not in self.weights]
        if node.op_type not in ONLY_MOVES:
            return True
        return all(name in self.halved for name in moved) if moved else self._has_lowered_reader(node)

    def _has_lowered_reader(self, node: NodeProto) -> bool:
        """Return whether a node that only moves weights, such as an embedding, does so for a 16-bit node."""
        readers = (reader for name in node.output for reader in self.readers.get(name, ()))
        return any(
            reader.name not in self.keep
            and has_half(reader, self.known)
            and (reader.op_type not in ONLY_MOVES or self._has_lowered_reader(reader))
            for reader in readers
        )

    def _lower(self, node: NodeProto) -> None:
        for index, name in enumerate(node.input[: FP32_FROM.get(node.op_type)]):
            if self._is_fp32(name) and name not in self.halved:
                node.input[index] = self._weight(name) if name in self.weights else self._cast(name, self.to)
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            if not self._is_fp32(name):
                continue
            if name in self.pinned:
                node.output[index] = self._half_of_pinned(name)
            else:
                self.halved.add(name)

    def _restore(self, node: NodeProto) -> None:
        for index, name in enumerate(node.input):
            if name in self.halved:
                node.input[index] = self._cast(name, "fp32")
        self.nodes.append(node)

    def _is_fp32(self, name: str) -> bool:
        return name in self.known and self.known[name][0] == TensorProto.FLOAT

    def _weight(self, name: str) -> str:
        """Return the name of the weight in 16 bits; FP32 readers keep the original."""
        if name not in self.casts:
            self.casts[name] = free_name(f"{name}_{self.to}", self.names)
            values = halves(numpy_helper.to_array(self.weights[name]), self.to)
            self.model.graph.initializer.append(numpy_helper.from_array(values, self.casts[name]))
        return self.casts[name]

    def _cast(self, name: str, to: str) -> str:
        """Return the name of the cast tensor; adds the cast if there is none yet."""
        if name not in self.casts:
            cast = self.casts[name] = free_name(f"{name}_{to}", self.names)
            element = TYPES.get(to, TensorProto.FLOAT)
            self.nodes.append(
                helper.make_node(
                    "Cast", [name], [cast], name=free_name(f"Cast_{cast}", self.names), to=element
                )
            )
        return self.casts[name]

    def _half_of_pinned(self, name: str) -> str:
        half = self.casts[name] = free_name(f"{name}_{self.to}", self.names)
        back = helper.make_node(
            "Cast", [half], [name], name=free_name(f"Cast_{name}", self.names), to=TensorProto.FLOAT
        )
        self.nodes.append(back)
        return half


def _constants_to_weights(graph: GraphProto) -> None:
    """Convert Constant nodes to initializers, which can exist in both types."""
    kept = []
    for node in graph.node:
        tensor = _constant(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    replace(graph.node, kept)


def _constant(node: NodeProto) -> TensorProto | None:
    """Return the value; None if it is sparse or a text."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    if attribute.name in ("value_float", "value_floats"):
        return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), np.float32))
    return None


def _finish(model: ModelProto, nodes: list[NodeProto], halved: set[str], element: int) -> None:
    """Return the graph of these nodes, without unused weights and with corrected types."""
    graph = model.graph
    replace(graph.node, nodes)
    drop_unread(graph)
    for value in graph.value_info:
        if value.name in halved:
            value.type.tensor_type.elem_type = element
