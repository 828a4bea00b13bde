import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from engines.core.errors import UserError
from engines.core.values import Settings
from engines.statistics.estimates import Estimate
from studies.core.objectives import parse_constraints
from studies.core.records import StudyRecord, TrialRecord
from studies.storage.optuna_mirror import FAILED_VIOLATION, as_trial, open_mirror, relative_violations
from studies.storage.storage import Storage, open_storage
from tests.records import study_record


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with open_storage(str(tmp_path / "studies.db")) as opened:
        yield opened


def mirrored(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> list[FrozenTrial]:
    """The trials of the study in the database as plain Optuna finds them, once the records are added."""
    with open_mirror(storage, study.name, study.spec, records):
        pass
    return optuna.load_study(study_name=study.name, storage=storage.url).trials


def test_plain_optuna_finds_the_study_with_our_numbers(storage: Storage) -> None:
    study = study_record(30, failing=0.3, constraints=["error<=0.005", "p99_ms<=6"])
    states = {record.state for record in study.trials}
    assert states == {"feasible", "infeasible", "failed"}
    trials = mirrored(storage, study, study.trials)
    assert [trial.number for trial in trials] == [record.number for record in study.trials]
    for trial, record in zip(trials, study.trials, strict=True):
        searched = {**trial.params, **trial.user_attrs}
        assert searched == record.candidate.settings
        assert trial.user_attrs == {"streams": 1}
        if record.state == "failed":
            assert (trial.state, trial.values) == (TrialState.PRUNED, None)
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.value == record.metrics["latency_ms"].value
        violated = {name for name, value in trial.constraints.items() if value > 0}
        assert violated == ({"failed"} if record.state == "failed" else set(record.violations))


def test_the_best_trial_of_plain_optuna_is_the_best_feasible_one(storage: Storage) -> None:
    study = study_record(30, constraints=["error<=0.001"])
    mirrored(storage, study, study.trials)
    found = optuna.load_study(study_name=study.name, storage=storage.url).best_trial
    feasible = [record for record in study.trials if record.state == "feasible"]
    best = min(feasible, key=lambda record: record.metrics["latency_ms"].value)
    assert found.number == best.number


def test_several_objectives_have_their_directions_and_values(storage: Storage) -> None:
    study = study_record(8, objectives=["latency_ms", "throughput"], failing=0)
    trials = mirrored(storage, study, study.trials)
    optuna_study = optuna.load_study(study_name=study.name, storage=storage.url)
    assert [direction.name for direction in optuna_study.directions] == ["MINIMIZE", "MAXIMIZE"]
    for trial, record in zip(trials, study.trials, strict=True):
        assert trial.values == [record.metrics[name].value for name in ("latency_ms", "throughput")]


@pytest.mark.parametrize("known", [0, 1, 7])
def test_resume_adds_trials_that_a_killed_search_did_not(storage: Storage, known: int) -> None:
    study = study_record(12)
    before = mirrored(storage, study, study.trials[:known])
    assert len(before) == known
    after = mirrored(storage, study, study.trials)
    assert after[:known] == before
    assert [trial.number for trial in after] == list(range(12))
    assert mirrored(storage, study, study.trials) == after


def test_trials_that_finish_out_of_turn_keep_our_numbers(storage: Storage) -> None:
    study = study_record(6, failing=0)
    late = [study.trials[number] for number in (0, 3, 1)]
    found = mirrored(storage, study, late)
    assert [trial.user_attrs.get("trial_number", trial.number) for trial in found] == [0, 3, 1]
    assert [trial.params for trial in found] == [as_trial(record, study.spec).params for record in late]
    after = mirrored(storage, study, study.trials)
    assert after[:3] == found
    assert [trial.user_attrs.get("trial_number", trial.number) for trial in after] == [0, 3, 1, 2, 4, 5]
    assert mirrored(storage, study, study.trials) == after


def test_trials_added_by_another_program_raise_user_error(storage: Storage) -> None:
    study = study_record(5)
    mirrored(storage, study, study.trials[:4])
    with pytest.raises(UserError, match="has 2 trials that this study does not know of"):
        mirrored(storage, study, study.trials[:2])


def test_an_optuna_study_of_the_same_name_is_left_alone(storage: Storage) -> None:
    study = study_record(2)
    theirs = optuna.create_study(storage=storage.url, study_name=study.name)
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="has 1 trial that") as raised:
        mirrored(storage, study, ())
    assert "--study NAME" in raised.value.hint
    assert len(optuna.load_study(study_name=study.name, storage=storage.url).trials) == 1


def test_no_connection_is_left_open(storage: Storage, tmp_path: Path) -> None:
    study = study_record(2)
    with open_mirror(storage, study.name, study.spec, study.trials):
        pass
    storage.close()
    # the last connection that closes takes the write-ahead log with it
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_baseline_outside_the_space_says_nothing_of_the_point_inside(storage: Storage) -> None:
    study = study_record(3, failing=0)
    precision, *others = study.spec.space
    spec = replace(study.spec, space=(replace(precision, choices=("fp16",)), *others))
    outside = as_trial(study.trials[0], spec)
    assert outside.params == {}
    assert outside.user_attrs == study.spec.baseline.settings
    inside = as_trial(study.trials[0], study.spec)
    assert inside.params == {
        name: value for name, value in study.spec.baseline.settings.items() if name != "streams"
    }


def test_a_record_that_lacks_an_objective_is_no_complete_trial() -> None:
    study = study_record(2, failing=0)
    record = replace(study.trials[1], metrics={"error": Estimate(0.0)})
    trial = as_trial(record, study.spec)
    assert trial.state == TrialState.PRUNED
    assert trial.constraints == {"failed": FAILED_VIOLATION}


def test_violations_are_shares_of_their_limits() -> None:
    record = study_record(1).trials[0]
    metrics = {"latency_ms": Estimate(3.0), "throughput": Estimate(50.0), "error": Estimate(0.25)}
    texts = ["latency_ms<=2", "throughput>=100", "error<=0", "engine_bytes<=10", "latency_ms<=6"]
    found = relative_violations(replace(record, metrics=metrics), parse_constraints(texts))
    assert found == {
        "latency_ms<=2": 0.5,
        "throughput>=100": 0.5,
        "error<=0": 0.25,
        "engine_bytes<=10": FAILED_VIOLATION,
        "latency_ms<=6": -0.5,
    }


def test_settings_are_told_by_name_in_the_sense_of_the_space(storage: Storage) -> None:
    study = study_record(2, failing=0)
    candidate = study.trials[1].candidate
    unknown = replace(candidate, run=Settings({**candidate.run, "streams": 64}))
    trial = as_trial(replace(study.trials[1], candidate=unknown), study.spec)
    assert trial.params == {}
    assert trial.user_attrs["streams"] == 64
