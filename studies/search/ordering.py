"""What a search tries first: what the vendors' pages on performance advise, all of it together.

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

# instead of which defaults what is advised; fewer than 16 bits need calibration and cost accuracy
ADVISED: Mapping[str, tuple[tuple[Value, ...], tuple[Value, ...]]] = {
    "precision": (("tf32", "fp32"), ("fp16", "bf16")),
    "profile": (("wide", "narrow"), ("static",)),
    "cuda_graph": ((False,), (True,)),
}
# a code for each place in a row that something is advised for
Part = Mapping[int, int]


class Advice:
    """What is advised for some objectives, and is still to be tried; nothing for one that is no speed."""

    def __init__(self, encoding: Encoding, metrics: Sequence[str]) -> None:
        self._all = [codes for metric in metrics for codes in _advised(encoding, metric)]
        self.left = list(self._all)

    def mark_tried(self, row: Sequence[int], *, works: bool) -> None:
        """Takes a candidate; one that does not work says nothing of a part of what it has of the advice."""
        matching = [codes for codes in self._all if all(row[place] == code for place, code in codes.items())]
        tried = matching if works else matching[:1]
        self.left = [codes for codes in self.left if codes not in tried]


def _advised(encoding: Encoding, metric: str) -> list[Part]:
    """What comes first first: for throughput with the largest batch, then without in case it does not fit."""
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
    """Those that are advised instead of the default."""
    defaults, choices = ADVISED.get(dimension.name, ((), ()))
    return [one for one in choices if one in dimension.choices] if dimension.default in defaults else []


def _codes(dimension: Dimension, choices: Sequence[Value]) -> list[int]:
    return [1 + dimension.choices.index(choice) for choice in choices]


def _products(choices: Mapping[int, Sequence[int]]) -> list[Part]:
    """Every combination of one code for each place that has any."""
    some = {place: codes for place, codes in choices.items() if codes}
    return [dict(zip(some, codes, strict=True)) for codes in itertools.product(*some.values())]


# how many nodes of a lowered graph stay in FP32
BUYING = "keep_fp32"


class Sparing:
    """Graphs that a search for speed can do without; none for a search that has another objective too."""

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
        """Takes a trial, and whether it kept every constraint.

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
