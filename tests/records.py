"""Made-up studies for tests: real records with synthetic samples, failures and awkward names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from engines.core.results import (
    Accuracy,
    Artifact,
    Block,
    Evaluation,
    Failure,
    FailureKind,
    Measurement,
    OutputError,
)
from engines.core.values import (
    Candidate,
    Dimension,
    InputSource,
    Machine,
    ModelFacts,
    Settings,
    ShapeRange,
    Stage,
    TensorFacts,
    Value,
    Workload,
)
from engines.shapes.plan import single_plan
from studies.core.objectives import judge, parse_constraints, parse_objectives
from studies.core.records import StudyRecord, StudySpec, TrialRecord
from tests.workloads import file_at

START = datetime(2025, 11, 21, 7, 0, tzinfo=UTC)
AWKWARD = "<script>alert('x')</script> & \"co\" %{y} ünïcödé"

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", "number format of the weights"),
    Dimension("optimization", "build", ("none", "basic", "all"), "all", "graph optimization level"),
    Dimension("intra_op_threads", "run", (1, 2, 4, 8), 2, "threads within an operator"),
    Dimension("spinning", "run", (True, False), True, "whether idle threads spin"),
    Dimension("streams", "run", (1,), 1, "inferences in flight"),
)
FACTORS: Mapping[tuple[str, Value], float] = {
    ("precision", "fp16"): 0.8,
    ("precision", "int8"): 0.55,
    ("optimization", "none"): 1.6,
    ("optimization", "basic"): 1.2,
    ("intra_op_threads", 1): 1.5,
    ("intra_op_threads", 4): 0.85,
    ("intra_op_threads", 8): 1.1,
    ("spinning", False): 1.05,
}
FAILURES: tuple[tuple[Stage, FailureKind, str, str], ...] = (
    ("build", "crashed", "the worker died by signal 11 (SIGSEGV)", "See the trial's log."),
    ("build", "timeout", "building took longer than 60 s", "Raise --trial-timeout."),
    ("measure", "out_of_memory", "cannot allocate 12 GiB <of device memory>", ""),
    ("check", "not_finite", "output 'logits' holds values that are not finite", ""),
    ("check", "wrong_output", "output <script>alert(1)</script> has shape (1, 5), not (1, 10)", ""),
)


def study_record(
    trials: int = 40,
    *,
    seed: int = 0,
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    failing: float = 0.15,
    name: str = "resnet-tiny",
    samples: int = 400,
) -> StudyRecord:
    """A study whose landscape is FACTORS; trial 0 is the baseline and a share `failing` of the rest fails."""
    random = np.random.default_rng(seed)
    spec = study_spec(objectives, constraints)
    records, elapsed = [], 0.0
    for number in range(trials):
        candidate = spec.baseline if number == 0 else _draw(random)
        if number and random.random() < failing:
            made = failed(candidate, *FAILURES[int(random.integers(len(FAILURES)))])
        else:
            made = measured(candidate, random, samples=samples)
        records.append(record(spec, number, made, elapsed))
        elapsed += records[-1].seconds + 0.3
    versions = {"python": "3.11.9", "trt-tuner": "0.1.0", "onnxruntime": "1.31.1", "numpy": "2.4.6"}
    return StudyRecord(name, spec, tuple(records), START, versions)


def awkward_study(trials: int = 30) -> StudyRecord:
    """A study where every name that comes from outside holds markup, quotes and long words."""
    study = study_record(trials, name=AWKWARD)
    model = study.spec.workload.model
    inputs = tuple(replace(tensor, name=f"{AWKWARD}_{tensor.name}") for tensor in model.inputs)
    model = replace(model, file=file_at(f"/models/{AWKWARD}/{'deep_' * 20}model.onnx"), inputs=inputs)
    space = (*SPACE, Dimension(AWKWARD, "run", (AWKWARD, "plain"), AWKWARD, "an awkward dimension"))
    spec = replace(
        study.spec,
        workload=replace(study.spec.workload, model=model),
        machine=replace(study.spec.machine, processor=f"CPU {AWKWARD}"),
        space=space,
    )
    random = np.random.default_rng(1)
    records = [
        replace(trial, candidate=_with_run(trial.candidate, AWKWARD, (AWKWARD, "plain")[random.integers(2)]))
        for trial in study.trials
    ]
    return replace(study, spec=spec, trials=tuple(records))


def study_of(
    *evaluations: Evaluation, objectives: Sequence[str] = (), constraints: Sequence[str] = ()
) -> StudyRecord:
    """A study of these evaluations; the first is the baseline's; they start 10 s apart."""
    spec = study_spec(objectives, constraints)
    trials = tuple(record(spec, number, made, 10.0 * number) for number, made in enumerate(evaluations))
    return StudyRecord("made-up", spec, trials, START)


