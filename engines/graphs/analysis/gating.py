"""Build a graph in which every node can be lowered by itself, through a Boolean input for each node.

Precision is simulated: values are rounded to the type's values, and computed in FP32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.graphs.passes import qdq
from engines.graphs.passes.half_precision import FP32_FROM, TYPES, halves
from engines.graphs.passes.insertion import scale_of
from engines.graphs.passes.selection import Site, int4_block, sites
from engines.graphs.passes.weight_only import CLIPPINGS
from engines.models.onnx_files import constants, copy_of, infer_shapes, raised, replace

GATES = "__gates"
LARGEST = {**qdq.LARGEST, "int4": 7.0}
QUANTIZED = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}
# casts to BF16 came with opset 13
OPSETS = {**qdq.OPSETS, "bf16": 13}

Floats = NDArray[np.float32]


def gated(model: ModelProto, precision: str, amax: Mapping[str, float], nodes: Sequence[str]) -> ModelProto:
    """Return the model with the input GATES, a truth value for each node: whether it is lowered.

    Every one of these nodes becomes a choice between itself as it is and itself with what goes in rounded,
    and what comes out too where that is in 16 bits. An activation without a range in `amax` is left alone.
    """
    found = raised(model, OPSETS[precision]) if precision in OPSETS else copy_of(model)
    _Gating(found, precision, amax, {name: place for place, name in enumerate(nodes)}).run()
    return found


@dataclass
class _Gating:
    """One pass over the graph; `added` are the tensors that it needs, by name."""

    model: ModelProto
    precision: str
    amax: Mapping[str, float]
    places: Mapping[str, int]
    added: dict[str, TensorProto] = field(default_factory=dict)

    def run(self) -> None:
        graph = self.model.graph
        self.known = {name: element for name, (element, _) in infer_shapes(self.model).items()}
        self.weights = constants(graph)
        self.lowered = self._lowered_inputs(graph)
        replace(graph.node, [made for node in graph.node for made in self._choice(node)])
        graph.initializer.extend(self.added.values())
        graph.input.append(helper.make_tensor_value_info(GATES, TensorProto.BOOL, [len(self.places)]))

    def _lowered_inputs(self, graph: GraphProto) -> dict[str, list[Site]]:
        """Return the inputs that are rounded, by node."""
        if self.precision in TYPES:
            found = [site for node in graph.node if node.name in self.places for site in self._floats(node)]
        else:
            found = list(sites(self.model, self.precision))
        return {name: [site for site in found if site.node == name] for name in self.places}

    def _floats(self, node: NodeProto) -> list[Site]:
        return [
            Site(node.name, node.op_type, index, name, name in self.weights, None)
            for index, name in enumerate(node.input[: FP32_FROM.get(node.op_type)])
            if self.known.get(name) == TensorProto.FLOAT
        ]

    def _choice(self, node: NodeProto) -> list[NodeProto]:
        """Return the node with its gate, or itself if it has none."""
        if node.name not in self.places:
            return [node]
        place = self.places[node.name]
        own = f"{GATES}/{place}"
        self._add(own, np.array(place, np.int64))
        gate = helper.make_node("Gather", [GATES, own], [f"{own}/gate"])
        branches = {
            "then_branch": self._branch(node, f"{own}/lowered", self.lowered[node.name]),
            "else_branch": self._branch(node, f"{own}/kept", None),
        }
        outputs = [name for name in node.output if name]
        return [gate, helper.make_node("If", [f"{own}/gate"], outputs, node.name, **branches)]

    def _branch(self, node: NodeProto, own: str, lowered: list[Site] | None) -> GraphProto:
        """Return the node in a graph of its own, with these inputs rounded; None for the unchanged node."""
        copy = NodeProto()
        copy.CopyFrom(node)
        replace(copy.output, [name and f"{own}/{name}" for name in node.output])
        results = {name: f"{own}/{name}" for name in node.output if name}
        nodes: list[NodeProto] = []
        for site in lowered or ():
            copy.input[site.index], made = self._rounded_input(site, f"{own}/{site.index}")
            nodes += made
        nodes.append(copy)
        if lowered is not None and self.precision in TYPES:
            for name, inner in list(results.items()):
                if self.known[name] == TensorProto.FLOAT:
                    nodes += self._through_half(inner, f"{inner}/rounded")
                    results[name] = f"{inner}/rounded"
        values = [helper.make_tensor_value_info(results[name], self.known[name], None) for name in results]
        return helper.make_graph(nodes, own, [], values)

    def _rounded_input(self, site: Site, own: str) -> tuple[str, list[NodeProto]]:
        """Return the name of the rounded input, and the nodes that make it."""
        if site.is_weight:
            return self._rounded_weight(site), []
        if self.precision in TYPES:
            return own, self._through_half(site.tensor, own)
        if site.tensor not in self.amax:
            return site.tensor, []
        return own, self._through_quantized(site.tensor, own)

    def _rounded_weight(self, site: Site) -> str:
        name = f"{GATES}/weight/{site.axis}/{site.tensor}"
        if name not in self.added:
            stored = numpy_helper.to_array(self.weights[site.tensor])
            values = stored.astype(np.float32)
            block = int4_block(site, self.weights[site.tensor])
            self._add(name, rounded_weight(values, self.precision, site.axis, block).astype(stored.dtype))
        return name

    def _through_half(self, source: str, target: str) -> list[NodeProto]:
        return [
            helper.make_node("Cast", [source], [f"{target}/half"], to=TYPES[self.precision]),
            helper.make_node("Cast", [f"{target}/half"], [target], to=TensorProto.FLOAT),
        ]

    def _through_quantized(self, source: str, target: str) -> list[NodeProto]:
        scale, zero = f"{GATES}/scale/{source}", f"{GATES}/zero"
        amax = np.array(self.amax[source], np.float32)
        self._add(scale, scale_of(amax, LARGEST[self.precision], amax.dtype))
        self.added[zero] = helper.make_tensor(zero, QUANTIZED[self.precision], [], [0])
        # scales in 16 bits would need a newer opset
        return [
            helper.make_node("Cast", [source], [f"{target}/float"], to=TensorProto.FLOAT),
            helper.make_node("QuantizeLinear", [f"{target}/float", scale, zero], [f"{target}/quantized"]),
            helper.make_node("DequantizeLinear", [f"{target}/quantized", scale, zero], [f"{target}/back"]),
            helper.make_node("Cast", [f"{target}/back"], [target], to=self.known[source]),
        ]

    def _add(self, name: str, values: NDArray[np.generic]) -> None:
        self.added[name] = numpy_helper.from_array(np.asarray(values), name)


def rounded_weight(values: Floats, precision: str, axis: int | None, block: int = 0) -> Floats:
    """A weight as the precision holds it: with a scale for each index of `axis`, one for all where that is
    None, and in int4 one for each `block` of values along the other axis of two.
    """
    if precision in TYPES:
        return halves(values, precision).astype(np.float32)
    if precision == "int4":
        rows = values if axis == 0 else values.T
        lowered = _in_blocks(rows.reshape(len(rows), -1, block)).reshape(rows.shape)
        return lowered if axis == 0 else lowered.T
    others = tuple(index for index in range(values.ndim) if index != axis)
    return _quantized(values, np.abs(values).max(axis=others, keepdims=True, initial=0.0), precision)


def _in_blocks(blocks: Floats) -> Floats:
    """Round each block with the range that gives the least error."""
    ranges = np.abs(blocks).max(axis=2, keepdims=True)
    tried = np.stack([_quantized(blocks, ranges * np.float32(clipping), "int4") for clipping in CLIPPINGS])
    errors = np.square(tried - blocks).sum(axis=3, keepdims=True)
    found: Floats = np.take_along_axis(tried, errors.argmin(axis=0, keepdims=True), axis=0)[0]
    return found


def _quantized(values: Floats, ranges: Floats, precision: str) -> Floats:
    largest = LARGEST[precision]
    scales = scale_of(ranges, largest, ranges.dtype).astype(np.float32)
    scaled = np.clip(values / scales, -largest, largest)
    if precision == "fp8":
        import ml_dtypes

        scaled = scaled.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    else:
        scaled = np.rint(scaled)
    found: Floats = scaled * scales
    return found
