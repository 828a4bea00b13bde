from dataclasses import replace
from datetime import timedelta

import pytest

from engines.artifacts.fingerprints import Reused, completed, fingerprint, is_shared, measured_engine
from engines.core.results import Artifact, Evaluation
from engines.core.values import Settings
from studies.core.identity import marked, measured, same_as
from studies.core.records import StudyRecord
from tests.records import candidate, study_of
from tests.studies.repeated import evaluation

PLAIN, OTHER = candidate("fp32", "all", 2, True), candidate("fp32", "basic", 2, True)
THREADS = candidate("fp32", "basic", 1, True)


def made(evaluation: Evaluation, digest: str, mark: str) -> Evaluation:
    return replace(evaluation, engine=Artifact(digest, 10, 1.0, False, {"fingerprint": mark}))


FIRST = made(evaluation(PLAIN, 2.0), "first", "same")


def recognised(digest: str = "second") -> Reused:
    assert FIRST.graph is not None
    assert FIRST.accuracy is not None
    engine = Artifact(digest, 12, 3.0, False, {"fingerprint": "same"})
    return Reused(FIRST.graph, engine, replace(FIRST.accuracy, samples=3), {"build": 3.0})


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
    assert measured(trials, PLAIN)["same"] is FIRST
    assert measured(trials, THREADS)["same"] is trials[1].evaluation
    assert measured(trials, candidate("fp32", "all", 8, True)) == {}
    assert fingerprint(None) is None


@pytest.mark.parametrize(("seconds_before", "expected"), [(1, 1), (-1, None)])
def test_only_a_trial_that_finished_before_is_the_one_shared(
    seconds_before: int, expected: int | None
) -> None:
    shared, source = study_of(SECOND, FIRST).trials
    at = shared.started_at + timedelta(seconds=shared.seconds - source.seconds - seconds_before)
    first, second = marked([shared, replace(source, started_at=at)])
    assert (first.same_as, second.same_as) == (expected, None)


@pytest.mark.parametrize("name", ["batch", "profile"])
def test_a_measurement_with_other_shapes_is_not_shared(name: str) -> None:
    small, large = (
        replace(PLAIN, build=Settings(PLAIN.build, **{name: choice})) for choice in ("small", "large")
    )
    trials = study_of(made(evaluation(small, 2.0), "first", "same")).trials
    assert measured(trials, small)["same"] is trials[0].evaluation
    assert measured(trials, large) == {}
    shared = completed(large, recognised(), trials[0].evaluation)
    assert same_as(shared, trials) is None
    assert same_as(replace(shared, candidate=small), trials) == 0


def test_pruned_or_foreign_measurements_are_not_shared() -> None:
    assert FIRST.measurement is not None
    pruned = replace(FIRST, measurement=replace(FIRST.measurement, pruned=True))
    cut, reused, whole = study_of(pruned, FIRST, made(evaluation(OTHER, 1.9), "third", "same")).trials
    reused = replace(reused, reused=True)
    assert measured([cut, reused], PLAIN) == {}
    assert measured([cut, reused, whole], PLAIN)["same"] is whole.evaluation


def test_a_trial_names_the_one_that_was_measured_under_the_same_run_spec() -> None:
    assert [trial.same_as for trial in study().trials] == [None, None, 0]
    elsewhere = study_of(evaluation(PLAIN, 2.0), SECOND)
    assert same_as(SECOND, elsewhere.trials[:1]) is None
