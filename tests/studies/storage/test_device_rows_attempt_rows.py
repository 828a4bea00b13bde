from dataclasses import replace
from datetime import timedelta

from studies.core.records import AttemptRecord, StudySpec
from studies.storage.storage import Storage
from tests.studies.stored import START, add, candidate, measured

ATTEMPT = AttemptRecord(3, candidate(3), "host/GPU-1", "build", "", START, START)


def test_attempt_is_read_as_it_was_set(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.create_study("other", study_spec, {})
    other = replace(ATTEMPT, number=1, device="host/GPU-2", detail="tactic 3 of 9 \ufffd")
    storage.set_attempt("study", ATTEMPT)
    storage.set_attempt("study", replace(other, detail="tactic 3 of 9 \0"))
    assert storage.attempts("study") == (other, ATTEMPT)
    assert storage.attempts("other") == ()


def test_setting_an_attempt_again_changes_its_row(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.set_attempt("study", ATTEMPT)
    later = START + timedelta(seconds=2)
    now = replace(ATTEMPT, stage="measure", detail="block 2", since=later, heartbeat=later)
    storage.set_attempt("study", now)
    assert storage.attempts("study") == (now,)


def test_storing_a_trial_removes_its_attempt_alone(storage: Storage, study_spec: StudySpec) -> None:
    for study in ("study", "other"):
        storage.create_study(study, study_spec, {})
        storage.set_attempt(study, ATTEMPT)
        storage.set_attempt(study, replace(ATTEMPT, number=4))
    add(storage, "study", 4, measured(4))
    assert [one.number for one in storage.attempts("study")] == [3]
    assert [one.number for one in storage.attempts("other")] == [3, 4]


def test_attempts_that_a_crashed_search_left_are_removed(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    for number in range(4):
        storage.set_attempt("study", replace(ATTEMPT, number=number))
    storage.remove_attempts("study", [1, 3, 7])
    assert [one.number for one in storage.attempts("study")] == [0, 2]
    storage.remove_attempts("study")
    assert storage.attempts("study") == ()
