"""Which trial to deploy; the studies are made so that the verdict is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from engines.core.results import Evaluation
from studies.analysis.comparison import comparison, recommended
from studies.core.records import StudyRecord
from tests.records import START, candidate, failed, measured, record, study_spec

BASELINE = candidate("fp32", "all", 2, True)
OTHER = candidate("fp16", "all", 2, True)
SEED = 5


def _study(*evaluations: Evaluation, constraints: Sequence[str] = ()) -> StudyRecord:
    spec = study_spec(constraints=constraints)
    trials = tuple(record(spec, number, evaluation) for number, evaluation in enumerate(evaluations))
    return StudyRecord("s", spec, trials, START)


def _random() -> np.random.Generator:
    return np.random.default_rng(SEED)


def test_a_significantly_better_trial_is_recommended() -> None:
    study = _study(
        measured(BASELINE, _random(), latency_ms=3.0, error=0.0),
        measured(OTHER, _random(), latency_ms=2.0, error=0.0),
    )
    assert comparison(study).verdict == "faster"
    assert recommended(study) is study.trials[1]


def test_without_a_significant_difference_the_baseline_is_recommended() -> None:
    study = _study(
        measured(BASELINE, np.random.default_rng(1), latency_ms=3.0, error=0.0, noise=0.5),
        measured(OTHER, np.random.default_rng(2), latency_ms=2.99, error=0.0, noise=0.5),
    )
    assert comparison(study).verdict == "same"
    assert comparison(study).best is study.trials[1]
    assert recommended(study) is study.trials[0]


def test_a_baseline_that_is_the_best_is_recommended() -> None:
    study = _study(
        measured(BASELINE, _random(), latency_ms=2.0, error=0.0),
        measured(OTHER, _random(), latency_ms=3.0, error=0.0),
    )
    assert recommended(study) is study.trials[0]


@pytest.mark.parametrize("latency_ms", [2.99, 3.0, 4.0])
def test_a_baseline_that_misses_a_constraint_is_not_recommended(latency_ms: float) -> None:
    study = _study(
        measured(BASELINE, _random(), latency_ms=3.0, error=0.5),
        measured(OTHER, _random(), latency_ms=latency_ms, error=0.0),
    )
    assert study.trials[0].state == "infeasible"
    assert recommended(study) is study.trials[1]


def test_a_baseline_that_failed_is_not_recommended() -> None:
    study = _study(
        failed(BASELINE, "build", "refused", "no"), measured(OTHER, _random(), latency_ms=4.0, error=0.0)
    )
    assert recommended(study) is study.trials[1]


def test_a_best_that_was_measured_too_shortly_for_an_interval_is_recommended() -> None:
    study = _study(
        measured(BASELINE, _random(), latency_ms=3.0, error=0.0, blocks=1),
        measured(OTHER, _random(), latency_ms=2.0, error=0.0, blocks=1),
    )
    assert comparison(study).verdict == "unproven"
    assert recommended(study) is study.trials[1]


def test_where_nothing_is_feasible_nothing_is_recommended() -> None:
    assert recommended(_study(measured(BASELINE, _random(), error=0.5))) is None
    assert recommended(_study()) is None
