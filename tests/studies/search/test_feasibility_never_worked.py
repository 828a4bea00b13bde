"""A choice that failed again and again is given up slowly, and one that worked once never."""

import numpy as np
import pytest

from engines.core.values import Dimension
from studies.search.encoding import Encoding
from studies.search.feasibility import NeverWorked

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "fp8"), "fp32", ""),
    Dimension(
        "calibration", "graph", ("minmax", "entropy"), "minmax", "", applies_to={"precision": ("fp8",)}
    ),
    Dimension("profile", "build", ("wide", "static"), "wide", ""),
)
ENCODING = Encoding(SPACE)


def _row(precision: str, profile: str = "wide", calibration: str = "minmax") -> tuple[int, ...]:
    return ENCODING.codes({"precision": precision, "calibration": calibration, "profile": profile})


def _chance(found: NeverWorked, *rows: tuple[int, ...]) -> list[float]:
    chances: list[float] = found.chance(np.array(rows)).tolist()
    return chances


def _after(*trials: tuple[tuple[int, ...], bool]) -> NeverWorked:
    found = NeverWorked(ENCODING)
    for row, worked in trials:
        found.add(row, worked=worked)
    return found


def test_untried_or_twice_failed_choices_may_work() -> None:
    assert _chance(_after(), _row("fp8"), _row("fp32")) == [1.0, 1.0]
    assert _chance(_after(*[(_row("fp8"), False)] * 2), _row("fp8")) == [1.0]


@pytest.mark.parametrize(("failures", "chance"), [(3, 1 / 25), (8, 1 / 100), (18, 1 / 400)])
def test_chance_falls_with_each_failure_of_a_choice(failures: int, chance: float) -> None:
    found = _after((_row("fp32"), True), (_row("fp32", "static"), True), *[(_row("fp8"), False)] * failures)
    rows = (_row("fp8"), _row("fp8", "static", "entropy"), _row("fp16"))
    assert _chance(found, *rows) == [pytest.approx(chance), pytest.approx(chance), 1.0]


def test_choice_that_worked_once_is_not_blamed() -> None:
    trials = [(_row("fp8", "static"), False)] * 9
    found = _after(*trials, (_row("fp16", "static"), True), (_row("fp8"), True))
    assert _chance(found, _row("fp8", "static")) == [1.0]


def test_inactive_dimension_is_not_blamed() -> None:
    found = _after(*[(_row("fp16"), False)] * 3)
    assert _chance(found, _row("fp32", "static")) == [1.0]
    assert _chance(found, _row("fp16", "static")) == [pytest.approx(1 / 25)]
