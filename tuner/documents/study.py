"""A study for other programs: what it is about, what it found, its trials, and the evidence of an export."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from engines.core.values import InputSource, ModelFacts, TaskMetric
from engines.core.wire import to_plain
from studies.analysis.comparison import baseline
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord, TrialRecord
from tuner.documents.base import (
    SCHEMA,
    Backend,
    Document,
    Estimate,
    Failure,
    Machine,
    Numbered,
    T,
    Time,
    about,
    estimate_of,
    finite,
    made,
)
from tuner.documents.measurement import (
    Certificate,
    Drift,
    Finals,
    Measurement,
    Noise,
    Racing,
    Repeat,
    certificate_of,
    drift_of,
    finals_of,
    measurement_of,
    noise_of,
    racing_of,
    repeat_of,
)

if TYPE_CHECKING:
    from studies.storage.storage import StudySummary


class Prior(Document):
    study: Annotated[str, about("its name")]
    similarity: Annotated[float, about("similarity to the model of this study, from 0 to 1")]
    observations: Annotated[int, about("how many trials were taken from it")]


class Tensor(Document):
    name: Annotated[str, about("its name")]
    dtype: Annotated[str, about("its type, as numpy names it")]
    shape: Annotated[
        list[int | str | None], about("its dimensions: numbers, names of those that vary, or null")
    ]


class Model(Document):
    path: Annotated[str, about("the ONNX file, as it was given first")]
    digest: Annotated[str, about("its sha256, external weights included")]
    opset: Annotated[int, about("of the standard operators; 0 when there are none")]
    operators: Annotated[dict[str, int], about("how many nodes of this type it has")]
    parameters: Annotated[int, about("numbers in its weights")]
    weight_bytes: Annotated[int, about("size of its weights")]
    index_limits: Annotated[dict[str, int], about("rows of the table that this integer input indexes")]
    inputs: Annotated[list[Tensor], about("its inputs")]
    outputs: Annotated[list[Tensor], about("its outputs")]


class Shapes(Document):
    minimum: Annotated[list[int], about("smallest shape of this input that an engine must take")]
    optimum: Annotated[list[int], about("the shape that is measured")]
    maximum: Annotated[list[int], about("largest shape")]


class Source(Document):
    path: Annotated[
        str | None, about("the file or folder, or where a function is found; null for random data")
    ]
    digest: Annotated[str | None, about("sha256 of the data, or of the function's file")]
    function: Annotated[str | None, about("the function, MODULE:FUNCTION; inputs and reference have none")]
    seed: Annotated[int, about("seed of random data; without meaning for other data")]


class OwnMetric(Document):
    name: Annotated[str, about("its name")]
    function: Annotated[str, about("MODULE:FUNCTION")]
    better: Annotated[str, about("`minimize` or `maximize`")]
    folder: Annotated[str, about("where the module was looked for")]
    digest: Annotated[str, about("sha256 of its file")]


class Objective(Document):
    metric: Annotated[str, about("its name")]
    direction: Annotated[str, about("`minimize` or `maximize`")]


class Dimension(Document):
    name: Annotated[str, about("its name")]
    kind: Annotated[str, about("`graph`, `build` or `run`; only the first two cost a build")]
    choices: Annotated[list[Any], about("what is searched; one choice is a fixed value")]


class StudyHeader(Numbered):
    """What a study is about."""

    study: Annotated[str, about("the study's name")]
    created_at: Annotated[Time, about("when it began")]
    versions: Annotated[dict[str, str], about("packages that decide what a search does")]
    priors: Annotated[list[Prior], about("earlier studies that it began with, the most similar first")]
    model: Annotated[Model, about("the model")]
    shapes: Annotated[dict[str, Shapes], about("shapes of this input")]
    inputs: Annotated[Source, about("what it is measured on")]
    calibration: Annotated[Source | None, about("what ranges are taken from; null when it is the inputs")]
    reference: Annotated[Source | None, about("the file of right outputs; null when the model computes them")]
    own_metrics: Annotated[list[OwnMetric], about("metrics of the user's own")]
    keep_fp32: Annotated[list[str], about("patterns of nodes that are never lowered")]
    override_shapes: Annotated[dict[str, list[int]], about("the static shape of this input in every graph")]
    backend: Annotated[Backend, about("who builds and runs engines")]
    machine: Annotated[Machine, about("what they are measured on")]
    objectives: Annotated[
        list[Objective], about("what is optimized; the first decides which trial is the best")
    ]
    constraints: Annotated[list[str], about("what must hold, such as `error<=0.01`")]
    space: Annotated[list[Dimension], about("the dimensions that are searched")]


class OutputError(Document):
    name: Annotated[str, about("name of an output")]
    relative_l2: Annotated[float, about("its relative L2 error against the original model")]
    max_abs: Annotated[float, about("its largest absolute difference")]
    mean_abs: Annotated[float | None, about("its mean absolute difference")]
    cosine: Annotated[float | None, about("cosine of the angle between the two")]
    top1: Annotated[
        float | None,
        about("share of rows whose highest value is in the same place; null for outputs that are not scores"),
    ]


class Accuracy(Document):
    samples: Annotated[int, about("samples that were compared")]
    outputs: Annotated[list[OutputError], about("how far each output is off")]
    scores: Annotated[dict[str, float], about("the user's own metrics")]


class Trial(Document):
    """One candidate, what was derived from its samples, and why it failed where it did."""

    number: Annotated[int, about("0 is the baseline")]
    state: Annotated[str, about("`feasible`, `infeasible` (misses a constraint) or `failed`")]
    settings: Annotated[dict[str, Any], about("the value of each dimension")]
    metrics: Annotated[dict[str, Estimate], about("each metric, in its unit")]
    violations: Annotated[
        dict[str, float | None],
        about("by how much this constraint is missed; null when the metric is not known"),
    ]
    failure: Annotated[Failure | None, about("null for a trial that did not fail")]
    accuracy: Annotated[Accuracy | None, about("null when it did not come to that")]
    measurement: Annotated[Measurement | None, about("null for a trial that failed")]
    certificate: Annotated[Certificate | None, about("null without a deadline, and for a trial that failed")]
    kept_fp32: Annotated[list[str], about("nodes of a lowered graph that stayed in FP32")]
    engine: Annotated[str | None, about("digest of the engine; trials that differ in run settings share it")]
    started_at: Annotated[Time, about("when it began")]
    seconds: Annotated[float, about("what it took")]
    stage_seconds: Annotated[dict[str, float], about("what each stage took")]
    reused: Annotated[bool, about("whether it was answered from an earlier study")]
    same_engine_as: Annotated[
        int | None,
        about("the earlier trial whose measurement this is, since their engines are the same"),
    ]


class Study(StudyHeader):
    """`tuner show [STUDY] --json`, and the beginning of `tuner search --json`."""

    verdict: Annotated[
        str,
        about(
            "the best against the baseline: `faster`, `slower`, `same` (no significant difference), "
            "`unproven` (no interval), `no baseline` (it failed) or `nothing feasible`"
        ),
    ]
    baseline: Annotated[int | None, about("the trial that is the baseline, 0")]
    best: Annotated[int | None, about("the feasible trial that is best in the first objective")]
    recommended: Annotated[
        int | None,
        about("the trial to deploy: the best, or the baseline where nothing is significantly better"),
    ]
    speedup: Annotated[
        Estimate | None,
        about("how many times better than the baseline the best is; null when there is nothing to compare"),
    ]
    pareto_front: Annotated[
        list[int],
        about("feasible trials that no other beats in all objectives, by the first objective"),
    ]
    noise: Annotated[Noise | None, about("null without a self-test")]
    drift: Annotated[Drift | None, about("null when the baseline was not run again between trials")]
    racing: Annotated[Racing, about("what stopping early saved")]
    finals: Annotated[
        Finals | None, about("null where the finalists were not measured again over all trials")
    ]
    repeats: Annotated[list[Repeat], about("everything that was measured again, in the order of time")]
    trials: Annotated[list[Trial], about("all trials in the order of their numbers")]


class OneTrial(Trial):
    """`tuner show [STUDY] --trial N --json`: the fields of a trial, and those below."""

    schema: Annotated[int, about("1")]
    study: Annotated[str, about("the study's name")]
    log: Annotated[str, about("what the library printed")]


class EndedSearch(Study):
    """`tuner search --json`: the fields of a study, and those below; the exit code is as without `--json`."""

    ending: Annotated[
        str,
        about(
            "`complete`, `exhausted` (every candidate was tried), `converged` (little is left to gain), "
            "`timeout` or `interrupted`"
        ),
    ]
    left_to_gain: Annotated[
        float | None,
        about(
            "the relative improvement over the best that going on is expected to bring; null where nobody "
            "can tell"
        ),
    ]
    chance_of_more: Annotated[
        float | None, about("the probability that going on finds more than `least_gain`")
    ]
    least_gain: Annotated[
        float | None,
        about(
            "the least relative improvement worth going on for: `--min-gain`, or what the machine can tell "
            "apart where that is more"
        ),
    ]
    new_trials: Annotated[int, about("trials that this run added")]
    report: Annotated[str, about("path of the report")]
    exported: Annotated[str | None, about("folder of the engine; null when nothing is feasible")]


class Summary(Document):
    name: Annotated[str, about("name of the study")]
    model: Annotated[str, about("file name of its model")]
    model_digest: Annotated[str, about("sha256 of the model")]
    backend: Annotated[str, about("name of the backend")]
    trials: Annotated[int, about("how many it has")]
    failures: Annotated[int, about("how many of them failed")]
    created_at: Annotated[Time, about("when it began")]
    last_activity: Annotated[Time, about("when anything happened last")]


class Studies(Numbered):
    """`tuner studies --json`."""

    studies: Annotated[list[Summary], about("all studies, the newest last")]


class ExportedFile(Document):
    bytes: Annotated[int, about("its size")]
    sha256: Annotated[str, about("its digest")]


class ExportEvidence(StudyHeader):
    """`evidence.json` beside an exported engine: the fields of a study up to `space`, and those below."""

    trial: Annotated[Trial, about("the exported trial")]
    baseline: Annotated[Trial | None, about("the baseline; null before it has finished")]
    bundle: Annotated[
        str, about("the form that the engine was handed over in: `engine`, as its backend built it")
    ]
    files: Annotated[dict[str, ExportedFile], about("the files of the engine")]


def study_document(view: StudyView) -> Study:
    """Return the whole study without raw samples."""
    return Study(**study_fields(view))


def one_trial_document(study: StudyRecord, trial: TrialRecord) -> OneTrial:
    """Return one trial by itself, its log included."""
    return OneTrial(schema=SCHEMA, study=study.name, **_trial(study, trial), log=trial.log)


def export_document(
    study: StudyRecord, trial: TrialRecord, files: Mapping[str, Any], bundle: str
) -> ExportEvidence:
    """Return the evidence beside an exported engine; `files` has size and digest of each of its files."""
    first = baseline(study)
    return ExportEvidence(
        **_header(study),
        trial=Trial(**_trial(study, trial)),
        baseline=Trial(**_trial(study, first)) if first is not None else None,
        bundle=bundle,
        files={name: made(ExportedFile, file) for name, file in files.items()},
    )


def studies_document(summaries: "Sequence[StudySummary]") -> Studies:
    """Return all studies in brief."""
    return Studies(schema=SCHEMA, studies=[made(Summary, summary) for summary in summaries])


def study_fields(view: StudyView) -> dict[str, Any]:
    """Return the fields of a study by name."""
    study, found = view.study, view.comparison
    return {
        **_header(study),
        "verdict": found.verdict,
        "baseline": _number(found.baseline),
        "best": _number(found.best),
        "recommended": _number(view.recommended),
        "speedup": estimate_of(found.speedup) if found.speedup else None,
        "pareto_front": [trial.number for trial in view.pareto_front],
        "noise": noise_of(view),
        "drift": drift_of(view),
        "racing": racing_of(view),
        "finals": finals_of(view),
        "repeats": [repeat_of(one, study) for one in study.repeats],
        "trials": [Trial(**_trial(study, trial)) for trial in study.trials],
    }


def _header(study: StudyRecord) -> dict[str, Any]:
    spec, workload = study.spec, study.spec.workload
    return {
        "schema": SCHEMA,
        "study": study.name,
        "created_at": study.created_at.isoformat(),
        "versions": dict(study.versions),
        "priors": [made(Prior, prior) for prior in study.priors],
        "model": _with_place(Model, workload.model, "path"),
        "shapes": {name: made(Shapes, shapes) for name, shapes in workload.plan.ranges.items()},
        "inputs": _source(workload.inputs),
        "calibration": _source(workload.calibration) if workload.calibration else None,
        "reference": _source(workload.expected) if workload.expected else None,
        "own_metrics": [_with_place(OwnMetric, metric, "folder") for metric in workload.metrics],
        "keep_fp32": list(workload.keep_fp32),
        "override_shapes": {name: list(shape) for name, shape in workload.override_shapes.items()},
        "backend": Backend(name=spec.backend, options=to_plain(spec.backend_options)),
        "machine": made(Machine, spec.machine),
        "objectives": [made(Objective, objective) for objective in spec.objectives],
        "constraints": [str(constraint) for constraint in spec.constraints],
        "space": [Dimension(name=one.name, kind=one.kind, choices=list(one.choices)) for one in spec.space],
    }


def _source(source: InputSource) -> Source:
    if source.file is not None:
        return _with_place(Source, source, "path")
    return Source(path=None, digest=None, function=None, seed=source.seed)


def _with_place(of: type[T], value: ModelFacts | InputSource | TaskMetric, place: str) -> T:
    """Return the document of an object with a file: its digest, and the path at which it was last found."""
    plain: dict[str, Any] = to_plain(value)
    file = plain.pop("file")
    return made(of, {**plain, place: file["where"], "digest": file["digest"]})


def _trial(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    stages = trial.evaluation.stage_seconds
    return {
        "number": trial.number,
        "state": trial.state,
        "settings": dict(trial.candidate.settings),
        "metrics": {name: estimate_of(estimate) for name, estimate in trial.metrics.items()},
        "violations": {text: finite(value) for text, value in trial.violations.items()},
        "failure": made(Failure, trial.failure) if trial.failure else None,
        "accuracy": made(Accuracy, trial.accuracy) if trial.accuracy else None,
        "measurement": measurement_of(trial.measurement) if trial.measurement else None,
        "certificate": certificate_of(study, trial),
        "kept_fp32": list(trial.kept_fp32),
        "engine": trial.engine.digest if trial.engine else None,
        "started_at": trial.started_at.isoformat(),
        "seconds": round(trial.seconds, 6),
        "stage_seconds": {stage: round(value, 6) for stage, value in stages.items()},
        "reused": trial.reused,
        "same_engine_as": trial.same_as,
    }


def _number(trial: TrialRecord | None) -> int | None:
    return None if trial is None else trial.number
