"""Track which pairs of choices were tried together, and which choices never worked.

A constraint that a choice missed with one graph may be met with another: the kernels of a profile may be
wrong in one precision only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.search.encoding import IDLE, Codes, Encoding
from studies.search.surrogate import Vector

# a choice that never met the constraints, with so many choices of another dimension, is blamed
BLAMED = 3


class Pairs:
    """Pairs of a graph choice and an engine choice that no trial had yet.

    Each choice is a column; the columns of the dimensions follow each other.
    """

    def __init__(self, encoding: Encoding) -> None:
        sizes = [len(one.choices) + 1 for one in encoding.searched]
        self._starts = np.cumsum([0, *sizes])[:-1]
        dimensions = np.repeat(np.arange(len(sizes)), sizes)
        self._of_dimension = dimensions[:, None] == np.arange(len(sizes))
        kinds = np.array([one.kind for one in encoding.searched], dtype=str)[dimensions]
        means_something = np.concatenate([np.arange(size) > IDLE for size in sizes] or [np.zeros(0, bool)])
        self._crossing = np.outer(means_something & (kinds == "graph"), means_something & (kinds == "build"))
        self._tried = np.zeros_like(self._crossing)
        self._missed = np.zeros_like(self._crossing)
        self._kept = np.zeros(len(dimensions), dtype=bool)

    def add(self, row: Sequence[int], *, kept: bool) -> None:
        """Record a trial, and whether it met every constraint."""
        columns = self._starts + np.array(row, dtype=np.int64)
        together = np.ix_(columns, columns)
        self._tried[together] = True
        if kept:
            self._kept[columns] = True
        else:
            self._missed[together] = True

    def are_new(self, rows: Codes) -> NDArray[np.bool_]:
        """Return which candidates have an untried pair of choices that are not known to fail by
        themselves.
        """
        new = self._crossing & ~self._tried
        blamed = self._blamed()
        new[blamed], new[:, blamed] = False, False
        features = np.zeros((len(rows), len(new)))
        np.put_along_axis(features, rows + self._starts, 1.0, axis=1)
        return np.asarray(((features @ new) * features).any(axis=1))

    def _blamed(self) -> NDArray[np.bool_]:
        beside = self._missed & (self._crossing | self._crossing.T)
        partners = beside.astype(np.int64) @ self._of_dimension.astype(np.int64)
        return np.asarray(~self._kept & (partners >= BLAMED).any(axis=1))


# fewer failures may be caused by other choices
FEWEST = 3


class NeverWorked:
    """Estimate the probability that a candidate's choices work at all.

    Half of the failures are assumed to be permanent. The other half fails with an unknown probability (a
    uniform prior), so after n failures and no success the next trial works with probability 1 / (n + 2)^2.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._failures = [np.zeros(len(one.choices) + 1) for one in encoding.searched]
        self._worked = [np.arange(len(one.choices) + 1) == IDLE for one in encoding.searched]

    def add(self, row: Sequence[int], *, worked: bool) -> None:
        """Record a trial."""
        for place, code in enumerate(row):
            self._failures[place][code] += not worked
            self._worked[place][code] |= worked

    def chance(self, rows: Codes) -> Vector:
        """Return the probability by the choice that failed most often and never worked; 1 if there is
        none.
        """
        counts = [
            np.where(worked | (failures < FEWEST), -1, failures)[rows[:, place]]
            for place, (failures, worked) in enumerate(zip(self._failures, self._worked, strict=True))
        ]
        most = np.max(np.stack([np.full(len(rows), -1.0), *counts]), axis=0)
        return np.asarray(1 / (most + 2) ** 2)
