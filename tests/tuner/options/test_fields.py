"""Options described by fields: their names, types and marks, and objects built from a value for each."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated

import pytest

from studies.core.options import Count, Flags, Help, Metavar, Name
from tuner.options.fields import build, options_of, values_of


@dataclass(frozen=True)
class Inner:
    runs: Annotated[Count, Name("self_test"), Help("Runs.")] = 5
    output: Annotated[Path | None, Help("A folder.")] = None
    rounds: int = 3


@dataclass(frozen=True)
class Outer:
    model: Annotated[Path, Help("A model.")]
    inner: Inner = field(default_factory=Inner)
    output: Annotated[str, Flags(("--file",)), Metavar("FILE"), Help("A file.")] = "a"
    command: str = ""


def test_options_are_those_of_a_class_and_its_groups_with_help() -> None:
    found = options_of(Outer)
    assert list(found) == ["model", "self_test", "output"]
    assert found["model"].default is MISSING
    assert (found["self_test"].value_type, found["self_test"].flags) == (int, ("--self-test",))
    assert found["self_test"].metavar == "N"


def test_an_option_of_the_class_comes_before_one_of_a_group_by_the_same_name() -> None:
    assert options_of(Outer)["output"].flags == ("--file",)
    made = build(Outer, {"model": Path("m"), "output": "b"})
    assert (made.output, made.inner.output) == ("b", None)


def test_none_is_left_out_of_a_type() -> None:
    assert options_of(Inner)["output"].value_type is Path


def test_values_reach_the_fields_of_groups_and_fields_without_help() -> None:
    made = build(Outer, {"model": Path("m"), "self_test": 2, "rounds": 9, "command": "tuner"})
    assert made == Outer(Path("m"), Inner(2, rounds=9), command="tuner")
    assert [(one.name, value) for one, value in values_of(made)] == [
        ("model", Path("m")),
        ("self_test", 2),
        ("output", None),
        ("output", "a"),
    ]


def test_unknown_option_name_is_refused() -> None:
    with pytest.raises(TypeError, match="Outer has no speed"):
        build(Outer, {"model": Path("m"), "speed": 2})


def test_mark_nearest_to_the_field_counts() -> None:
    @dataclass(frozen=True)
    class Other:
        count: Annotated[Count, Metavar("TIMES"), Help("How often.")] = 1

    assert options_of(Other)["count"].metavar == "TIMES"
