"""What was recorded of each candidate: a place of a landscape, with its runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.core.values import Candidate, Stage

Floats = NDArray[np.float64]
EXACT: Floats = np.empty(0)


class Series(NamedTuple):
    """A metric in one run: its value, and each block's deviation as a logarithm; none where it is exact."""

    value: float
    deviations: Floats = EXACT


@dataclass(frozen=True, eq=False)
class Run:
    """One measurement of a candidate, or its failure; `seconds` but for making the graph and the engine."""

    metrics: Mapping[str, Series] = field(default_factory=dict)
    failed: Stage | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Place:
    """A candidate with its runs; `graph` and `engine` say which ones it needs."""

    candidate: Candidate
    graph: int
    engine: int
    runs: tuple[Run, ...]
