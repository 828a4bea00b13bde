"""Find earlier studies of similar models, for a search to begin with what they showed.

What is taken from each is in `studies.search.transfer.adapt`. They are read once, without logs and repeats,
and of a large one a part. How similar two models are:

similarity = operators * (parameters * elements) ** (1 / 8)

`operators` is the Bhattacharyya coefficient of the two histograms, the sum of the roots of the products of
their shares: 1 for the same mix, 0 where no operator is in both. One very frequent operator does not dominate
it, as it would a cosine. Where it is low they are different architectures, which need different choices,
however alike their sizes. `parameters` and `elements` (numbers in the inputs at the optimum shapes, batch
included) are the smaller divided by the larger, so that sizes count on a logarithmic scale: a factor of 10 in
one of them costs a quarter.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from engines.core.values import Machine, Workload
from studies.core.identity import machine_identity
from studies.core.metrics import METRICS, accuracy_metrics, names_where
from studies.core.records import Prior, StudyRecord, StudySpec, TrialRecord
from studies.search.observations import Earlier, observation_of
from studies.search.transfer.adapt import FEWEST_OBSERVATIONS, MOST_OBSERVATIONS, taken_over, worth_reading
from studies.storage.storage import Storage

MOST_STUDIES = 4
# half of the trials that a search learns from, its own included
MOST_TOGETHER = 100
# reading the samples of so many takes a quarter of a second
MOST_READ = 250
# a model of so different a size is hardly informative
LEAST_SIMILARITY = 0.5
# similarity for the same processor with another driver, library version or backend options
OTHER_VERSIONS = 0.8
# failures that are not caused by the candidate
ACCIDENTS = ("internal", "disk_full")


def begun_with(
    storage: Storage, spec: StudySpec, name: str, before: StudyRecord | None, wanted: bool
) -> tuple[Earlier, ...]:
    """Return the earlier studies to learn from; those recorded at its beginning for a study that is
    resumed.
    """
    if not wanted:
        return ()
    if before is not None:
        return recorded_studies(storage, spec, before.priors)
    return earlier_studies(storage, spec, but=name)


def earlier_studies(storage: Storage, spec: StudySpec, but: str | None = None) -> tuple[Earlier, ...]:
    """Return what the most similar studies in the storage showed, without the named one; the most similar
    first.

    They are of one family of models, processor and backend, with the same kind of first objective.
    """
    return _first(storage, spec, _ranked(storage, spec, but))


def recorded_studies(storage: Storage, spec: StudySpec, priors: Sequence[Prior]) -> tuple[Earlier, ...]:
    """Return the earlier studies recorded with a study, as far as they are still stored."""
    names = set(storage.study_names())
    return _first(storage, spec, ((one.study, one.similarity) for one in priors if one.study in names))


def priors_of(earlier: Iterable[Earlier]) -> tuple[Prior, ...]:
    """Return what a study records of its earlier studies."""
    return tuple(Prior(one.name, one.similarity, len(one.observations)) for one in earlier)


def relevance(spec: StudySpec, other: StudySpec) -> float:
    """Return how relevant the other study is to this one, from 0 to 1."""
    first, second = spec.objectives[0].metric, other.objectives[0].metric
    same_kind = first == second or second in _of_one_family(first)
    same_place = spec.backend == other.backend and _processor(spec.machine) == _processor(other.machine)
    shared = {one.name for one in spec.space} & {one.name for one in other.space}
    if not (same_kind and same_place and shared and are_of_one_family(spec.workload, other.workload)):
        return 0.0
    versions = [(machine_identity(one.machine), one.backend_options) for one in (spec, other)]
    return similarity(spec.workload, other.workload) * (1.0 if versions[0] == versions[1] else OTHER_VERSIONS)


def _of_one_family(name: str) -> tuple[str, ...]:
    """Return the metrics that rank candidates as this one does."""
    family = METRICS[name].family if name in METRICS else None
    return names_where(lambda metric: family is not None and metric.family == family)


def _ranked(storage: Storage, spec: StudySpec, but: str | None) -> Iterator[tuple[str, float]]:
    """Return names and relevance, the most relevant first; of several studies of one workload the largest."""
    found: list[tuple[float, int, int, str, Workload]] = []
    for age, one in enumerate(reversed(storage.summaries())):
        if one.name != but and one.backend == spec.backend and one.trials >= FEWEST_OBSERVATIONS:
            other = storage.find_spec(one.name)
            assert other is not None
            alike = relevance(spec, other)
            if alike >= LEAST_SIMILARITY:
                found.append((-alike, -one.trials, age, one.name, other.workload))
    seen: list[object] = []
    for alike, _, _, name, workload in sorted(found, key=lambda entry: entry[:3]):
        if _measured(workload) not in seen:
            seen.append(_measured(workload))
            yield name, -alike


def _first(storage: Storage, spec: StudySpec, ranked: Iterable[tuple[str, float]]) -> tuple[Earlier, ...]:
    """Return the first informative studies, as long as there is room."""
    found: list[Earlier] = []
    room = MOST_TOGETHER
    for name, alike in ranked:
        if len(found) == MOST_STUDIES or room < FEWEST_OBSERVATIONS:
            break
        earlier = _read(storage, spec, name, alike, min(room, MOST_OBSERVATIONS))
        if earlier is not None:
            found.append(earlier)
            room -= len(earlier.observations)
    return tuple(found)


def _read(storage: Storage, spec: StudySpec, name: str, alike: float, most: int) -> Earlier | None:
    """Return the study in this study's space and objectives; None if it is not informative."""
    other = storage.find_spec(name)
    assert other is not None
    same = _measured(other.workload) == _measured(spec.workload)
    # the distance of a time from its limit depends on the model
    comparable = [same or one.metric in accuracy_metrics() for one in spec.constraints]
    found = taken_over(
        [
            observation_of(trial, spec)
            for trial in _trials(storage, spec, name)
            if not trial.number or _tells(trial)
        ],
        spec.space,
        spec.baseline,
        [one.direction for one in spec.objectives],
        comparable,
        most,
    )
    return Earlier(name, alike, found) if found else None


