from dataclasses import replace

from engines.core.values import InputSource, TaskMetric
from studies.core.records import StudySpec
from studies.storage.file_rows import StudyFile
from studies.storage.storage import Storage
from tests.workloads import file_at


def test_study_refers_to_its_model_data_and_metric_modules(storage: Storage, study_spec: StudySpec) -> None:
    workload = replace(
        study_spec.workload,
        calibration=InputSource(file=file_at("/code", "c1"), function="data:batches"),
        expected=InputSource(file=file_at("/data/out.npz", "e1")),
        metrics=(TaskMetric("top1", "scores:top1", "maximize", file_at("/code", "m1")),),
    )
    storage.create_study("study", replace(study_spec, workload=workload), {})
    assert storage.files("study") == (
        StudyFile("calibration", "c1", "data:batches", "/code"),
        StudyFile("expected", "e1", "out.npz", "/data/out.npz"),
        StudyFile("inputs", "ab12", "in.npz", "/data/in.npz"),
        StudyFile("metric top1", "m1", "scores:top1", "/code"),
        StudyFile("model", workload.model.digest, "net.onnx", "/models/net.onnx"),
    )


def test_random_data_is_no_file(storage: Storage, study_spec: StudySpec) -> None:
    spec = replace(study_spec, workload=replace(study_spec.workload, inputs=InputSource(3)))
    storage.create_study("study", spec, {})
    assert [one.role for one in storage.files("study")] == ["model"]


def test_file_is_where_it_was_last_seen(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    model = study_spec.workload.model
    model = replace(model, file=file_at("/elsewhere/moved.onnx", model.digest))
    spec = replace(study_spec, workload=replace(study_spec.workload, model=model))
    storage.create_study("other", spec, {})
    for study in ("study", "other"):
        assert storage.files(study)[-1][2:] == ("moved.onnx", "/elsewhere/moved.onnx")
