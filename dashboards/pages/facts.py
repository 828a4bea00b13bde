"""What a result belongs to: the model, the machine, the backend, and what was searched for."""

import math
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from dashboards.html.document import element
from dashboards.words import formats, verdict
from engines.core.values import Dimension, InputSource, ShapeRange, TensorFacts
from studies.analysis.effects import chosen
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord

Fact = tuple[str, str]


def facts(view: StudyView) -> Markup:
    """Return everything the result belongs to: model, machine, backend, and what was searched for."""
    groups: Mapping[str, Callable[[StudyRecord], list[Fact]]] = {
        "Model": _model,
        "Machine": _machine,
        "Backend": _backend,
        "Search": _search,
    }
    cards = [_card(title, of(view.study)) for title, of in groups.items()]
    return element("section", *cards, class_="facts")


def _card(title: str, facts: Sequence[Fact]) -> Markup:
    pairs = [part for name, value in facts for part in (element("dt", name), element("dd", value))]
    return element("div", element("h2", title), element("dl", *pairs), class_="card")


def _model(study: StudyRecord) -> list[Fact]:
    workload = study.spec.workload
    model = workload.model
    operators = sorted(model.operators.items(), key=lambda entry: (-entry[1], entry[0]))
    counted = ", ".join(f"{name} {count}" for name, count in operators[:12])
    more = f" and {len(operators) - 12} more types" if len(operators) > 12 else ""
    shapes = workload.plan.ranges
    return [
        ("name", model.file.name),
        ("sha256", model.digest),
        *(("input", _tensor(tensor, shapes.get(tensor.name))) for tensor in model.inputs),
        *(("output", _tensor(tensor, None)) for tensor in model.outputs),
        ("operators", f"{sum(model.operators.values()):,}: {counted}{more}"),
        ("weights", f"{model.parameters:,} parameters, {formats.size(model.weight_bytes)}"),
        ("opset", str(model.opset)),
        ("sample data", _sample_data(workload.inputs)),
    ]


def _sample_data(source: InputSource) -> str:
    return source.file.name if source.file else f"random, seed {source.seed}"


def _tensor(tensor: TensorFacts, shapes: ShapeRange | None) -> str:
    text = f"{tensor.name}: {tensor.dtype} {_shape(tensor.shape)}"
    if shapes is None:
        return text
    several = shapes.minimum != shapes.maximum
    ends = f" (from {_shape(shapes.minimum)} to {_shape(shapes.maximum)})" if several else ""
    return f"{text}, measured at {_shape(shapes.optimum)}{ends}"


def _shape(sizes: Sequence[int | str | None]) -> str:
    return formats.TIMES.join("?" if size is None else str(size) for size in sizes) or "scalar"


def _machine(study: StudyRecord) -> list[Fact]:
    machine = study.spec.machine
    return [
        ("processor", machine.processor),
        ("cores", f"{machine.cores:,}"),
        ("memory", formats.size(machine.memory_bytes)),
        ("system", machine.system),
        *([("driver", machine.driver)] if machine.driver else []),
        *((name.replace("_", " "), formats.setting(value)) for name, value in machine.limits.items()),
    ]


def _backend(study: StudyRecord) -> list[Fact]:
    versions = {**study.spec.machine.libraries, **study.versions}
    return [
        ("backend", study.spec.backend),
        *((name, formats.setting(value)) for name, value in study.spec.backend_options.items()),
        *((name, version) for name, version in sorted(versions.items())),
    ]


def _search(study: StudyRecord) -> list[Fact]:
    spec = study.spec
    searched = searched_dimensions(study)
    size = math.prod(len(dimension.choices) for dimension in spec.space)
    reused = sum(trial.reused for trial in study.trials)
    return [
        *(
            ("objective", f"{goal.direction} {goal.metric}: {formats.about(goal.metric)}")
            for goal in spec.objectives
        ),
        *(("constraint", str(constraint)) for constraint in spec.constraints),
        ("space", f"{size:,} candidates in {formats.plural(len(searched), 'dimension')}"),
        ("trials", f"{verdict.counted(study)}{f', {reused:,} answered from storage' if reused else ''}"),
        ("time", formats.duration(sum(trial.seconds for trial in study.trials))),
        *([("begun with", verdict.priors(study.priors))] if study.priors else []),
        ("started", formats.moment(study.created_at)),
    ]


def searched_dimensions(study: StudyRecord) -> tuple[Dimension, ...]:
    """Return the dimensions with more than one choice, or with different values in the trials."""
    return tuple(
        dimension
        for dimension in study.spec.space
        if len(dimension.choices) > 1 or len({str(chosen(trial, dimension)) for trial in study.trials}) > 1
    )
