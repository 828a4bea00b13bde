"""When a search ends: what was asked for, and what the space makes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.core.errors import UserError
from engines.core.values import Dimension
from studies.belief.measurement_plan import TRIALS_ALONE
from studies.core.records import StudySpec
from studies.setup.request import Request
from tests.records import study_spec
from tuner.options.budget import MOST_CANDIDATES, limits_of
from tuner.options.search import Budget, SearchOptions

MODEL = Path("model.onnx")
SPEC = study_spec()


def _limits(spec: StudySpec = SPEC, **options: object) -> tuple[int, float | None]:
    limits = limits_of(Budget(**options), spec, TRIALS_ALONE)  # type: ignore[arg-type]
    return limits.trials, limits.min_gain


def _with_choices(count: int) -> StudySpec:
    return replace(SPEC, space=(Dimension("knob", "run", tuple(range(count)), 0, ""),))


def test_fifty_trials_that_stop_at_one_per_cent_are_the_default() -> None:
    assert _limits() == (50, 0.01)
    assert _limits(trials=7, min_gain=0.02) == (7, 0.02)


def test_no_least_gain_turns_stopping_off() -> None:
    assert _limits(min_gain=0.0) == (50, None)


def test_everything_is_every_candidate_whatever_is_left_to_gain() -> None:
    assert _limits(exhaustive=True) == (72, None)
    assert _limits(exhaustive=True, trials=72) == (72, None)
    assert _limits(exhaustive=True, trials=1000) == (72, None)


def test_a_baseline_outside_the_space_comes_on_top() -> None:
    narrowed = (replace(SPEC.space[0], choices=("fp16",)), *SPEC.space[1:])
    assert _limits(replace(SPEC, space=narrowed), exhaustive=True) == (25, None)


def test_fewer_trials_than_everything_is_a_contradiction() -> None:
    with pytest.raises(UserError, match="--exhaustive tries 72 candidates, and --trials allows 71"):
        _limits(exhaustive=True, trials=71)


def test_too_large_a_space_is_to_be_narrowed_first() -> None:
    assert _limits(_with_choices(MOST_CANDIDATES - 1), exhaustive=True)[0] == MOST_CANDIDATES
    with pytest.raises(UserError, match="would try 10,001 candidates") as raised:
        _limits(_with_choices(MOST_CANDIDATES), exhaustive=True)
    assert "--fix" in raised.value.hint


@pytest.mark.parametrize("share", ["x", None, [1], True, -0.1, 1, 1.5, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(share: object) -> None:
    if share is None:
        assert _limits(min_gain=share) == (50, 0.01)
        return
    with pytest.raises(UserError, match=r"min-gain must be from 0|is not a percentage"):
        SearchOptions(Request(MODEL), Budget(min_gain=share))  # type: ignore[arg-type]
