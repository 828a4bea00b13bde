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


def test_default_is_fifty_trials_and_one_per_cent() -> None:
    assert _limits() == (50, 0.01)
    assert _limits(trials=7, min_gain=0.02) == (7, 0.02)


def test_min_gain_zero_turns_stopping_off() -> None:
    assert _limits(min_gain=0.0) == (50, None)


def test_exhaustive_tries_every_candidate() -> None:
    assert _limits(exhaustive=True) == (72, None)
    assert _limits(exhaustive=True, trials=72) == (72, None)
    assert _limits(exhaustive=True, trials=1000) == (72, None)


def test_baseline_outside_the_space_adds_a_trial() -> None:
    narrowed = (replace(SPEC.space[0], choices=("fp16",)), *SPEC.space[1:])
    assert _limits(replace(SPEC, space=narrowed), exhaustive=True) == (25, None)


def test_exhaustive_with_fewer_trials_is_refused() -> None:
    with pytest.raises(UserError, match="--exhaustive tries 72 candidates, and --trials allows 71"):
        _limits(exhaustive=True, trials=71)


def test_exhaustive_refuses_too_large_a_space() -> None:
    assert _limits(_with_choices(MOST_CANDIDATES - 1), exhaustive=True)[0] == MOST_CANDIDATES
    with pytest.raises(UserError, match="would try 10,001 candidates") as raised:
        _limits(_with_choices(MOST_CANDIDATES), exhaustive=True)
    assert "--fix" in raised.value.hint


@pytest.mark.parametrize("share", ["x", None, [1], True, -0.1, 1, 1.5, float("nan"), float("inf")])
def test_invalid_share_is_refused(share: object) -> None:
    if share is None:
        assert _limits(min_gain=share) == (50, 0.01)
        return
    with pytest.raises(UserError, match=r"min-gain must be from 0|is not a percentage"):
        SearchOptions(Request(MODEL), Budget(min_gain=share))  # type: ignore[arg-type]
