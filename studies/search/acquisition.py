"""Compute what a candidate is worth trying: its expected improvement.

The expected improvement is J. Mockus's; of two objectives the expected growth of the hypervolume, exact for
independent normal distributions: a sum over the strips between the points of the front (K. Yang and others,
Journal of Global Optimization 75, 2019).
"""

import math
from collections.abc import Sequence

import numpy as np

from engines.statistics.distributions import normal_cdf
from studies.search.encoding import Matrix
from studies.search.surrogate import Posterior, Vector

AUGMENTATION = 0.05
SMALLEST_RANGE = 1e-6
DRAWS = 64


def below(limit: float, found: Posterior) -> Vector:
    """Return how far below the limit each candidate is expected to be, counting values above as zero."""
    deviation = found.deviation
    distance = (limit - found.mean) / deviation
    density = np.exp(-(distance**2) / 2) / math.sqrt(2 * math.pi)
    return np.maximum(deviation * (distance * normal_cdf(distance) + density), 0.0)


def chance_below(limit: float, found: Posterior) -> Vector:
    """Return the probability of being below the limit."""
    return normal_cdf((limit - found.mean) / found.deviation)


def hypervolume_growth(front: Matrix, limits: Vector, one: Posterior, other: Posterior) -> Vector:
    """Return the area between front and limits that each candidate is expected to add.

    `front` has a row for each point, none of which beats another, in the order of the first objective.
    """
    starts = np.concatenate([[-math.inf], front[:, 0]])
    ends = np.concatenate([front[:, 0], [limits[0]]])
    heights = np.concatenate([[limits[1]], front[:, 1]])
    grown = np.zeros(len(one.mean))
    for start, end, height in zip(starts, ends, heights, strict=True):
        width = below(end, one) - (below(start, one) if math.isfinite(start) else 0.0)
        grown += width * below(height, other)
    return grown


def scalarized_growth(feasible: Matrix, found: Sequence[Posterior], random: np.random.Generator) -> Vector:
    """Return the expected improvement of each candidate for one random weighting of the objectives.

    The augmented Chebyshev norm of J. Knowles' ParEGO (IEEE Trans. Evolutionary Computation 10, 2006), each
    objective by the range that the feasible trials have in it; the expectation is a mean over draws.
    """
    least = feasible.min(axis=0)
    ranges = np.maximum(feasible.max(axis=0) - least, SMALLEST_RANGE)
    weights = random.dirichlet(np.ones(len(found))) / ranges

    def cost(values: Matrix) -> Vector:
        apart = weights * (values - least)
        return np.asarray(apart.max(axis=-1) + AUGMENTATION * apart.sum(axis=-1))

    drawn = [one.mean + one.deviation * random.standard_normal((DRAWS, len(one.mean))) for one in found]
    gains = np.maximum(cost(feasible).min() - cost(np.stack(drawn, axis=-1)), 0.0)
    return np.asarray(gains.mean(axis=0))


def front_of(values: Matrix) -> Matrix:
    """Return the points that no other beats in both objectives, in the order of the first."""
    found: list[Vector] = []
    for point in values[np.lexsort((values[:, 1], values[:, 0]))]:
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return np.array(found).reshape(-1, 2)
