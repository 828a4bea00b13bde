"""Reading an engine back, and trtexec's options for the space, over the real bindings of each version."""

from typing import Any

import pytest

from tests.contracts.bindings import fetch
from tests.contracts.versions import VERSIONS
from tuner.bundles.trtexec_options import ELSEWHERE, IN_GRAPH, MAPPERS, NOT_IN_TRTEXEC

Driven = dict[str, Any]


@pytest.fixture(scope="module", params=VERSIONS, ids="-".join)
def driven(request: pytest.FixtureRequest) -> Driven:
    """What came of reading an engine and the space."""
    backend, version = request.param
    found: Driven = fetch(backend, version).run("tests.contracts.drive_plan", {"backend": backend})
    return found


def test_an_engine_says_what_it_takes(driven: Driven) -> None:
    assert driven["errors"] == {}
    inputs, outputs, ranges = driven["tensors"]
    assert inputs == [{"name": "x", "dtype": "float32", "shape": [None, 3, 12, 12]}]
    assert outputs == [{"name": "y", "dtype": "float32", "shape": [2, 5]}]
    assert ranges == {"x": {"minimum": [1, 3, 12, 12], "optimum": [2, 3, 12, 12], "maximum": [8, 3, 12, 12]}}


def test_every_dimension_is_an_option_of_trtexec_or_known_to_be_none(driven: Driven) -> None:
    names = {one["name"] for space in driven["spaces"].values() for one in space}
    assert len(names) > 15
    assert names - {*MAPPERS, *ELSEWHERE, *IN_GRAPH, *NOT_IN_TRTEXEC} == set()


def test_every_value_of_every_dimension_has_its_words(driven: Driven) -> None:
    """A choice that an option cannot spell, such as a new level, raises."""
    for one in driven["spaces"]["conv"]:
        for value in (*one["choices"], *one["fixable"]):
            options = MAPPERS[one["name"]](value, one["default"]) if one["name"] in MAPPERS else []
            assert all(name and text != "" for name, text in options)
