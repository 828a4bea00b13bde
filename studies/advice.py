"""What a search tries first: what the vendors' pages on performance advise, all of it together.

"Optimizing TensorRT Performance" and "Optimizing TensorRT-RTX Performance": lower precision, shapes that are
known when the engine is built, CUDA graphs, and batching for throughput.
"""

from collections.abc import Iterator, Mapping

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


def advised(encoding: Encoding, metric: str) -> list[dict[int, int]]:
    """Codes by their places in a row, the first first; nothing for a metric that is no speed."""
    if metric not in SPEED_METRICS:
        return []
    found: list[dict[int, int]] = [{}]
    for place, dimension in enumerate(encoding.searched):
        codes = [1 + dimension.choices.index(choice) for choice in _choices(dimension, metric)]
        found = [{**one, place: code} for one in found for code in codes] or found
    return [one for one in found if one]


def _choices(dimension: Dimension, metric: str) -> Iterator[Value]:
    """Those that are advised instead of the default."""
    if metric == BATCHED and dimension.name == "batch":
        yield max(dimension.choices, key=float)
    defaults, choices = ADVISED.get(dimension.name, ((), ()))
    if dimension.default in defaults:
        yield from (choice for choice in choices if choice in dimension.choices)
