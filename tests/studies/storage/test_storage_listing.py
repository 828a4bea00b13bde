"""The studies that a storage holds: their names, summaries and events."""

from datetime import UTC, datetime, timedelta

import pytest

from engines.core.errors import UserError
from studies.core.records import StudySpec
from studies.storage.storage import Storage
from tests.studies.stored import add, failed, measured


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
