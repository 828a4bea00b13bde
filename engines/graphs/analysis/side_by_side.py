"""Compare two ONNX graphs on the same inputs, tensor by tensor in the order in which the first one runs.

Tensors are the same when they have the same name, or come from nodes of the same name and operator.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from onnx import NodeProto

from engines.accuracy.compare import Compared, NodeCompared, compare_tensor, worst
from engines.core.values import Tensors
from engines.graphs.analysis.taps import Tap, TappedGraph

# operators that conversion and quantization insert between a tensor and its reader
CONVERSIONS = ("Cast", "QuantizeLinear", "DequantizeLinear")
# how many tensors are read at first, and how many bytes of them at a time once their size is known
FIRST_TENSORS = 16
GROUP_BYTES = 256 << 20

Report = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """A tensor of the first graph, and its name in the second."""

    tap: Tap
    other: str


def pairs(first: TappedGraph, second: TappedGraph) -> tuple[Pair, ...]:
    """Return the float tensors that both have, in the order of the first."""
    others = {tap.tensor for tap in second.taps}
    by_node = {
        (tap.node.name, tap.node.op_type, tap.place): tap.tensor
        for tap in second.taps
        if tap.tensor not in second.unnamed
    }
    found = []
    for tap in first.taps:
        maker = (tap.node.name, tap.node.op_type, tap.place)
        other = None if tap.tensor in first.unnamed else by_node.get(maker)
        if tap.tensor in others or other is not None:
            found.append(Pair(tap, tap.tensor if tap.tensor in others else str(other)))
    return tuple(found)


def side_by_side(
    first: TappedGraph,
    second: TappedGraph,
    batches: tuple[Sequence[Tensors], Sequence[Tensors]],
    report: Report,
) -> Iterator[NodeCompared]:
    """Yield the comparison of each tensor that both have over all batches; the caller may stop early.

    `batches` are the same inputs in the types that each of the graphs takes.
    """
    every = pairs(first, second)
    seen: set[str] = set()
    done, size = 0, FIRST_TENSORS
    while done < len(every):
        report(f"tensor {done + 1} of {len(every)}")
        group = every[done : done + size]
        found, largest = _compare(group, first, second, batches)
        for pair, compared in zip(group, found, strict=True):
            yield _described(pair, compared, first, second, seen)
            seen.add(pair.tap.tensor)
        done += len(group)
        size = max(1, GROUP_BYTES * len(group) // max(largest, 1))


def _compare(
    group: Sequence[Pair],
    first: TappedGraph,
    second: TappedGraph,
    batches: tuple[Sequence[Tensors], Sequence[Tensors]],
) -> tuple[list[Compared], int]:
    """Return the worst of each tensor over the batches, and the bytes of one batch."""
    sessions = (
        first.session([pair.tap.tensor for pair in group]),
        second.session([pair.other for pair in group]),
    )
    found: list[list[Compared]] = [[] for _ in group]
    largest = 0
    for one, two in zip(*batches, strict=True):
        mine, theirs = sessions[0].run(one), sessions[1].run(two)
        for place, pair in enumerate(group):
            found[place].append(compare_tensor(pair.tap.tensor, mine[pair.tap.tensor], theirs[pair.other]))
        largest = max(largest, sum(values.nbytes for values in mine.values()))
    return [worst(same) for same in found], largest


def _described(
    pair: Pair, compared: Compared, first: TappedGraph, second: TappedGraph, seen: Collection[str]
) -> NodeCompared:
    node, other = _maker(pair.tap.tensor, first), _maker(pair.other, second)
    mine = [_before_conversions(name, first) for name in node.input]
    theirs = [_before_conversions(name, second) for name in other.input]
    had = {operator for _, operators in mine for operator in operators}
    added = {operator: None for _, operators in theirs for operator in operators if operator not in had}
    return NodeCompared(
        compared,
        node.name,
        node.op_type,
        inputs=tuple(dict.fromkeys(name for name, _ in mine if name in seen)),
        conversions=tuple(added),
    )


def _maker(tensor: str, graph: TappedGraph) -> NodeProto:
    """Return the node that computes the tensor; a conversion only if nothing of the graph is before it."""
    source, _ = _before_conversions(tensor, graph)
    return graph.makers.get(source, graph.makers[tensor])


def _before_conversions(tensor: str, graph: TappedGraph) -> tuple[str, tuple[str, ...]]:
    """Return the tensor that this one was converted from, itself if it was not, and the conversion
    operators.
    """
    operators: list[str] = []
    while (node := graph.makers.get(tensor)) is not None and node.op_type in CONVERSIONS:
        operators.append(node.op_type)
        tensor = node.input[0]
    return tensor, tuple(reversed(operators))