def _trials(storage: Storage, spec: StudySpec, name: str) -> tuple[TrialRecord, ...]:
    """Return the trials of a study that are worth reading, with the metrics that count here."""
    metrics = {one.metric for one in spec.objectives} | {one.metric for one in spec.constraints}
    finished = storage.finished(name)
    places = worth_reading([one.candidate for one in finished], spec.space, spec.baseline, MOST_READ)
    numbers = [finished[place].number for place in places]
    return storage.read_trials(name, numbers, spec.constraints, metrics)


def _tells(trial: TrialRecord) -> bool:
    return trial.failure is None or trial.failure.kind not in ACCIDENTS


def _measured(workload: Workload) -> object:
    return workload.model.digest, workload.plan.ranges


def _processor(machine: Machine) -> object:
    return machine.kind, machine.processor, machine.cores


SIZE_EXPONENT = 1 / 8
# ResNets of any depth are above 0.99; MobileNetV3 is at 0.95 with EfficientNet and with ResNet-50, and
# studies of the one made searches of the others slower
LEAST_OVERLAP = 0.97
# these take almost no time in an engine, and exporters differ in how many they write
FREE = frozenset(
    {
        "BatchNormalization",
        "Cast",
        "Constant",
        "ConstantOfShape",
        "Dropout",
        "Flatten",
        "Identity",
        "Reshape",
        "Shape",
        "Squeeze",
        "Unsqueeze",
    }
)
# engines use the same kernels for them, or fuse them with the product before
ALIKE = {
    "Gemm": "MatMul",
    **dict.fromkeys(
        ("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Sigmoid", "Tanh"), "Relu"
    ),
}


def similarity(one: Workload, other: Workload) -> float:
    """Return from 0 (nothing in common) to 1 (the same model at the same shapes); symmetric."""
    sizes = _ratio(one.model.parameters, other.model.parameters) * _ratio(_elements(one), _elements(other))
    return min(1.0, _overlap(_counts(one), _counts(other)) * math.pow(sizes, SIZE_EXPONENT))


def are_of_one_family(one: Workload, other: Workload) -> bool:
    """Return whether they have the same architecture, with other weights, depths, widths or shapes."""
    return _overlap(_counts(one), _counts(other)) >= LEAST_OVERLAP


def _counts(workload: Workload) -> Mapping[str, int]:
    """Count operators by their role in an engine; all of them if none takes time."""
    operators = workload.model.operators
    counts: Counter[str] = Counter()
    for name, count in operators.items():
        if name not in FREE:
            counts[ALIKE.get(name, name)] += count
    return counts or operators


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    both = sum(math.sqrt(count * other[name]) for name, count in one.items() if name in other)
    return both / math.sqrt(sum(one.values()) * sum(other.values()))


def _elements(workload: Workload) -> int:
    return sum(math.prod(shapes.optimum) for shapes in workload.plan.ranges.values())


def _ratio(one: int, other: int) -> float:
    """Return the smaller divided by the larger; a model may have no weights."""
    return (min(one, other) + 1) / (max(one, other) + 1)
