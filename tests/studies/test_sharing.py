from dataclasses import replace

from engines.sharing import Recognised, completed, fingerprint, is_shared, measured_engine
from engines.values import Artifact, Evaluation
from studies.records import StudyRecord
from studies.sharing import marked, measured, same_as
from tests.records import candidate, study_of
from tests.studies.repeated import evaluation

PLAIN, OTHER = candidate("fp32", "all", 2, True), candidate("fp32", "basic", 2, True)
THREADS = candidate("fp32", "basic", 1, True)


def made(evaluation: Evaluation, digest: str, mark: str) -> Evaluation:
    return replace(evaluation, engine=Artifact(digest, 10, 1.0, False, {"fingerprint": mark}))


FIRST = made(evaluation(PLAIN, 2.0), "first", "same")


def recognised(digest: str = "second") -> Recognised:
    assert FIRST.graph is not None
    assert FIRST.accuracy is not None
    engine = Artifact(digest, 12, 3.0, False, {"fingerprint": "same"})
    return Recognised(FIRST.graph, engine, replace(FIRST.accuracy, samples=3), {"build": 3.0})


SECOND = completed(OTHER, recognised(), FIRST)


def study() -> StudyRecord:
    found = study_of(FIRST, made(evaluation(THREADS, 1.5), "second", "same"), SECOND)
    return replace(found, trials=marked(found.trials))


def test_a_shared_evaluation_is_the_candidates_own_but_for_the_measurement() -> None:
    assert SECOND.candidate == OTHER
    assert SECOND.engine is not None
    assert (SECOND.engine.digest, SECOND.engine.size_bytes) == ("second", 12)
    assert SECOND.accuracy is not None
    assert SECOND.accuracy.samples == 3
    assert SECOND.stage_seconds == {"build": 3.0}
    assert SECOND.measurement is FIRST.measurement
    assert (is_shared(FIRST), is_shared(SECOND)) == (False, True)
    assert (measured_engine(FIRST), measured_engine(SECOND)) == ("first", "first")
    third = completed(OTHER, recognised("third"), SECOND)
    assert measured_engine(third) == "first"


def test_measurements_are_known_by_run_spec_and_fingerprint() -> None:
    trials = study().trials
    assert measured(trials, PLAIN.run)["same"] is FIRST
    assert measured(trials, THREADS.run)["same"] is trials[1].evaluation
    assert measured(trials, candidate("fp32", "all", 8, True).run) == {}
    assert fingerprint(None) is None


def test_a_trial_names_the_one_that_was_measured_under_the_same_run_spec() -> None:
    assert [trial.same_as for trial in study().trials] == [None, None, 0]
    elsewhere = study_of(evaluation(PLAIN, 2.0), SECOND)
    assert same_as(SECOND, elsewhere.trials[:1]) is None
