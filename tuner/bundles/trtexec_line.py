"""The line of trtexec that builds and runs what a trial did; for TensorRT-RTX that of its tensorrt_rtx."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from engines.artifacts.store import GRAPH
from engines.artifacts.workspace import Workspace
from engines.backends.registry import BACKENDS, TrtexecProgram
from engines.backends.tensorrt.build.weak_typing import is_weak
from engines.core.errors import UserError
from engines.core.values import Value, text_of
from engines.models.located import located_model
from engines.shapes.plan import asked_batch, case_shapes, profile_shapes
from engines.shapes.text import format_shapes
from engines.statistics.trtexec import VERSIONS
from studies.core.records import StudyRecord, StudySpec, TrialRecord
from tuner.bundles.trtexec_options import ELSEWHERE, IN_GRAPH, MAPPERS, WEAK_ONLY, Option, run_switches, words

# from this version on every network is
STRONGLY_TYPED = 11


def trtexec_lines(study: StudyRecord, trial: TrialRecord, workspace: Workspace) -> list[str]:
    """Return the command line, and a comment for each setting without an option.

    Raises UserError for a trial of another backend, and for one that has no graph.
    """
    spec = study.spec
    program = _program(study)
    graph = _graph(spec, trial, workspace)
    options = [
        ("onnx", str(graph)),
        *_typing(program, spec, trial),
        *_shapes(spec, trial),
        *_settings(spec, trial),
        ("profilingVerbosity", "detailed"),  # as all our engines are built
        *_run(program, spec, trial),
        *_device(spec),
    ]
    comments = [f"not in {program.name}: {text}" for text in _unsaid(spec, trial)]
    if not graph.is_file():
        comments.append(f"{graph} is no longer there")
    return [shlex.join([program.name, *words(options)]), *(f"# {text}" for text in comments)]


def _program(study: StudyRecord) -> TrtexecProgram:
    """Return the program that matches the study's backend; raises UserError if there is none."""
    programs = {name: entry.trtexec for name, entry in BACKENDS.items() if entry.trtexec is not None}
    if study.spec.backend not in programs:
        raise UserError(
            f"trtexec builds engines of TensorRT, and {study.name!r} is a study of {study.spec.backend}",
            f"Show a trial of {' or '.join(programs)}.",
        )
    return programs[study.spec.backend]


def _graph(spec: StudySpec, trial: TrialRecord, workspace: Workspace) -> Path:
    """Return the ONNX file that the engine was built from: the model itself, or one derived from it."""
    graph = trial.evaluation.graph
    if graph is None:
        why = f": it failed at {trial.failure.stage} ({trial.failure.message})" if trial.failure else ""
        raise UserError(f"trial {trial.number} has no graph{why}", "Choose another trial.")
    if graph.digest == spec.workload.model.digest:
        return located_model(spec.workload.model, workspace)
    return workspace.graphs / graph.digest / GRAPH


def _typing(program: TrtexecProgram, spec: StudySpec, trial: TrialRecord) -> list[Option]:
    needed = _major(program, spec) < STRONGLY_TYPED and not _is_weak(trial)
    return [("stronglyTyped", None)] if needed else []


def _is_weak(trial: TrialRecord) -> bool:
    return is_weak(trial.candidate.graph.get("precision", ""))


def _major(program: TrtexecProgram, spec: StudySpec) -> int:
    """Return the trtexec version whose options apply: that of the library that ran, or the newest."""
    newest = max(VERSIONS)
    if program.library is None:
        return newest
    number = str(spec.machine.libraries.get(program.library, "")).partition(".")[0]
    return min(int(number), newest) if number.isdigit() else newest


def _shapes(spec: StudySpec, trial: TrialRecord) -> list[Option]:
    """Return the profile and the measured shapes; trtexec refuses inputs of fixed shape."""
    workload = spec.workload
    dynamic = [
        facts.name
        for facts in workload.model.inputs
        if not all(isinstance(size, int) for size in facts.shape)
    ]
    if not dynamic:
        return []
    profile = profile_shapes(workload, trial.candidate)[0]
    run = case_shapes(workload, asked_batch(workload.plan, trial.candidate))
    bounds = {
        "minShapes": {name: profile[name].minimum for name in dynamic},
        "optShapes": {name: profile[name].optimum for name in dynamic},
        "maxShapes": {name: profile[name].maximum for name in dynamic},
        "shapes": {name: run[name] for name in dynamic},
    }
    return [(option, format_shapes(shapes)) for option, shapes in bounds.items()]


def _settings(spec: StudySpec, trial: TrialRecord) -> Iterator[Option]:
    for name, value, default in _with_defaults(spec, trial):
        if name in MAPPERS and (name not in WEAK_ONLY or _is_weak(trial)):
            yield from MAPPERS[name](value, default)


def _unsaid(spec: StudySpec, trial: TrialRecord) -> Iterator[str]:
    """Return the settings without an option that differ from their default."""
    for name, value, default in _with_defaults(spec, trial):
        in_graph = name in IN_GRAPH and not _is_weak(trial)
        if not (name in MAPPERS or name in ELSEWHERE or in_graph) and value != default:
            yield f"{name}={text_of(value)}"
    if spec.backend_options.get("builder_threads"):
        yield f"builder_threads={spec.backend_options['builder_threads']}"
    inputs = spec.workload.inputs.file
    if inputs is not None:
        yield f"the inputs of {inputs.where} (--loadInputs takes a file of raw values for each)"


def _with_defaults(spec: StudySpec, trial: TrialRecord) -> Iterator[tuple[str, Value, Value]]:
    defaults = {dimension.name: dimension.default for dimension in spec.space}
    for name, value in trial.candidate.settings.items():
        yield name, value, defaults.get(name, value)


def _run(program: TrtexecProgram, spec: StudySpec, trial: TrialRecord) -> list[Option]:
    """Return the run options; the device is waited for by spinning, as in a study."""
    settings = trial.candidate.settings
    graph = bool(settings.get("cuda_graph"))
    wanted = {"cuda_graph": graph, "transfers": spec.policy.transfers, "spin_wait": True}
    version = VERSIONS[_major(program, spec)]
    if not program.graph_strategy:
        return run_switches(wanted, version)
    del wanted["cuda_graph"]
    strategy: Option = ("rtxCudaGraphStrategy", "wholeGraph" if graph else "disable")
    return [strategy, *run_switches(wanted, version)]


def _device(spec: StudySpec) -> list[Option]:
    """Return the GPU and the plugins that the backend was given."""
    options = spec.backend_options
    plugins = [path for path in str(options.get("plugins", "")).split("+") if path]
    names = (
        ("dynamicPlugins", "setPluginsToSerialize")
        if options.get("serialize_plugins")
        else ("staticPlugins",)
    )
    device = [("device", str(options["device"]))] if options.get("device") else []
    return [*device, *((name, path) for path in plugins for name in names)]