def study_spec(objectives: Sequence[str] = (), constraints: Sequence[str] = ()) -> StudySpec:
    return StudySpec(
        workload=_workload(),
        backend="onnxruntime",
        backend_options=Settings(),
        machine=Machine(
            "cpu", "AMD EPYC 7B13", 2, 8 * 2**30, "Linux 6.1", libraries={"onnxruntime": "1.31.1"}
        ),
        objectives=parse_objectives(objectives),
        constraints=parse_constraints(constraints),
        space=SPACE,
        baseline=candidate("fp32", "all", 2, True),
    )


def candidate(precision: str, optimization: str, threads: int, spinning: bool) -> Candidate:
    return Candidate(
        Settings(precision=precision),
        Settings(optimization=optimization),
        Settings(intra_op_threads=threads, spinning=spinning, streams=1),
    )


def record(spec: StudySpec, number: int, evaluation: Evaluation, elapsed: float = 0.0) -> TrialRecord:
    """The evaluation as the study would keep it: judged, and started `elapsed` seconds after the first."""
    state, metrics, violations = judge(evaluation, spec.constraints)
    return TrialRecord(
        number,
        evaluation.candidate,
        state,
        metrics,
        violations,
        evaluation,
        START + timedelta(seconds=elapsed),
        sum(evaluation.stage_seconds.values()),
        log="loading\nsession <created>\nSegmentation fault" if evaluation.failure else "",
    )


def measured(
    candidate: Candidate,
    random: np.random.Generator,
    *,
    latency_ms: float | None = None,
    error: float | None = None,
    blocks: int = 6,
    samples: int = 400,
    noise: float = 0.04,
) -> Evaluation:
    """A measured candidate; by default at the latency and error that FACTORS and its precision give."""
    centre = latency_ms
    if centre is None:
        centre = expected_latency(candidate) * float(random.lognormal(0, 0.03))
    if error is None:
        error = {"fp32": 0.0, "fp16": 4e-4, "int8": 0.007}[str(candidate.graph["precision"])]
        error *= float(random.lognormal(0, 0.5))
    made = tuple(_block(centre * random.normal(1, noise / 8), random, samples, noise) for _ in range(blocks))
    build_seconds = float(random.uniform(0.5, 4))
    return Evaluation(
        candidate,
        graph=Artifact("f" * 32, 1_000_000, 0.2, False),
        engine=Artifact(
            "e" * 32, int(random.integers(2_000_000, 9_000_000)), 1.0, False, {"build_seconds": build_seconds}
        ),
        accuracy=Accuracy((OutputError("logits", error, error * 3),), 8),
        measurement=Measurement(made, 8, 1, 0.2, 50, True, 250_000_000),
        stage_seconds={"graph": 0.2, "build": build_seconds, "check": 0.1, "measure": 1.1},
    )


def failed(candidate: Candidate, stage: Stage, kind: FailureKind, message: str, hint: str = "") -> Evaluation:
    return Evaluation(
        candidate, failure=Failure(stage, kind, message, hint), stage_seconds={"graph": 0.2, stage: 2.0}
    )


def expected_latency(candidate: Candidate) -> float:
    factors = [FACTORS.get(setting, 1.0) for setting in candidate.settings.items()]
    return 3.2 * float(np.prod(factors))


def _draw(random: np.random.Generator) -> Candidate:
    precision, optimization, threads, spinning = (
        dimension.choices[int(random.integers(len(dimension.choices)))] for dimension in SPACE[:4]
    )
    return candidate(str(precision), str(optimization), int(threads), bool(spinning))


def _block(centre: float, random: np.random.Generator, samples: int, noise: float) -> Block:
    latency = centre * (1 + noise * random.gamma(2, 0.5, samples) - noise)
    return Block(latency, float(latency.sum() / 1000), 0.0)


def _workload() -> Workload:
    model = ModelFacts(
        file=file_at(
            "/models/resnet-tiny.onnx", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        ),
        inputs=(TensorFacts("image", "float32", ("batch", 3, 32, 32)),),
        outputs=(TensorFacts("logits", "float32", ("batch", 10)),),
        opset=21,
        operators={"Conv": 20, "Relu": 19, "Add": 8, "Gemm": 1, "GlobalAveragePool": 1, "Flatten": 1},
        parameters=272_474,
        weight_bytes=1_089_896,
    )
    shape = (8, 3, 32, 32)
    return Workload(
        model, single_plan({"image": ShapeRange(shape, shape, shape)}, 8), ("image",), InputSource()
    )


def _with_run(candidate: Candidate, name: str, value: str) -> Candidate:
    return replace(candidate, run=Settings({**candidate.run, name: value}))
