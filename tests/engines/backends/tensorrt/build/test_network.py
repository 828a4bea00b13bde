from types import SimpleNamespace
from typing import Any, cast

import pytest

from engines.backends.tensorrt.build.network import MOST_NODES, explain, open_parser
from tests.engines.backends.tensorrt.fakes import enum, vendor


def _error(operator: str = "", name: str = "", reason: str = "", place: int = -1) -> Any:
    return SimpleNamespace(
        node_operator=lambda: operator, node_name=lambda: name, desc=lambda: reason, node=lambda: place
    )


def _parser(*errors: Any) -> Any:
    return SimpleNamespace(num_errors=len(errors), get_error=lambda index: errors[index])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (_error("Det", "det_1", "false"), "Det 'det_1' (not supported)"),
        (_error("Det", "det_1", ""), "Det 'det_1' (not supported)"),
        (_error("Frob", "", "Op type Frob is not known.", 7), "Frob (node 7) (Op type Frob is not known)"),
        (_error("", "", "Failed to parse."), "the graph (Failed to parse)"),
        (
            _error(
                "Reshape",
                "r",
                "Invalid Node - r\n[shape.cpp::get::1358] Error Code 2: Internal Error (a value is missing. "
                "In get at /_src/shape.cpp:1358)\n[cuda.cpp::check::247] (cudaError 35: no driver)",
            ),
            "Reshape 'r' (Invalid Node - r; Error Code 2: Internal Error (a value is missing.))",
        ),
    ],
    ids=["refused", "silent", "unnamed", "unreadable", "of many lines"],
)
def test_a_node_is_named_with_its_operator_and_the_reason(error: Any, said: str) -> None:
    assert explain(_parser(error), []) == f"the parser refused {said}"


def test_every_node_is_named_once() -> None:
    errors = [_error("Det", "a", "false"), _error("Det", "b", "false"), _error("Det", "a", "false")]
    assert explain(_parser(*errors), []) == (
        "the parser refused Det 'a' (not supported); Det 'b' (not supported)"
    )


def test_long_list_ends_with_the_number_left_out() -> None:
    errors = [_error("Det", f"n{place}", "false") for place in range(MOST_NODES + 5)]
    said = explain(_parser(*errors), [])
    assert said.count("Det") == MOST_NODES
    assert said.endswith("; and 5 more")


@pytest.mark.parametrize(
    ("logged", "said"), [([], "it does not say why"), (["cannot open\nthe file."], "cannot open the file")]
)
def test_a_parser_without_errors_is_answered_by_the_log(logged: list[str], said: str) -> None:
    assert explain(_parser(), logged) == f"the parser refused the graph: {said}"


@pytest.mark.parametrize(("weakly_typed", "flags"), [(False, 0b10), (True, 0)])
def test_networks_are_strongly_typed_unless_told(weakly_typed: bool, flags: int) -> None:
    found = vendor(
        NetworkDefinitionCreationFlag=enum("Creation", "EXPLICIT_BATCH", "STRONGLY_TYPED"),
        OnnxParser=lambda network, logger: ("parser of", network),
    )
    builder = SimpleNamespace(create_network=lambda given: ("network", given))
    network, _ = open_parser(
        found, builder, cast("Any", SimpleNamespace(logger=None)), weakly_typed=weakly_typed
    )
    assert network == ("network", flags)
