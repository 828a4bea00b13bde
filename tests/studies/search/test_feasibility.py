import numpy as np

from engines.core.values import Dimension
from studies.search.encoding import Encoding
from studies.search.feasibility import Pairs

SPACE = (
    Dimension("precision", "graph", ("fp32", "tf32", "fp16", "int8"), "fp32", ""),
    Dimension(
        "calibration", "graph", ("minmax", "entropy"), "minmax", "", applies_to={"precision": ("int8",)}
    ),
    Dimension("profile", "build", ("wide", "narrow", "static"), "wide", ""),
    Dimension("streams", "run", (1, 2, 4), 1, ""),
)
ENCODING = Encoding(SPACE)


def _row(precision: str, profile: str, streams: int = 1) -> tuple[int, ...]:
    return ENCODING.codes(
        {"precision": precision, "calibration": "minmax", "profile": profile, "streams": streams}
    )


def _are_new(pairs: Pairs, *rows: tuple[int, ...]) -> list[bool]:
    found: list[bool] = pairs.are_new(np.array(rows)).tolist()
    return found


def test_a_choice_of_the_engine_is_new_beside_a_graph_that_it_was_not_tried_with() -> None:
    pairs = Pairs(ENCODING)
    pairs.add(_row("fp32", "static"), kept=False)
    pairs.add(_row("fp16", "wide"), kept=True)
    rows = (_row("fp16", "static"), _row("fp32", "static"), _row("fp16", "wide"))
    assert _are_new(pairs, *rows) == [True, False, False]
    pairs.add(_row("fp16", "static"), kept=False)
    assert _are_new(pairs, *rows) == [False, False, False]


def test_run_settings_make_no_new_pair() -> None:
    pairs = Pairs(ENCODING)
    pairs.add(_row("fp32", "static"), kept=False)
    assert _are_new(pairs, _row("fp32", "static", 4)) == [False]


def test_choice_that_missed_with_three_others_is_blamed() -> None:
    pairs = Pairs(ENCODING)
    for precision in ("fp32", "tf32"):
        pairs.add(_row(precision, "static"), kept=False)
        pairs.add(_row(precision, "wide"), kept=True)
    assert _are_new(pairs, _row("fp16", "static")) == [True]
    pairs.add(_row("int8", "static"), kept=False)
    assert _are_new(pairs, _row("fp16", "static")) == [False]


def test_choice_that_met_the_constraints_once_is_never_blamed() -> None:
    pairs = Pairs(ENCODING)
    pairs.add(_row("fp16", "static"), kept=True)
    for precision in ("fp32", "tf32"):
        pairs.add(_row(precision, "static"), kept=False)
        pairs.add(_row(precision, "narrow"), kept=False)
    assert _are_new(pairs, _row("int8", "static"), _row("fp16", "narrow")) == [True, True]
