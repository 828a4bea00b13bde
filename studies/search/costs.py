"""Predict the seconds that a candidate costs: making its graph and engine, unless they exist, and running
it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.core.values import DimensionKind
from studies.search.encoding import Codes, Encoding
from studies.search.observations import Observation
from studies.search.surrogate import Beliefs, Surrogate, Vector, data_of

# logarithms, since seconds differ by factors
BELIEFS = Beliefs(effect=0.5**2, rest=0.2**2)
NOISE = 0.1**2
SHORTEST_SECONDS = 1e-3
# seconds assumed before any trial
USUAL = {"graph": 1.0, "build": 1.0, "run": 1.0}
# where a trial fails that does not have it
BEFORE: Mapping[str, tuple[str, ...]] = {"graph": ("graph",), "build": ("graph", "prepare", "wait", "build")}
# the kinds of dimensions that decide each
DECIDING: Mapping[str, tuple[DimensionKind, ...]] = {"graph": ("graph",), "build": ("graph", "build")}


class Costs:
    """Learn seconds from trials, and predict them for candidates given as rows."""

    def __init__(self, encoding: Encoding) -> None:
        self._making = {stage: _Making(encoding, encoding.places(kinds)) for stage, kinds in DECIDING.items()}
        self._first_loads: list[float] = []
        self._later_loads: list[float] = []
        self._running: list[float] = []

    def add(self, row: Sequence[int], observation: Observation) -> None:
        """Record the seconds of a trial; its graph and engine count as made from now on."""
        seconds = dict(observation.seconds)
        if (load := seconds.pop("load", None)) is not None:
            known = self._making["build"].is_made(np.array([row]))[0]
            (self._later_loads if known else self._first_loads).append(load)
        for stage, making in self._making.items():
            making.add(row, seconds.pop(stage, None), is_made=observation.failed not in BEFORE[stage])
        if seconds:
            self._running.append(sum(seconds.values()))

    @property
    def running(self) -> float:
        """Return the seconds of a trial other than making its graph and engine and loading it."""
        return float(np.mean(self._running)) if self._running else USUAL["run"]

    def predict(self, rows: Codes) -> Vector:
        """Return the seconds of each candidate."""
        total = self.running + self._loading(rows)
        for making in self._making.values():
            total += making.predict(rows)
        return np.asarray(np.maximum(total, SHORTEST_SECONDS))

    def _loading(self, rows: Codes) -> Vector:
        """Return the seconds of the first load, when an engine may compile its kernels."""
        first, later = self._first_loads, self._later_loads
        again = np.mean(later or first) if first or later else 0.0
        return np.where(self._making["build"].is_made(rows), again, np.mean(first) if first else again)


class _Making:
    """Seconds to make a graph or an engine that does not exist yet."""

    def __init__(self, encoding: Encoding, places: Codes) -> None:
        self._places = places
        self._surrogate = Surrogate(tuple(encoding.factors[place] for place in self._places), BELIEFS)
        self._made: set[tuple[int, ...]] = set()
        self._rows: list[tuple[int, ...]] = []
        self._logs: list[float] = []
        self._learnt = 0

    def add(self, row: Sequence[int], seconds: float | None, *, is_made: bool) -> None:
        part = tuple(int(row[place]) for place in self._places)
        if seconds is not None and part not in self._made:
            self._rows.append(part)
            self._logs.append(float(np.log(max(seconds, SHORTEST_SECONDS))))
        if is_made:
            self._made.add(part)

    def is_made(self, rows: Codes) -> NDArray[np.bool_]:
        return np.array([tuple(part) in self._made for part in rows[:, self._places].tolist()], dtype=bool)

    def predict(self, rows: Codes) -> Vector:
        if not self._logs:
            return np.zeros(len(rows))
        parts, places = np.unique(rows[:, self._places], axis=0, return_inverse=True)
        level = float(np.mean(self._logs))
        self._learn(level)
        # a mean of logarithms is a median, and half the variance is what lies between it and the mean
        found = self._surrogate.predict(parts)
        seconds = np.exp(level + found.mean + np.minimum(found.variance / 2, 1.0))
        seconds[[tuple(part) in self._made for part in parts.tolist()]] = 0.0
        return np.asarray(seconds[places.ravel()])

    def _learn(self, level: float) -> None:
        if self._learnt == len(self._logs):
            return
        self._learnt = len(self._logs)
        count = len(self._logs)
        rows = np.array(self._rows).reshape(count, -1)
        self._surrogate.learn(data_of(rows, np.array(self._logs) - level, np.full(count, NOISE)))
