"""What a landscape says of each candidate once all its runs are known: the truth that a search is held to."""

import math

import numpy as np
from numpy.typing import NDArray

from engines.landscapes import Landscape, Run, evaluation_of
from engines.statistics import TIMINGS


def truths(landscape: Landscape, metric: str | None = None) -> tuple[float | None, ...]:
    """The value of each candidate: the mean logarithm of its runs, each freed of the level of its pass.

    In the metric's unit, at the level of the first pass; None for what was never measured. The metric is the
    objective unless another of `engines.statistics.TIMINGS` is named.
    """
    values = [(run, value_of(landscape, run, metric)) for run in landscape.runs]
    known = [(run.candidate, run.round, math.log(value)) for run, value in values if value]
    count = len(landscape.points)
    if not known:
        return (None,) * count
    candidates, rounds, logs = (np.array(column) for column in zip(*known, strict=True))
    freed = logs - pass_levels(candidates, rounds, logs)[rounds]
    runs = np.bincount(candidates, minlength=count)
    sums = np.bincount(candidates, weights=freed, minlength=count)
    return tuple(math.exp(total / times) if times else None for total, times in zip(sums, runs, strict=True))


def value_of(landscape: Landscape, run: Run, metric: str | None = None) -> float | None:
    """What one run shows; None where it failed."""
    measurement = evaluation_of(landscape, run).measurement
    if measurement is None:
        return None
    found = TIMINGS[metric or landscape.objective].of(measurement)
    return found.value if found is not None and found.value > 0 else None


def pass_levels(
    candidates: NDArray[np.int64], rounds: NDArray[np.int64], logs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The level of each pass against the first, as a logarithm: from what runs of a candidate differ by.

    Least squares for log(value) = candidate + pass, the candidates' means taken out beforehand.
    """
    passes = np.eye(int(rounds.max()) + 1)[rounds]
    runs = np.bincount(candidates)[candidates]

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values - np.bincount(candidates, weights=values)[candidates] / runs

    design = np.stack([centred(column) for column in passes.T], axis=1)
    levels = np.asarray(np.linalg.lstsq(design, centred(logs), rcond=None)[0], dtype=np.float64)
    return np.asarray(levels - levels[0])
