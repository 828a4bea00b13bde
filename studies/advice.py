"""What a search tries first: what the vendors' pages on performance advise, all of it together.

"Optimizing TensorRT Performance" and "Optimizing TensorRT-RTX Performance": lower precision, shapes that are
known when the engine is built, CUDA graphs, and batching for throughput.
"""

import itertools
from collections.abc import Mapping, Sequence

from engines.values import Dimension, Value
from studies.encoding import Encoding
from studies.metrics import SPEED_METRICS

# instead of which defaults what is advised; fewer than 16 bits need calibration and cost accuracy
ADVISED: Mapping[str, tuple[tuple[Value, ...], tuple[Value, ...]]] = {
    "precision": (("tf32", "fp32"), ("fp16", "bf16")),
    "profile": (("wide", "narrow"), ("static",)),
    "cuda_graph": ((False,), (True,)),
}
BATCHED = "throughput"
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
    if metric not in SPEED_METRICS:
        return []
    dimensions = list(enumerate(encoding.searched))
    choices = {place: _codes(one, _choices(one)) for place, one in dimensions}
    batches = {
        place: _codes(one, [max(one.choices, key=float)])
        for place, one in dimensions
        if one.name == "batch" and metric == BATCHED
    }
    found = [*_products({**choices, **batches}), *_products(choices)]
    return [codes for number, codes in enumerate(found) if codes and codes not in found[:number]]


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
