"""The nodes that a user's patterns name."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from onnx import ModelProto, NodeProto


def matching(model: ModelProto, patterns: Sequence[str]) -> frozenset[str]:
    """The names of the nodes whose name or operator matches any of the patterns; subgraphs are left out.

    A pattern is written as for files, with *, ? and [...]; a name or operator as it is matches too.
    """
    return frozenset(
        node.name for node in model.graph.node if any(_matches(node, pattern) for pattern in patterns)
    )


def unmatched(model: ModelProto, patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns that match no node."""
    return tuple(pattern for pattern in patterns if not matching(model, [pattern]))


def _matches(node: NodeProto, pattern: str) -> bool:
    # names of nodes may have brackets in them
    return any(text == pattern or fnmatchcase(text, pattern) for text in (node.name, node.op_type))
