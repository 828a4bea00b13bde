from dataclasses import replace
from datetime import timedelta

from engines.core.results import Artifact, Evaluation, Failure
from engines.landscapes.truths import truths
from studies.core.records import RepeatRecord, RepeatRole, StudyRecord
from studies.recording.export import landscape_of
from studies.recording.passes import best_of, values_of
from tests import records
from tests.records import START, study_of, study_record
from tests.repeats import with_gap


def _again(study: StudyRecord, trial: int, session: int, role: RepeatRole = "again") -> RepeatRecord:
    evaluation = study.trials[trial].evaluation
    return RepeatRecord(
        trial, role, len(study.trials), session, 0, evaluation, START + timedelta(hours=1 + session)
    )


def test_trials_are_the_first_pass_and_repeats_the_later_ones_but_not_finals() -> None:
    study = study_record(6, failing=0.0)
    roles: tuple[tuple[int, int, RepeatRole], ...] = (
        (0, 0, "self-test"),
        (0, 0, "anchor"),
        (3, 1, "again"),
        (3, 2, "again"),
        (2, 0, "final"),
    )
    repeats = tuple(_again(study, trial, session, role) for trial, session, role in roles)
    found = landscape_of(replace(study, repeats=repeats), "tuner record m.onnx")
    runs = [(run.candidate, run.round) for run in found.runs]
    assert runs == [*((number, 0) for number in range(6)), (0, 0), (0, 0), (3, 1), (3, 2)]
    assert [found.candidate(number) for number in range(6)] == [one.candidate for one in study.trials]
    assert truths(found)[0] is not None


def test_messages_lose_numbers_of_trials_and_folders_but_not_names_of_nodes() -> None:
    message = "as in trial 7: cannot read /tmp/ws/graphs/a/graph.onnx at node /conv1/layer/Conv"
    failed = Evaluation(
        records.candidate("int8", "all", 2, True), failure=Failure("build", "refused", message)
    )
    baseline = study_record(1).trials[0].evaluation
    found = landscape_of(study_of(baseline, failed), "").runs[1].failure
    assert found is not None
    assert found.message == "cannot read graph.onnx at node /conv1/layer/Conv"


def test_an_engine_is_listed_once_with_the_time_that_making_it_took() -> None:
    made = Artifact("e", 10, 4.0, reused=False, facts={"build_seconds": 4.5})
    first, second, third = (one.evaluation for one in study_record(3, failing=0.0).trials)
    study = study_of(
        replace(first, engine=made),
        replace(second, engine=replace(made, seconds=0.0, reused=True)),
        replace(third, engine=None),
    )
    found = landscape_of(study, "")
    assert [(one.digest, one.seconds) for one in found.engines] == [("e", 4.5)]
    assert [run.engine for run in found.runs] == [0, 0, -1]


def test_a_baseline_outside_of_the_space_has_no_point() -> None:
    study = study_record(2, failing=0.0)
    narrowed = tuple(
        replace(one, choices=("fp16", "int8")) if one.name == "precision" else one for one in study.spec.space
    )
    assert landscape_of(replace(study, spec=replace(study.spec, space=narrowed)), "").points[0] == ()


def test_best_are_chosen_from_earlier_passes_and_include_the_baseline() -> None:
    study = study_record(20, failing=0.0)
    first = best_of(study, 3)
    assert first[-1] == 0
    values = values_of(study)
    assert first[:3] == sorted(values, key=lambda number: values[number])[:3]
    # in the next pass the second is as fast as the baseline was slow
    slow = replace(_again(study, 0, 1), trial=first[1])
    with_pass = replace(study, repeats=(_again(study, 0, 1), _again(study, first[0], 1), slow))
    assert first[1] not in best_of(with_pass, 2)
    assert best_of(with_pass, 3, before=1) == first


def test_landscape_has_no_gap_for_missing_trial_numbers() -> None:
    study = study_record(6, failing=0.0)
    study = replace(study, repeats=tuple(_again(study, trial, 1) for trial in (4, 0)))
    gapped = with_gap(study)
    assert landscape_of(gapped, "") == landscape_of(study, "")
    assert list(values_of(gapped).values()) == list(values_of(study).values())
    assert best_of(gapped, 6) == [one if one < 2 else one + 3 for one in best_of(study, 6)]
