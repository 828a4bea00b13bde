import re
from dataclasses import replace

from dashboards.pages.facts import facts, searched_dimensions
from dashboards.words.formats import TIMES
from engines.core.values import InputSource, Settings, ShapeRange
from engines.shapes.plan import single_plan
from studies.analysis.view import StudyView
from studies.core.records import Prior, StudyRecord
from tests.records import study_record
from tests.workloads import file_at


def pairs(study: StudyRecord) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", facts(StudyView(study))))


def test_the_model_is_named_with_its_digest_tensors_and_operators() -> None:
    found = pairs(study_record(1))
    assert found["name"] == "resnet-tiny.onnx"
    assert len(found["sha256"]) == 64
    batch = TIMES.join(("8", "3", "32", "32"))
    assert found["input"] == f"image: float32 batch{TIMES}3{TIMES}32{TIMES}32, measured at {batch}"
    assert found["output"] == f"logits: float32 batch{TIMES}10"
    assert found["operators"].startswith("50: Conv 20, Relu 19, Add 8, ")
    assert found["weights"] == "272,474 parameters, 1.04 MiB"


def test_a_range_of_shapes_is_shown_and_unknown_sizes_marked() -> None:
    study = study_record(1)
    workload = study.spec.workload
    tensor = replace(workload.model.inputs[0], shape=(None, 3))
    model = replace(workload.model, inputs=(tensor,), outputs=(replace(tensor, name="y", shape=()),))
    shapes = {"image": ShapeRange((1, 3), (4, 3), (8, 3))}
    workload = replace(
        workload,
        model=model,
        plan=single_plan(shapes, 4),
        inputs=InputSource(file=file_at("/data/samples.npz")),
    )
    found = pairs(replace(study, spec=replace(study.spec, workload=workload)))
    ends = f"measured at 4{TIMES}3 (from 1{TIMES}3 to 8{TIMES}3)"
    assert found["input"] == f"image: float32 ?{TIMES}3, {ends}"
    assert found["output"] == "y: float32 scalar"
    assert found["sample data"] == "samples.npz"


def test_machine_backend_and_versions_are_named() -> None:
    study = study_record(1)
    machine = replace(study.spec.machine, driver="580.1", limits={"power_watts": 300})
    spec = replace(study.spec, machine=machine, backend_options=Settings(landscape="smooth"))
    found = pairs(replace(study, spec=spec))
    assert (found["processor"], found["driver"], found["power watts"]) == ("AMD EPYC 7B13", "580.1", "300")
    assert (found["backend"], found["landscape"]) == ("onnxruntime", "smooth")
    assert (found["onnxruntime"], found["python"]) == ("1.31.1", "3.11.9")


def test_search_facts_have_objective_space_and_cost() -> None:
    study = study_record(40)
    reused = replace(study.trials[5], reused=True)
    found = pairs(replace(study, trials=(*study.trials[:5], reused, *study.trials[6:])))
    assert found["objective"] == "minimize latency_ms: median time of one inference (ms)"
    assert found["constraint"] == "error&lt;=0.01"
    assert found["space"] == "72 candidates in 4 dimensions"
    assert found["trials"].endswith("1 answered from storage")


def test_earlier_studies_are_named() -> None:
    study = study_record(1)
    assert "begun with" not in pairs(study)
    priors = (Prior("resnet-50", 0.834, 50), Prior("mlp", 0.4, 1))
    told = pairs(replace(study, priors=priors))["begun with"]
    assert told == "resnet-50 (similarity 0.83, 50 trials), mlp (similarity 0.40, 1 trial)"


def test_many_operator_types_are_cut_short() -> None:
    study = study_record(1)
    model = replace(study.spec.workload.model, operators={f"Op{number}": 1 for number in range(20)})
    workload = replace(study.spec.workload, model=model)
    assert (
        "and 8 more types" in pairs(replace(study, spec=replace(study.spec, workload=workload)))["operators"]
    )


def test_dimensions_with_one_choice_count_as_searched_only_where_trials_differ() -> None:
    study = study_record(5)
    assert "streams" not in [dimension.name for dimension in searched_dimensions(study)]
    trial = study.trials[0]
    other = replace(trial.candidate, run=Settings({**trial.candidate.run, "streams": 4}))
    study = replace(study, trials=(replace(trial, candidate=other), *study.trials[1:]))
    assert "streams" in [dimension.name for dimension in searched_dimensions(study)]
