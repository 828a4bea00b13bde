"""Everything that is settled before trial 0: model, shapes, inputs, backend, space, objectives, baseline.

A user's mistake ends here, as a UserError; it never becomes a failed trial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engines.accuracy.reference_file import check_expected
from engines.artifacts.workspace import Workspace
from engines.backends.registry import BACKENDS, choose_backend, parse_backend
from engines.core.errors import UserError
from engines.core.values import (
    InputSource,
    ModelFacts,
    Policy,
    Settings,
    Shape,
    ShapeRange,
    TaskMetric,
    Workload,
)
from engines.data.calibration import parse_calibration
from engines.data.inputs_file import check_inputs_file
from engines.data.user_functions import parse_metric
from engines.models.located import kept_file
from engines.models.read import read_model
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from engines.shapes.text import parse_shapes
from engines.worker.protocol import Open, Opened
from engines.worker.questions import has_gpu
from studies.belief.certificates import FEWEST_INFERENCES
from studies.core.metrics import METRICS, P99_BOUND, known_metrics, names_where
from studies.core.objectives import parse_constraints, parse_objectives
from studies.core.records import Constraint, Objective, StudySpec
from studies.core.space import baseline_of, narrow, parse_fixed
from studies.setup.request import Request


@dataclass(frozen=True)
class Question:
    """The request as far as it is settled without the backend; `notes` are for the user to read."""

    workload: Workload
    backend: Open
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    fixed: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def settle(request: Request, workspace: Workspace) -> Question:
    """Read and check all that the owner can check by itself."""
    request, kept_notes = _with_kept_files(request, workspace)
    metrics = _metrics(request)
    objectives = parse_objectives(request.objectives, metrics)
    constraints = parse_constraints([*request.constraints, *_deadline(request)], metrics)
    name, options = parse_backend(request.backend)
    name, why = choose_backend(name, partial(has_gpu, workspace))
    options = _with_plugins(name, options, request.plugins)
    fixed = _fixed(request)
    model, overridden = _model(request)
    shapes, notes = _shapes(model, request)
    workload = _workload(model, shapes, request, metrics, overridden)
    opening = Open(
        backend=name,
        options=options,
        workspace=str(workspace.root.resolve()),
        workload=workload,
        policy=_policy(request, objectives, constraints),
        concurrent=are_concurrent(objectives),
        metrics=(*(one.metric for one in objectives), *(one.metric for one in constraints)),
    )
    backend_note = (f"the backend is {name}, {why}",) if why else ()
    return Question(workload, opening, objectives, constraints, fixed, (*backend_note, *kept_notes, *notes))


def specify(question: Question, opened: Opened) -> tuple[StudySpec, tuple[str, ...]]:
    """Return the study's specification, with the backend's machine and space; and notes for the user."""
    spec = StudySpec(
        workload=question.workload,
        backend=question.backend.backend,
        backend_options=question.backend.options,
        machine=opened.machine,
        objectives=question.objectives,
        constraints=question.constraints,
        space=narrow(opened.dimensions, question.fixed),
        baseline=baseline_of(opened.dimensions),
        policy=question.backend.policy,
    )
    return spec, (*question.notes, *_random_ranges(spec), *opened.warnings)


def _with_kept_files(request: Request, workspace: Workspace) -> tuple[Request, tuple[str, ...]]:
    """Return the request with the workspace's copies of files that are gone, and notes on them."""
    given = [path for path in (request.model, request.inputs, request.reference) if path is not None]
    gone = [path for path in given if not path.exists()]
    kept = {path: found for path in gone if (found := kept_file(path.name, workspace)) is not None}
    notes = tuple(f"{path} is gone: the copy in the workspace is used" for path in kept)
    inputs, reference = (path and kept.get(path, path) for path in (request.inputs, request.reference))
    model = kept.get(request.model, request.model)
    return replace(request, model=model, inputs=inputs, reference=reference), notes


def are_concurrent(objectives: Sequence[Objective]) -> bool:
    """Return whether concurrent inferences and larger batches may be better in any of the objectives."""
    concurrent = names_where(lambda metric: metric.concurrent)
    return any(one.metric in concurrent for one in objectives)


def _deadline(request: Request) -> tuple[str, ...]:
    """Return the constraint that certifies the deadline."""
    if request.deadline is None:
        return ()
    return (f"{P99_BOUND}<={request.deadline * 1e3:.10g}",)


