"""Choose what a search tries first: the combinations that the vendors' performance guides recommend.

"Optimizing TensorRT Performance" and "Optimizing TensorRT-RTX Performance": lower precision, shapes that are
known when the engine is built, CUDA graphs, and batching for throughput.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.core.values import Dimension, Value
from studies.core.metrics import METRICS, names_where
from studies.search.encoding import IDLE, Encoding

# recommended choices by the default that they replace; below 16 bits needs calibration and costs accuracy
ADVISED: Mapping[str, tuple[tuple[Value, ...], tuple[Value, ...]]] = {
    "precision": (("tf32", "fp32"), ("fp16", "bf16")),
    "profile": (("wide", "narrow"), ("static",)),
    "cuda_graph": ((False,), (True,)),
}
# a code for each place in a row that has a recommended choice
Part = Mapping[int, int]


class Advice:
    """The recommended combinations for some objectives that are still to be tried; empty unless an objective
    is a speed.
    """

    def __init__(self, encoding: Encoding, metrics: Sequence[str]) -> None:
        self._all = [codes for metric in metrics for codes in _advised(encoding, metric)]
        self.left = list(self._all)

    def mark_tried(self, row: Sequence[int], *, works: bool) -> None:
        """Record a tried candidate; one that failed says nothing about the parts of the advice that it
        contains.
        """
        matching = [codes for codes in self._all if all(row[place] == code for place, code in codes.items())]
        tried = matching if works else matching[:1]
        self.left = [codes for codes in self.left if codes not in tried]


def _advised(encoding: Encoding, metric: str) -> list[Part]:
    """List the combinations, best first: for throughput with the largest batch, then without it in case it
    does not fit.
    """
    if metric not in _speed_metrics():
        return []
    dimensions = list(enumerate(encoding.searched))
    choices = {place: _codes(one, _choices(one)) for place, one in dimensions}
    batches = {
        place: _codes(one, [max(one.choices, key=float)])
        for place, one in dimensions
        if one.name == "batch" and METRICS[metric].concurrent
    }
    found = [*_products({**choices, **batches}), *_products(choices)]
    return [codes for number, codes in enumerate(found) if codes and codes not in found[:number]]


def _speed_metrics() -> tuple[str, ...]:
    return names_where(lambda metric: metric.speed)


def _choices(dimension: Dimension) -> list[Value]:
    """Return the recommended choices that replace a default."""
    defaults, choices = ADVISED.get(dimension.name, ((), ()))
    return [one for one in choices if one in dimension.choices] if dimension.default in defaults else []


def _codes(dimension: Dimension, choices: Sequence[Value]) -> list[int]:
    return [1 + dimension.choices.index(choice) for choice in choices]


def _products(choices: Mapping[int, Sequence[int]]) -> list[Part]:
    """Return every combination of one code for each place that has any."""
    some = {place: codes for place, codes in choices.items() if codes}
    return [dict(zip(some, codes, strict=True)) for codes in itertools.product(*some.values())]


# how many nodes of a lowered graph stay in FP32
BUYING = "keep_fp32"


class Sparing:
    """Try graphs that keep more nodes in FP32 last: once a cheaper graph meets the constraints, extra FP32
    nodes cannot make it faster.

    Empty for a search that also has an objective other than speed.
    """

    def __init__(self, encoding: Encoding, metrics: Sequence[str]) -> None:
        self.places: NDArray[np.int64] = encoding.places(("graph",))
        is_for_speed = bool(metrics) and set(metrics) <= set(_speed_metrics())
        self._nodes = {
            place: [float(choice) for choice in one.choices]
            for place, one in enumerate(encoding.searched)
            if one.name == BUYING and is_for_speed
        }
        self._is_enough: dict[tuple[int, ...], bool] = {}

    def learn(self, row: Sequence[int], *, kept: bool) -> Iterator[tuple[list[int], bool]]:
        """Record a trial, and whether it met every constraint.

        Yields each graph that keeps more nodes, and whether one that keeps fewer was enough in every build.
        """
        graph = self._graph(row)
        self._is_enough[graph] = kept and self._is_enough.get(graph, True)
        for place, counts in self._nodes.items():
            if row[place] == IDLE:
                continue
            rows = {count: [*row[:place], code, *row[place + 1 :]] for code, count in enumerate(counts, 1)}
            for count in counts:
                if count > counts[row[place] - 1]:
                    fewer = [other for many, other in rows.items() if many < count]
                    yield rows[count], any(self._is_enough.get(self._graph(other)) for other in fewer)

    def _graph(self, row: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(row[place]) for place in self.places)
