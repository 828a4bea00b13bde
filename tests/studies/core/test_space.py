import pytest

from engines.core.errors import UserError
from engines.core.values import Candidate, Dimension, Settings, Value
from studies.core import space as spaces

PRECISION = Dimension(
    "precision", "graph", ("fp32", "int8"), "fp32", "type", excluded={"fp16": "no kernels here"}
)
LEVEL = Dimension("level", "build", (0, 3, 5), 3, "effort", any_integer=True)
FLAG = Dimension("sparse", "build", (False,), False, "a flag", fixable=(False, True))
SPIN = Dimension("spin", "run", (True, False), True, "threads")
DIMENSIONS = (PRECISION, LEVEL, FLAG, SPIN)


def test_the_baseline_is_every_default() -> None:
    assert spaces.baseline_of(DIMENSIONS) == Candidate(
        graph=Settings(precision="fp32"), build=Settings(level=3, sparse=False), run=Settings(spin=True)
    )


def test_a_point_names_what_is_searched_and_the_rest_takes_its_only_choice() -> None:
    candidate = spaces.candidate_at(DIMENSIONS, {"precision": "int8", "level": 5, "spin": False})
    assert candidate.settings == {"precision": "int8", "level": 5, "sparse": False, "spin": False}


def test_sizes_count_candidates_and_engines() -> None:
    assert spaces.size(DIMENSIONS) == 2 * 3 * 2
    assert spaces.engines_in(DIMENSIONS) == 2 * 3
    assert len({tuple(point.items()) for point in spaces.points(DIMENSIONS)}) == 12


def test_only_dimensions_with_a_choice_are_searched() -> None:
    assert [one.name for one in spaces.searched(DIMENSIONS)] == ["precision", "level", "spin"]


def test_fixing_narrows_to_one_or_several_choices_in_their_order() -> None:
    narrowed = spaces.narrow(DIMENSIONS, {"level": ("5", "0"), "spin": ("FALSE",)})
    assert [one.choices for one in narrowed] == [("fp32", "int8"), (0, 5), (False,), (False,)]


def test_unsearched_value_may_be_fixed_if_the_dimension_allows_it() -> None:
    narrowed = spaces.narrow(DIMENSIONS, {"sparse": ("true",), "level": ("7",)})
    assert (narrowed[1].choices, narrowed[2].choices) == ((7,), (True,))


@pytest.mark.parametrize(
    ("fixed", "message", "hint"),
    [
        ({"presision": ("fp32",)}, "no dimension 'presision'", "Did you mean precision"),
        ({"precision": ("fp8",)}, "precision cannot be 'fp8'", "fp32, int8"),
        ({"precision": ("fp16",)}, "not in the space: no kernels here", "fp32, int8"),
        ({"level": ("high",)}, "level cannot be 'high'", "any other integer"),
        ({"spin": ("maybe",)}, "spin cannot be 'maybe'", "true, false"),
    ],
)
def test_fixing_an_unknown_name_or_value_raises_user_error(
    fixed: dict[str, tuple[str, ...]], message: str, hint: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        spaces.narrow(DIMENSIONS, fixed)
    assert hint in caught.value.hint


def test_fixed_values_are_read_from_text() -> None:
    assert spaces.parse_fixed(["a=1", "b = x, y"]) == {"a": ("1",), "b": ("x", "y")}


@pytest.mark.parametrize("text", ["a", "=1", "a=", "a=,"])
def test_unreadable_fixed_value_raises_user_error(text: str) -> None:
    with pytest.raises(UserError, match="cannot read --fix"):
        spaces.parse_fixed([text])


def test_fixing_a_dimension_twice_raises_user_error() -> None:
    with pytest.raises(UserError, match="names 'a' twice"):
        spaces.parse_fixed(["a=1", "a=2"])


CONDITIONAL = (
    Dimension("precision", "graph", ("fp32", "int8", "fp16"), "fp32", ""),
    Dimension(
        "calibration", "graph", ("minmax", "entropy"), "minmax", "", applies_to={"precision": ("int8",)}
    ),
    Dimension("level", "build", (0, 1), 0, ""),
)


def test_a_dimension_has_one_value_where_it_does_not_apply() -> None:
    points = list(spaces.points(CONDITIONAL))
    assert len(points) == spaces.size(CONDITIONAL) == 2 * (1 + 2 + 1)
    assert {point["calibration"] for point in points if point["precision"] == "fp16"} == {"minmax"}
    asked: dict[str, Value] = {"precision": "fp16", "calibration": "entropy", "level": 1}
    assert spaces.candidate_at(CONDITIONAL, asked).graph == {"precision": "fp16", "calibration": "minmax"}


def test_a_dimension_that_applies_nowhere_is_not_searched() -> None:
    fixed = spaces.narrow(CONDITIONAL, {"precision": ("fp32", "fp16")})
    assert [one.name for one in spaces.searched(fixed)] == ["precision", "level"]
    assert spaces.size(fixed) == 4


def test_a_dimension_that_is_fixed_to_another_value_than_its_default_keeps_it_where_it_is_idle() -> None:
    fixed = spaces.narrow(CONDITIONAL, {"calibration": ("entropy",)})
    assert spaces.candidate_at(fixed, {"precision": "fp32"}).graph["calibration"] == "entropy"
    assert spaces.contains(fixed, {"precision": "fp32", "calibration": "minmax", "level": 0})
    assert not spaces.contains(fixed, {"precision": "int8", "calibration": "minmax", "level": 0})
