"""Parse an ONNX graph into the vendor's network, strongly typed by default, and name every problem."""

from pathlib import Path
from typing import Any

from engines.backends.tensorrt.bindings.monitor import Messages
from engines.backends.tensorrt.bindings.refusals import without_noise
from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.core.errors import EngineError
from engines.core.values import NOTHING, Settings

MOST_NODES = 8
UNSUPPORTED = "not supported"


def open_parser(
    vendor: Vendor, builder: Any, messages: Messages, *, weakly_typed: bool = False
) -> tuple[Any, Any]:
    """An empty network and a parser that fills it."""
    network = builder.create_network(0 if weakly_typed else _flags(vendor))
    return network, vendor.module.OnnxParser(network, messages.logger)


def parse(
    vendor: Vendor,
    builder: Any,
    graph: Path,
    messages: Messages,
    settings: Settings = NOTHING,
    *,
    weakly_typed: bool = False,
) -> tuple[Any, Any]:
    """The network and its parser, which must both live until the engine is built; raises EngineError."""
    network, parser = open_parser(vendor, builder, messages, weakly_typed=weakly_typed)
    for name in vendor.parser_flags():
        if name.lower() in settings:
            change = parser.set_flag if settings[name.lower()] else parser.clear_flag
            change(vendor.member("OnnxParserFlag", name))
    # from the file, so that weights beside it are found
    if not parser.parse_from_file(str(graph)):
        raise EngineError(explain(parser, messages.take_errors()))
    return network, parser


def explain(parser: Any, errors: list[str]) -> str:
    """What the parser could not take: every node with its operator, not only the first."""
    found = [parser.get_error(index) for index in range(parser.num_errors)]
    nodes = list(dict.fromkeys(_node(error) for error in found))
    if not nodes:
        said = without_noise(errors)
        return f"the parser refused the graph: {said[0] if said else 'it does not say why'}"
    shown, more = "; ".join(nodes[:MOST_NODES]), len(nodes) - MOST_NODES
    return f"the parser refused {shown}{f'; and {more} more' if more > 0 else ''}"


def _node(error: Any) -> str:
    """Such as `Det 'det_1' (not supported)`; a node without a name goes by its place in the graph."""
    reason = without_noise(error.desc().splitlines())
    # all that is said of an operator that is known and refused
    why = "; ".join(reason) if reason and reason != ["false"] else UNSUPPORTED
    if not error.node_operator():
        return f"the graph ({why})"
    name = repr(error.node_name()) if error.node_name() else f"(node {error.node()})"
    return f"{error.node_operator()} {name} ({why})"


def _flags(vendor: Vendor) -> int:
    """Strongly typed: needed in TensorRT 10, the only way in 11, where the flag does nothing."""
    if "STRONGLY_TYPED" not in vendor.members("NetworkDefinitionCreationFlag"):
        return 0
    return 1 << int(vendor.member("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"))
