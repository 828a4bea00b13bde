"""Evaluations that a storage finds again by their key."""

import numpy as np

from studies.core.records import StudySpec
from studies.storage.storage import Storage
from tests.studies.stored import add, failed, measured


def test_a_reused_trial_shares_the_evaluation_of_its_key(storage: Storage, study_spec: StudySpec) -> None:
    for name in ("first", "second"):
        storage.create_study(name, study_spec, {})
    add(storage, "first", 0, measured(3), key="same")
    found = storage.find_evaluation("same")
    assert found is not None
    add(storage, "second", 0, found, key="same", reused=True)
    add(storage, "second", 1, found, key="same", reused=True)
    one, two = storage.read_study("second").trials
    assert one.evaluation is two.evaluation
    assert one.reused
    assert not storage.read_study("first").trials[0].reused
    with storage.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM tuner_evaluation").scalar() == 1


def test_a_reused_trial_whose_key_is_unknown_is_stored_whole(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, failed(0), reused=True)
    assert storage.read_study("study").trials[0].failure is not None


def test_remeasured_evaluation_is_stored_beside_the_earlier_one(
    storage: Storage, study_spec: StudySpec
) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "study", 0, measured(0, latency_ms=1.0), key="same")
    add(storage, "study", 1, measured(0, latency_ms=2.0), key="same")
    add(storage, "study", 2, measured(0, latency_ms=2.0), key="same", reused=True)
    trials = storage.read_study("study").trials
    assert [round(trial.metrics["latency_ms"].value) for trial in trials] == [1, 2, 2]
    newest = storage.find_evaluation("same")
    assert newest is not None
    assert newest.measurement is not None
    assert round(float(np.median(newest.measurement.blocks[0].latency_ms))) == 2


def test_an_unknown_key_has_no_evaluation(storage: Storage) -> None:
    assert storage.find_evaluation("nothing") is None
