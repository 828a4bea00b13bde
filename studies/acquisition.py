"""What trying a candidate is worth: the improvement that can be expected of it.

The expected improvement is J. Mockus's; of two objectives the expected growth of the hypervolume, exact for
independent normal distributions: a sum over the strips between the points of the front (K. Yang and others,
Journal of Global Optimization 75, 2019).
"""

import math

import numpy as np

from engines.distributions import normal_cdf
from studies.encoding import Matrix
from studies.surrogate import Posterior, Vector


def below(limit: float, found: Posterior) -> Vector:
    """How far below the limit each candidate is expected to be, counting nothing for those above."""
    deviation = found.deviation
    distance = (limit - found.mean) / deviation
    density = np.exp(-(distance**2) / 2) / math.sqrt(2 * math.pi)
    return np.maximum(deviation * (distance * normal_cdf(distance) + density), 0.0)


def chance_below(limit: float, found: Posterior) -> Vector:
    """The probability of being below the limit."""
    return normal_cdf((limit - found.mean) / found.deviation)


def hypervolume_growth(front: Matrix, limits: Vector, one: Posterior, other: Posterior) -> Vector:
    """How much of the area between front and limits each candidate is expected to add.

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


def front_of(values: Matrix) -> Matrix:
    """The points that no other beats in both objectives, in the order of the first."""
    found: list[Vector] = []
    for point in values[np.lexsort((values[:, 1], values[:, 0]))]:
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return np.array(found).reshape(-1, 2)
