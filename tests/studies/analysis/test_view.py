"""What a view computes once, and what it reads again of a running study."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from studies.analysis import view as views
from studies.analysis.comparison import best, comparison, pareto_front, recommended
from studies.analysis.effects import effects
from studies.analysis.view import StudyView
from studies.core import objectives
from studies.core.records import RepeatRecord, StudyRecord, StudySpec
from studies.storage import study_rows
from studies.storage.storage import Storage
from tests.records import FAILURES, candidate, study_of, study_record
from tests.records import failed as failed_evaluation
from tests.records import measured as measured_evaluation
from tests.repeats import thorough_study, with_racing
from tests.studies.stored import START, add, failed, measured

BASE = candidate("fp32", "all", 2, True)


def test_view_returns_the_same_as_the_functions() -> None:
    study = study_record(30, objectives=["latency_ms", "engine_bytes"])
    view = StudyView(study)
    assert view.comparison.verdict == comparison(study).verdict
    assert (view.best, view.baseline) == (best(study), study.trials[0])
    assert view.recommended is recommended(study)
    assert view.pareto_front == pareto_front(study)
    assert [one.name for one in view.effects.dimensions] == [one.name for one in effects(study).dimensions]


def test_properties_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def counted(study: StudyRecord) -> object:
        computed.append(study.name)
        return comparison(study)

    monkeypatch.setattr(views, "comparison", counted)
    view = StudyView(thorough_study())
    assert view.comparison is view.comparison
    assert (view.best, len(view.roles)) == (view.comparison.best, len(view.study.trials))
    assert len(computed) == 1


def test_baseline_that_is_best_is_marked_best_and_a_failed_one_failed() -> None:
    good = study_of(measured_evaluation(BASE, np.random.default_rng(0)))
    bad = study_of(failed_evaluation(BASE, *FAILURES[0]))
    assert (StudyView(good).roles, StudyView(bad).roles) == ({0: "best"}, {0: "failed"})


def test_feasible_trial_that_was_stopped_early_is_pruned_and_an_infeasible_one_is_not() -> None:
    study = with_racing(study_record(30, failing=0))
    early = [one for one in study.trials if one.measurement is not None and one.measurement.pruned]
    roles = StudyView(study).roles
    assert {(trial.state, roles[trial.number]) for trial in early} == {
        ("feasible", "pruned"),
        ("infeasible", "infeasible"),
    }


def test_view_without_a_source_has_nothing_new() -> None:
    view = StudyView(study_record(3))
    before = view.study
    assert not view.update()
    assert view.study is before


def test_trials_may_arrive_out_of_order_and_with_gaps(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0))
    add(storage, "study", 3, measured(3))
    view = StudyView.open(storage, "study")
    assert [trial.number for trial in view.study.trials] == [0, 3]
    add(storage, "study", 5, measured(5))
    add(storage, "study", 1, failed(1), log="a log")
    assert view.update()
    assert [trial.number for trial in view.study.trials] == [0, 1, 3, 5]
    assert [trial.log for trial in view.study.trials] == ["", "a log", "", ""]
    assert not view.update()


def test_only_new_trials_are_read_and_judged(
    storage: Storage, study_spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.create_study("study", study_spec, {})
    for number in range(3):
        add(storage, "study", number, measured(number))
    view = StudyView.open(storage, "study")
    known = view.study.trials
    judged: list[object] = []

    def counted(evaluation: object, *rest: object) -> object:
        judged.append(evaluation)
        return objectives.judge(evaluation, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(study_rows, "judge", counted)
    add(storage, "study", 3, measured(3))
    view.update()
    assert len(judged) == 1
    assert all(before is after for before, after in zip(known, view.study.trials, strict=False))


def test_properties_are_recomputed_after_a_new_trial(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0, latency_ms=2.0))
    view = StudyView.open(storage, "study")
    first = view.comparison
    view.update()
    assert view.comparison is first
    add(storage, "study", 1, measured(1, latency_ms=1.0))
    view.update()
    assert view.best is view.study.trials[1]
    assert view.roles == {0: "baseline", 1: "best"}


def test_repeats_are_added_to_those_that_are_known(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0))
    view = StudyView.open(storage, "study")
    for session in range(3):
        started = START + timedelta(seconds=session)
        again = measured(0, latency_ms=1 + 0.01 * session)
        repeat = RepeatRecord(0, "self-test", 1, session, 0, again, started)
        storage.add_repeat("study", "key 0", repeat)
        assert view.update()
        assert [one.session for one in view.study.repeats] == list(range(session + 1))
    assert view.noise is not None


def test_updated_view_holds_what_is_read_anew(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0))
    view = StudyView.open(storage, "study")
    add(storage, "study", 2, replace(measured(0)), key="key 0", reused=True)
    add(storage, "study", 1, measured(1))
    view.update()
    read = storage.read_study("study")
    assert [(one.number, one.state, one.metrics, one.same_as, one.reused) for one in view.study.trials] == [
        (one.number, one.state, one.metrics, one.same_as, one.reused) for one in read.trials
    ]
