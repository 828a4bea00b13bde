import numpy as np

from engines.core.values import Dimension
from studies.search.encoding import IDLE, Encoding

PRECISION = Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", "")
KEEP = Dimension("keep_fp32", "graph", (0, 4), 0, "", applies_to={"precision": ("fp16", "int8")})
LEVEL = Dimension("level", "build", (3, 0, 5), 3, "")
FIXED = Dimension("batch", "run", (8,), 8, "")
SPACE = (PRECISION, KEEP, LEVEL, FIXED)


def test_inactive_dimension_has_code_0() -> None:
    encoding = Encoding(SPACE)
    assert encoding.codes({"precision": "fp32", "keep_fp32": 4, "level": 0}) == (1, IDLE, 2)
    assert encoding.codes({"precision": "int8", "keep_fp32": 4, "level": 5}) == (3, 2, 3)


def test_point_and_codes_convert_both_ways() -> None:
    encoding = Encoding(SPACE)
    for row in encoding.every().tolist():
        assert list(encoding.codes(encoding.point(row))) == row


def test_every_candidate_is_listed_once() -> None:
    rows = Encoding(SPACE).every()
    assert len(rows) == (1 + 2 * 2) * 3
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_drawn_candidates_are_candidates() -> None:
    encoding = Encoding(SPACE)
    every = {tuple(row) for row in encoding.every().tolist()}
    drawn = encoding.drawn(200, np.random.default_rng(0))
    assert {tuple(row) for row in drawn.tolist()} == every


def test_neighbours_differ_in_one_choice_or_in_what_it_brings_to_mean_something() -> None:
    encoding = Encoding(SPACE)
    found = {tuple(row) for row in encoding.neighbours(np.array([[3, 2, 1]])).tolist()}
    assert found == {(3, 2, 1), (1, IDLE, 1), (2, 2, 1), (3, 1, 1), (3, 2, 2), (3, 2, 3)}


def test_numbers_next_to_each_other_are_more_alike_than_those_far_apart() -> None:
    level = Encoding(SPACE).factors[2]
    alike = level @ level.T
    # codes 1, 2, 3 are the levels 3, 0, 5
    assert np.isclose(alike[1, 1], 1.0)
    assert alike[1, 2] > alike[2, 3] > 0
    assert np.isclose(alike[1, 3], alike[1, 2])


def test_different_names_are_not_similar() -> None:
    factor = Encoding(SPACE).factors[0]
    assert np.allclose((factor @ factor.T)[1:, 1:], np.eye(3))
    assert not (factor @ factor.T)[IDLE].any()


def test_fixed_dimension_still_decides_which_others_are_active() -> None:
    fixed = Dimension("precision", "graph", ("int8",), "int8", "")
    encoding = Encoding((fixed, KEEP, LEVEL))
    assert [one.name for one in encoding.searched] == ["keep_fp32", "level"]
    assert len(encoding.every()) == 6


def test_departures_count_what_differs_from_the_defaults_where_it_means_something() -> None:
    encoding = Encoding(SPACE)
    rows = np.array([(1, IDLE, 1), (3, 1, 1), (3, 2, 2)])
    assert encoding.departures(rows).tolist() == [0.0, 1.0, 3.0]
