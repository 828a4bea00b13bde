from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, StatementError

from engines.errors import UserError
from engines.values import (
    Accuracy,
    Artifact,
    Block,
    Candidate,
    Evaluation,
    Failure,
    Measurement,
    OutputError,
    Settings,
)
from studies.records import Prior, StudySpec
from studies.storage import FinishedTrial, Storage, open_storage

START = datetime(2025, 11, 21, 7, 0, 0, 123456, tzinfo=UTC)


def candidate(level: int) -> Candidate:
    return Candidate(Settings(precision="fp32"), Settings(level=level), Settings(threads=2))


def measured(level: int, latency_ms: float = 1.0, error: float = 0.001, samples: int = 50) -> Evaluation:
    latency = latency_ms * np.random.default_rng(level).lognormal(0, 0.01, samples)
    return Evaluation(
        candidate(level),
        Artifact("g" * 32, 10, 0.1, False),
        Artifact(f"engine {level}", 20, 0.1, False),
        Accuracy((OutputError("y", error, error),), 8),
        Measurement((Block(latency, 0.05, 0.0),), 8, 1, 0.1, 10, True),
    )


def failed(level: int) -> Evaluation:
    return Evaluation(candidate(level), failure=Failure("build", "crashed", "signal 11", "See the log."))


def add(
    storage: Storage,
    study: str,
    number: int,
    evaluation: Evaluation,
    *,
    key: str | None = None,
    started_at: datetime = START,
    reused: bool = False,
    log: str = "",
) -> None:
    storage.add_trial(
        study,
        number,
        key or f"key {number}",
        evaluation,
        started_at=started_at,
        seconds=1.5,
        reused=reused,
        log=log,
    )


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


def test_an_unknown_study_is_refused_with_those_that_exist(storage: Storage, study_spec: StudySpec) -> None:
    with pytest.raises(UserError, match=r"no study 'resnet'.*no studies yet"):
        storage.read_study("resnet")
    for name in ("resnet-50", "bert"):
        storage.create_study(name, study_spec, {})
    with pytest.raises(UserError) as refused:
        storage.read_study("resnet")
    assert refused.value.hint == "Did you mean resnet-50? Known: bert, resnet-50."
    with pytest.raises(UserError, match=r"no study 'vit'.*Known: bert, resnet-50"):
        add(storage, "vit", 0, failed(0))
    with pytest.raises(UserError, match="no study 'vit'"):
        storage.finished("vit")


def test_of_many_studies_the_newest_are_named(storage: Storage, study_spec: StudySpec) -> None:
    for number in range(13):
        storage.create_study(f"s{number}", study_spec, {})
    assert storage.study_names() == tuple(f"s{number}" for number in range(13))
    with pytest.raises(UserError, match=r"Known: s12, s11, .*, s3 and 3 older ones"):
        storage.read_study("-")


def test_summaries_count_trials_and_failures(storage: Storage, study_spec: StudySpec) -> None:
    assert storage.summaries() == ()
    for name in ("first", "second"):
        storage.create_study(name, study_spec, {})
    future = datetime.now(UTC) + timedelta(days=1)
    add(storage, "first", 0, measured(0), started_at=future)
    add(storage, "first", 1, failed(1), started_at=future)
    add(storage, "first", 2, failed(1), key="key 1", started_at=future, reused=True)
    first, second = storage.summaries()
    assert (first.name, first.trials, first.failures) == ("first", 3, 2)
    assert (first.model, first.model_digest) == ("net.onnx", study_spec.workload.model.digest)
    assert first.backend == "fake"
    assert first.last_activity == future + timedelta(seconds=1.5)
    assert (second.name, second.trials, second.failures) == ("second", 0, 0)
    assert second.last_activity == second.created_at == storage.read_study("second").created_at


def test_an_event_counts_as_activity(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.add_event("study", "resumed", "went on after trial 3")
    storage.add_event("study", "interrupted", "by the user")
    events = storage.events("study")
    assert [(one.kind, one.message) for one in events] == [
        ("resumed", "went on after trial 3"),
        ("interrupted", "by the user"),
    ]
    assert storage.summaries()[0].last_activity == events[1].at


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


def test_what_is_measured_again_stands_beside_what_was(storage: Storage, study_spec: StudySpec) -> None:
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


def test_finished_trials_are_listed_for_resuming(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.create_study("other", study_spec, {})
    add(storage, "study", 1, failed(1))
    add(storage, "study", 0, measured(0))
    add(storage, "other", 0, measured(7))
    assert storage.finished("study") == ((0, candidate(0), "key 0"), (1, candidate(1), "key 1"))


def test_an_unknown_key_has_no_evaluation(storage: Storage) -> None:
    assert storage.find_evaluation("nothing") is None


def test_everything_is_there_when_opened_again(database_url: str, study_spec: StudySpec) -> None:
    with open_storage(database_url) as storage:
        storage.create_study("study", study_spec, {})
        add(storage, "study", 0, measured(0), log="built")
        url = storage.url
    with open_storage(url) as storage:
        assert storage.read_study("study").trials[0].log == "built"


def test_a_trial_costs_the_same_statements_however_many_there_are(
    storage: Storage, study_spec: StudySpec
) -> None:
    storage.create_study("study", study_spec, {})
    with recorded_statements(storage) as first:
        add(storage, "study", 0, measured(0))
    for number in range(1, 30):
        add(storage, "study", number, measured(number))
    with recorded_statements(storage) as last:
        add(storage, "study", 30, measured(30))
    assert [statement for statement, _ in last] == [statement for statement, _ in first]
    assert len(first) <= 9


def test_adding_a_trial_searches_by_index_only(tmp_path: Path, study_spec: StudySpec) -> None:
    with open_storage(str(tmp_path / "studies.db")) as storage:
        storage.create_study("study", study_spec, {})
        with recorded_statements(storage) as statements:
            add(storage, "study", 0, measured(0), reused=True)
        plans: list[Any] = []
        with storage.engine.begin() as connection:
            for statement, parameters in statements:
                if statement.startswith("SELECT"):
                    plans += connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert len(plans) >= 2
    assert not [plan for plan in plans if "SCAN" in plan[3]]


@contextmanager
def recorded_statements(storage: Storage) -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    statements: list[tuple[str, tuple[object, ...]]] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *more: object) -> None:
        statements.append((statement, tuple(parameters) if isinstance(parameters, tuple | list) else ()))

    event.listen(storage.engine, "before_cursor_execute", note)
    yield statements
    event.remove(storage.engine, "before_cursor_execute", note)
