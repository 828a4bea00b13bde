"""Insert quantizers and dequantizers before nodes, and the weights that they read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from engines.graphs.passes.selection import Site
from engines.models.onnx_files import constants, drop_unread, free_name, names_of, replace

# a smaller scale would lose most of its bits in FP16, or become zero
LEAST_SCALES: dict[np.dtype[Any], float] = {np.dtype(np.float16): 2.0**-20}
LEAST_SCALE = 2.0**-100


class Insertion:
    """A graph to which nodes are added in place; `finish` puts them in order."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        self._readers = {node.name: node for node in model.graph.node}
        self._weights = constants(model.graph)
        self._names = names_of(model.graph)
        self._before: dict[str, list[NodeProto]] = {}
        self._made: dict[tuple[str, int | None], str] = {}

    def values(self, weight: str) -> NDArray[np.generic]:
        """Return the values of a weight in its own type."""
        values: NDArray[np.generic] = numpy_helper.to_array(self._weights[weight])
        return values

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a weight; returns its name, which starts with the given one."""
        name = free_name(name, self._names)
        self._graph.initializer.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def node(
        self, site: Site, operator: str, inputs: Sequence[str], **attributes: int | Sequence[int]
    ) -> str:
        """Add a node before the site's; returns the name of its output."""
        output = free_name(f"{site.tensor}_{operator}", self._names)
        node = helper.make_node(
            operator, inputs, [output], name=free_name(f"{operator}_{output}", self._names), **attributes
        )
        self._before.setdefault(site.node, []).append(node)
        return output

    def made(self, site: Site) -> bool:
        """Return whether the tensor was dequantized for an earlier node, so that `connect` can reuse it."""
        return (site.tensor, site.axis) in self._made

    def connect(self, site: Site, tensor: str | None = None) -> None:
        """Let the site's node read this tensor, or the one that an earlier node of the same site reads."""
        key = (site.tensor, site.axis)
        self._readers[site.node].input[site.index] = self._made.setdefault(key, tensor or "")

    def finish(self) -> None:
        """Put the nodes into the graph and remove the weights that nothing reads."""
        graph = self._graph
        nodes = [one for node in graph.node for one in (*self._before.get(node.name, ()), node)]
        replace(graph.node, nodes)
        drop_unread(graph)


def scale_of(amax: NDArray[np.float32], largest: float, dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Return the scale that maps the largest value of a type to `amax`; 1 if all values are zero."""
    scale = np.maximum(amax / largest, LEAST_SCALES.get(dtype, LEAST_SCALE))
    return np.where(amax > 0, scale, 1.0).astype(dtype)
