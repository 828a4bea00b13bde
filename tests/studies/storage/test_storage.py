from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from engines.core.errors import UserError
from engines.core.results import Failure
from studies.core.records import Prior, StudySpec
from studies.storage.storage import FinishedTrial, Storage, open_storage
from tests.studies.stored import START, add, candidate, failed, measured


def test_a_study_is_read_as_it_was_created(storage: Storage, study_spec: StudySpec) -> None:
    before = datetime.now(UTC)
    storage.create_study("résumé 'one'", study_spec, {"trt-tuner": "0.1.0", "numpy": "2.4"})
    study = storage.read_study("résumé 'one'")
    assert (study.name, study.spec, study.trials) == ("résumé 'one'", study_spec, ())
    assert study.versions == {"trt-tuner": "0.1.0", "numpy": "2.4"}
    assert before <= study.created_at <= datetime.now(UTC)
    assert storage.find_spec("résumé 'one'") == study_spec
    assert storage.find_spec("another") is None


def test_a_study_records_what_it_was_begun_with(storage: Storage, study_spec: StudySpec) -> None:
    priors = (Prior("résumé 'one'", 0.8342, 50), Prior("bert", 0.5, 3))
    storage.create_study("study", study_spec, {}, priors)
    storage.create_study("another", study_spec, {})
    assert storage.read_study("study").priors == priors
    assert storage.read_study("another").priors == ()


def test_a_study_is_read_with_only_some_of_its_metrics(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0), log="a log")
    add(storage, "study", 2, failed(2))
    add(storage, "study", 1, measured(1, error=0.5))
    whole = storage.read_study("study").trials
    names = {"p99_ms"}
    brief = storage.read_trials("study", [2, 1], study_spec.constraints, names)
    for trial, other in zip(whole[1:], brief, strict=True):
        assert (trial.number, trial.candidate, trial.state) == (other.number, other.candidate, other.state)
        kept = {*names, *(one.metric for one in study_spec.constraints)} & set(trial.metrics)
        assert other.metrics == {name: trial.metrics[name] for name in kept}
        assert other.violations == trial.violations
        assert other.log == ""


def test_values_that_python_takes_for_equal_keep_their_types(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    found = storage.find_spec("study")
    assert found is not None
    assert [type(choice) for choice in found.space[2].choices] == [bool, int, float, str]


def test_a_study_name_is_taken_once(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    with pytest.raises(UserError, match=r"there is a study 'study' in .* already"):
        storage.create_study("study", replace(study_spec, backend="onnxruntime"), {})
    assert storage.find_spec("study") == study_spec


def test_trials_are_read_with_what_is_derived_from_them(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0), log="line one\nzeile zwölf \0 \udc80\n")
    add(storage, "study", 2, failed(2), started_at=START + timedelta(seconds=9))
    add(storage, "study", 1, measured(1, error=0.5))
    trials = storage.read_study("study").trials
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert [trial.state for trial in trials] == ["feasible", "infeasible", "failed"]
    assert [trial.candidate for trial in trials] == [candidate(0), candidate(1), candidate(2)]
    assert trials[0].metrics["latency_ms"].value == pytest.approx(1.0, rel=0.01)
    assert trials[1].violations == {"error<=0.01": pytest.approx(0.49)}
    assert trials[2].failure == Failure("build", "crashed", "signal 11", "See the log.")
    assert [trial.log for trial in trials] == ["line one\nzeile zwölf \0 \udc80\n", "", ""]
    assert [trial.seconds for trial in trials] == [1.5, 1.5, 1.5]
    assert trials[2].started_at == START + timedelta(seconds=9)


def test_times_come_back_in_utc(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, failed(0), started_at=START.astimezone(timezone(timedelta(hours=-8))))
    (trial,) = storage.read_study("study").trials
    assert trial.started_at == START
    assert trial.started_at.tzinfo is UTC


def test_a_trial_number_is_taken_once(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0))
    with pytest.raises(UserError, match="trial 0 of study 'study' is stored already"):
        add(storage, "study", 0, failed(5))
    assert storage.finished("study") == (FinishedTrial(0, candidate(0), "key 0"),)
    assert storage.find_evaluation("key 5") is None


def test_a_mistake_of_ours_is_not_blamed_on_the_user(storage: Storage, study_spec: StudySpec) -> None:
    with pytest.raises(IntegrityError):
        storage.create_study("nowhere", replace(study_spec, backend=None), {})  # type: ignore[arg-type]
    storage.create_study("study", study_spec, {})
    stageless = replace(failed(0), stage_seconds=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        add(storage, "study", 0, stageless)
    with pytest.raises(StatementError, match="has no time zone"):
        add(storage, "study", 0, failed(0), started_at=START.replace(tzinfo=None))
    assert storage.finished("study") == ()


def test_a_result_that_makes_no_sense_is_not_read(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    kindless = replace(failed(0), failure=Failure("build", None, ""))  # type: ignore[arg-type]
    add(storage, "study", 0, kindless)
    with pytest.raises(UserError, match="holds something that cannot be read"):
        storage.read_study("study")


def test_finished_trials_are_listed_for_resuming(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.create_study("other", study_spec, {})
    add(storage, "study", 1, failed(1))
    add(storage, "study", 0, measured(0))
    add(storage, "other", 0, measured(7))
    assert storage.finished("study") == ((0, candidate(0), "key 0"), (1, candidate(1), "key 1"))


def test_everything_is_there_when_opened_again(database_url: str, study_spec: StudySpec) -> None:
    with open_storage(database_url) as storage:
        storage.create_study("study", study_spec, {})
        add(storage, "study", 0, measured(0), log="built")
        url = storage.url
    with open_storage(url) as storage:
        assert storage.read_study("study").trials[0].log == "built"
