"""Compute the true value of each candidate of a landscape from all its runs, to judge searches."""

import math

import numpy as np
from numpy.typing import NDArray

from engines.landscapes.file import Landscape, Run, evaluation_of
from engines.statistics.metrics import METRICS

POLISHES = 10


def truths(landscape: Landscape, metric: str | None = None) -> tuple[float | None, ...]:
    """The value of each candidate: the median logarithm of its runs, each freed of the level of its pass.

    In the metric's unit, at the level of the first pass; None for what was never measured. The metric is the
    objective unless another of `engines.statistics.metrics.METRICS` is named. Single runs may have been
    disturbed.
    """
    values = [(run, value_of(landscape, run, metric)) for run in landscape.runs]
    known = [(run.candidate, run.round, math.log(value)) for run, value in values if value]
    count = len(landscape.points)
    if not known:
        return (None,) * count
    candidates, rounds, logs = (np.array(column) for column in zip(*known, strict=True))
    centres = centres_of(candidates, rounds, logs, count)
    return tuple(None if math.isnan(centre) else math.exp(centre) for centre in centres.tolist())


def centres_of(
    candidates: NDArray[np.int64], rounds: NDArray[np.int64], logs: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The median of each of `count` candidates over its runs, freed of their passes' levels; else nan."""
    return _medians(candidates, logs - pass_levels(candidates, rounds, logs)[rounds], count)


def value_of(landscape: Landscape, run: Run, metric: str | None = None) -> float | None:
    """Return the value of one run; None if it failed."""
    evaluation = evaluation_of(landscape, run)
    if evaluation.measurement is None:
        return None
    found = METRICS[metric or landscape.objective].of(evaluation)
    return found.value if found is not None and found.value > 0 else None


def pass_levels(
    candidates: NDArray[np.int64], rounds: NDArray[np.int64], logs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The level of each pass against the first, as a logarithm: from what runs of a candidate differ by.

    Median polish (J. W. Tukey, Exploratory Data Analysis, 1977) for log(value) = candidate + pass.
    """
    passes = int(rounds.max()) + 1
    levels = np.zeros(passes)
    several = np.bincount(candidates)[candidates] > 1
    for _ in range(POLISHES):
        centres = _medians(candidates, logs - levels[rounds], int(candidates.max()) + 1)
        apart = (logs - centres[candidates])[several]
        levels = np.nan_to_num(_medians(rounds[several], apart, passes))
    return np.asarray(levels - levels[0])


def _medians(groups: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the median of each group, NaN for an empty one."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(1, count))
    parts = np.split(values[order], starts)
    return np.array([np.median(part) if len(part) else math.nan for part in parts])
