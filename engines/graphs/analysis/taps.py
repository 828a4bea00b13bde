"""Read the tensors inside an ONNX graph, run by ONNX Runtime's CPU without optimization."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper

from engines.core.values import Tensors
from engines.models import read
from engines.models.onnx_files import name_nodes
from engines.models.ort import PROVIDERS, translated

FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)")
# numpy has no such type, and ONNX Runtime does not give it
UNKNOWN_TO_NUMPY = "tensor(bfloat16)"
_AS_FLOAT = "__as_float"


@dataclass(frozen=True)
class Tap:
    """A tensor of floats, the node that makes it, and its place among the node's outputs."""

    tensor: str
    node: NodeProto
    place: int


class TappedGraph:
    """An ONNX file whose tensors can be read.

    External weights are loaded with each session, and not before. Nodes without a name get one; `unnamed`
    are the tensors that these make. Raises UserError for a file that is no model, and EngineError for one
    that ONNX Runtime cannot load or run.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._model = read.parse(read.file_bytes(path), path)
        self._outputs = [value.name for value in self._model.graph.output]
        nodes = self._model.graph.node
        self.unnamed = frozenset(name for node in nodes if not node.name for name in node.output)
        name_nodes(self._model)
        self.makers: dict[str, NodeProto] = {name: node for node in nodes for name in node.output if name}

    @cached_property
    def taps(self) -> tuple[Tap, ...]:
        """Return every float tensor that a node computes, in the order of the nodes, without constants."""
        return tuple(
            Tap(name, node, place)
            for node in self._model.graph.node
            for place, name in enumerate(node.output)
            if node.op_type != "Constant" and self._types.get(name) in FLOATS
        )

    def run(self, batches: Sequence[Tensors]) -> list[Tensors]:
        """Return the graph's own outputs for each batch."""
        session = self.session(self._outputs)
        return [session.run(batch) for batch in batches]

    def session(self, names: Sequence[str]) -> "TapSession":
        """Return a session that outputs these tensors."""
        return TapSession(self._session(names, self._types), names)

    @cached_property
    def _types(self) -> dict[str, str]:
        """Return the type of every tensor that a node computes, as ONNX Runtime names it."""
        session = self._session([*self._outputs, *(self.makers.keys() - set(self._outputs))], {})
        return {tensor.name: tensor.type for tensor in session.get_outputs()}

    def _session(self, names: Sequence[str], types: dict[str, str]) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._folder)
        )
        data = self._with_outputs(names, [name for name in names if types.get(name) == UNKNOWN_TO_NUMPY])
        return translated(lambda: ort.InferenceSession(data, options, providers=PROVIDERS))

    def _with_outputs(self, names: Sequence[str], cast: Collection[str]) -> bytes:
        """Return the model's bytes with only these outputs; missing types are inferred."""
        model, graph = self._model, self._model.graph
        kept, count = list(graph.output), len(graph.node)
        known = {value.name: value for value in kept}
        del graph.output[:]
        for name in names:
            if name in cast:
                made = f"{name}{_AS_FLOAT}"
                graph.node.append(helper.make_node("Cast", [name], [made], to=TensorProto.FLOAT))
                graph.output.append(onnx.ValueInfoProto(name=made))
            else:
                graph.output.append(known.get(name) or onnx.ValueInfoProto(name=name))
        data: bytes = model.SerializeToString()
        del graph.output[:], graph.node[count:]
        graph.output.extend(kept)
        return data


class TapSession:
    """A loaded graph that returns the requested tensors under their own names."""

    def __init__(self, session: Any, names: Sequence[str]) -> None:
        self._session, self._names = session, names

    def run(self, batch: Tensors) -> Tensors:
        """Return the tensors for one batch of inputs; computes only what they need."""
        import onnxruntime as ort

        options = ort.RunOptions()
        options.only_execute_path_to_fetches = True
        found = translated(lambda: self._session.run(None, batch, options))
        return dict(zip(self._names, found, strict=True))