def _policy(request: Request, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> Policy:
    """Return the policy with what objectives and constraints need."""
    named = [*(one.metric for one in objectives), *(one.metric for one in constraints)]
    required = {METRICS[name].requires for name in named if name in METRICS}
    raced = names_where(lambda metric: metric.raced)
    statistics = [one.metric for one in objectives if one.metric in raced]
    policy = request.policy or Policy()
    policy = replace(
        policy,
        statistic=statistics[0] if statistics else policy.statistic,
        transfers=policy.transfers or request.transfers,
        cold=policy.cold or request.cold or "cold" in required,
    )
    if "certify" in required:
        fewest = max(policy.minimum_inferences, FEWEST_INFERENCES)
        return replace(policy, minimum_inferences=fewest, certify=True)
    return policy


def _with_plugins(backend: str, options: Settings, plugins: Sequence[Path]) -> Settings:
    if not plugins:
        return options
    if not BACKENDS[backend].takes_plugins:
        takers = " or ".join(name for name, entry in BACKENDS.items() if entry.takes_plugins)
        raise UserError(
            f"the backend {backend} takes no plugins", f"Use --backend {takers}, or leave them out."
        )
    return Settings(options, plugins="+".join(str(path.resolve()) for path in plugins))


def _fixed(request: Request) -> dict[str, tuple[str, ...]]:
    fixed = parse_fixed(request.fix)
    if request.precision is None:
        return fixed
    if "precision" in fixed:
        raise UserError("--precision and --fix precision=... say the same twice", "Give one of them.")
    chosen = tuple(name.strip() for name in request.precision.split(",") if name.strip())
    if not chosen:
        raise UserError("--precision names no precision", "Write --precision fp32,int8, or leave it out.")
    return {**fixed, "precision": chosen}


def _shapes(model: ModelFacts, request: Request) -> tuple[dict[str, ShapeRange], tuple[str, ...]]:
    return resolve(
        model,
        parse_shapes(request.shapes),
        parse_shapes(request.min_shapes),
        parse_shapes(request.opt_shapes),
        parse_shapes(request.max_shapes),
    )


def _workload(
    model: ModelFacts,
    shapes: dict[str, ShapeRange],
    request: Request,
    metrics: tuple[TaskMetric, ...],
    overridden: Mapping[str, Shape],
) -> Workload:
    batch, batched = batch_of(model, shapes)
    source = InputSource(seed=request.seed)
    if request.inputs is not None:
        source = check_inputs_file(model, shapes, batched, request.inputs, extras=bool(metrics))
    workload = Workload(
        model,
        single_plan(shapes, batch),
        batched,
        source,
        calibration=_calibration(request, model, shapes, batched),
        metrics=metrics,
        keep_fp32=_kept(model, request),
        override_shapes=overridden,
    )
    if request.reference is None:
        return workload
    return replace(workload, expected=check_expected(workload, request.reference))


def _calibration(
    request: Request, model: ModelFacts, shapes: dict[str, ShapeRange], batched: tuple[str, ...]
) -> InputSource | None:
    if request.calibration is None:
        return None
    if not request.calibration.strip():
        # an unset variable gives an empty text; as a path it would be the current folder
        raise UserError(
            "--calibration names no data", "Give a file, a folder or a function, or leave it out."
        )
    return parse_calibration(request.calibration, model, shapes, batched, Path.cwd())


def _model(request: Request) -> tuple[ModelFacts, dict[str, Shape]]:
    """Return the model, with its inputs made static as requested, and their shapes."""
    model = read_model(request.model)
    if not request.override_shapes:
        return model, {}
    # loads onnx's checks, which others need not wait for
    from engines.graphs.passes.static_shapes import check_override, made_static

    shapes = check_override(model, parse_shapes(request.override_shapes))
    return made_static(model, shapes), shapes


def _metrics(request: Request) -> tuple[TaskMetric, ...]:
    found = tuple(parse_metric(text, Path.cwd()) for text in request.metrics)
    known_metrics(found)
    return found


def _kept(model: ModelFacts, request: Request) -> tuple[str, ...]:
    """Return the patterns of nodes to keep; raises UserError for one that matches none."""
    patterns = tuple(request.keep_fp32)
    if patterns:
        import onnx

        from engines.graphs.passes import selection
        from engines.models import onnx_files

        graph = onnx.load(model.file.where, load_external_data=False)
        onnx_files.name_nodes(graph)
        for pattern in selection.unmatched(graph, patterns):
            raise UserError(
                f"--keep-fp32 {pattern!r} matches no node and no operator of the model",
                f"Write a name or a pattern such as 'LayerNorm*'; its operators: "
                f"{', '.join(sorted(model.operators))}.",
            )
    return patterns


def _random_ranges(spec: StudySpec) -> tuple[str, ...]:
    """Return a note that calibration ranges come from random data, if any are calibrated."""
    calibrated = {
        value for one in spec.space if one.name == "calibration" for value in one.applies_to["precision"]
    }
    used = {value for one in spec.space if one.name == "precision" for value in one.choices} & calibrated
    source = spec.workload.calibration or spec.workload.inputs
    if not used or not source.is_random:
        return ()
    verb, whose = ("is", "its") if len(used) == 1 else ("are", "their")
    return (
        f"{' and '.join(sorted(map(str, used)))} {verb} calibrated with random data: with real data {whose} "
        "errors may be larger or smaller; give some with --calibration or --inputs",
    )
