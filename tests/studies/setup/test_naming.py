from dataclasses import replace
from pathlib import Path

import pytest

from engines.core.errors import UserError
from engines.core.values import InputSource, ShapeRange
from engines.shapes.plan import single_plan
from studies.core.records import Constraint, Objective, StudySpec
from studies.setup.naming import choose_study, differences
from studies.storage.storage import Storage, open_storage
from tests.records import study_record
from tests.workloads import file_at


@pytest.fixture
def spec() -> StudySpec:
    return study_record(1).spec


@pytest.fixture
def storage(tmp_path: Path) -> "Storage":
    return open_storage(str(tmp_path / "studies.db"))


def _elsewhere(spec: StudySpec) -> StudySpec:
    model = replace(
        spec.workload.model, file=replace(spec.workload.model.file, where="/elsewhere/model.onnx")
    )
    return replace(spec, workload=replace(spec.workload, model=model))


def _other(spec: StudySpec, what: str) -> StudySpec:
    workload = spec.workload
    shapes = single_plan({"x": ShapeRange((7,), (7,), (7,))}, 7)
    others = {
        "model": replace(
            spec, workload=replace(workload, model=replace(workload.model, file=file_at("m.onnx", "other")))
        ),
        "machine": replace(spec, machine=replace(spec.machine, processor="another")),
        "backend": replace(spec, backend="another"),
        "shapes": replace(spec, workload=replace(workload, plan=shapes)),
        "inputs": replace(spec, workload=replace(workload, inputs=InputSource(seed=77))),
        "constraint": replace(spec, constraints=(Constraint("error", "<=", 0.123),)),
        "objective": replace(spec, objectives=(Objective("error", "minimize"),)),
        "search space": replace(spec, space=spec.space[1:]),
        "way of timing": replace(spec, policy=replace(spec.policy, transfers=True)),
        "duration": replace(spec, policy=replace(spec.policy, warmup_seconds=0.0)),
    }
    return others[what]


WHAT = [
    "model",
    "machine",
    "backend",
    "shapes",
    "inputs",
    "constraint",
    "objective",
    "search space",
    "way of timing",
    "duration",
]


@pytest.mark.parametrize("what", WHAT)
def test_specifications_differ_in_what_decides_results(spec: StudySpec, what: str) -> None:
    assert set(differences(spec, _other(spec, what))) == {what}


def test_a_model_that_moved_is_the_same(spec: StudySpec) -> None:
    assert differences(spec, _elsewhere(spec)) == {}


def test_a_search_is_named_after_its_model_and_goes_on_with_the_same(
    storage: Storage, spec: StudySpec
) -> None:
    name, exists = choose_study(storage, spec, None, "continue")
    assert not exists
    storage.create_study(name, spec, {})
    assert choose_study(storage, _elsewhere(spec), None, "continue") == (name, True)
    assert choose_study(storage, spec, None, "resume") == (name, True)


def test_another_search_of_the_same_model_gets_a_number(storage: Storage, spec: StudySpec) -> None:
    name, _ = choose_study(storage, spec, None, "continue")
    storage.create_study(name, spec, {})
    assert choose_study(storage, _other(spec, "constraint"), None, "continue") == (f"{name}-2", False)
    assert choose_study(storage, spec, None, "new") == (f"{name}-2", False)


@pytest.mark.parametrize("what", WHAT)
def test_a_name_that_belongs_to_another_search_is_refused(
    storage: Storage, spec: StudySpec, what: str
) -> None:
    storage.create_study("mine", spec, {})
    with pytest.raises(UserError, match=f"belongs to another {what}"):
        choose_study(storage, _other(spec, what), "mine", "continue")


def test_resuming_needs_a_study_and_beginning_a_free_name(storage: Storage, spec: StudySpec) -> None:
    with pytest.raises(UserError, match="no study of this search to resume"):
        choose_study(storage, spec, None, "resume")
    with pytest.raises(UserError, match="no study 'mine' to resume"):
        choose_study(storage, spec, "mine", "resume")
    assert choose_study(storage, spec, "mine", "continue") == ("mine", False)
    storage.create_study("mine", spec, {})
    with pytest.raises(UserError, match="exists already"):
        choose_study(storage, spec, "mine", "new")
    assert choose_study(storage, spec, "mine", "continue") == ("mine", True)
