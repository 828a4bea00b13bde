"""From an ONNX graph to the vendor's network: strongly typed, every problem of the parser named."""

from pathlib import Path
from typing import Any

from engines.backends.tensorrt.monitor import Messages
from engines.backends.tensorrt.vendor import Vendor
from engines.errors import EngineError

MOST_NODES = 8


def parse(vendor: Vendor, builder: Any, graph: Path, messages: Messages) -> tuple[Any, Any]:
    """The network and its parser, which must both live until the engine is built; raises EngineError."""
    network = builder.create_network(_flags(vendor))
    parser = vendor.module.OnnxParser(network, messages.logger)
    # from the file, so that weights beside it are found
    if not parser.parse_from_file(str(graph)):
        raise EngineError(explain(parser, messages.take_errors()))
    return network, parser


def explain(parser: Any, errors: list[str]) -> str:
    """What the parser could not take: every node with its operator, not only the first."""
    found = [parser.get_error(index) for index in range(parser.num_errors)]
    nodes = list(dict.fromkeys(_node(error) for error in found))
    if not nodes:
        return f"the parser refused the graph: {errors[0] if errors else 'it does not say why'}"
    shown, more = "; ".join(nodes[:MOST_NODES]), len(nodes) - MOST_NODES
    return f"the parser refused {shown}{f'; and {more} more' if more > 0 else ''}"


def _node(error: Any) -> str:
    name, operator = error.node_name(), error.node_operator()
    where = f"{operator or 'the graph'} {name!r}" if name else f"{operator or 'the graph'}"
    return f"{where} ({' '.join(error.desc().split())})"


def _flags(vendor: Vendor) -> int:
    """Strongly typed: needed in TensorRT 10, the only way in 11, where the flag does nothing."""
    if "STRONGLY_TYPED" not in vendor.members("NetworkDefinitionCreationFlag"):
        return 0
    return 1 << int(vendor.member("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"))
