"""How much one model's study tells of another model: alike operators, alike sizes.

similarity = operators * (parameters * elements) ** (1 / 8)

`operators` is the Bhattacharyya coefficient of the two histograms, the sum of the roots of the products of
their shares: 1 for the same mix, 0 where no operator is in both. The one operator that is most frequent does
not rule it, as it rules a cosine. Where it is low they are different architectures, which choices suit
differently, however alike their sizes. `parameters` and `elements` (numbers in the inputs at the shapes to be
fastest at, batch included) are the smaller by the larger, so that sizes count on a logarithmic scale: a
factor of 10 in one of them costs a quarter.
"""

import math
from collections import Counter
from collections.abc import Mapping

from engines.core.values import Workload

SIZE_EXPONENT = 1 / 8
# ResNets of any depth are above 0.99; MobileNetV3 is at 0.95 with EfficientNet and with ResNet-50, and
# studies of the one made searches of the others slower
LEAST_OVERLAP = 0.97
# they take no time in an engine, or next to none, and exporters differ in how many they write
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
# engines make the same kernels of them, or append them to the product before
ALIKE = {
    "Gemm": "MatMul",
    **dict.fromkeys(
        ("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Sigmoid", "Tanh"), "Relu"
    ),
}


def similarity(one: Workload, other: Workload) -> float:
    """From 0 (nothing in common) to 1 (the same model at the same shapes), either way round."""
    sizes = _ratio(one.model.parameters, other.model.parameters) * _ratio(_elements(one), _elements(other))
    return min(1.0, _overlap(_counts(one), _counts(other)) * math.pow(sizes, SIZE_EXPONENT))


def are_of_one_family(one: Workload, other: Workload) -> bool:
    """Whether they are one architecture: of other weights, depths, widths or shapes."""
    return _overlap(_counts(one), _counts(other)) >= LEAST_OVERLAP


def _counts(workload: Workload) -> Mapping[str, int]:
    """Operators by what they are to an engine; all of them where none takes time."""
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
    """The smaller by the larger; a model may have no weights."""
    return (min(one, other) + 1) / (max(one, other) + 1)
