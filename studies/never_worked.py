"""Choices that failed in every trial that had them, such as a type that overflows in every engine."""

from collections.abc import Sequence

import numpy as np

from studies.encoding import IDLE, Codes, Encoding
from studies.surrogate import Vector

# fewer failures may be those of other choices
FEWEST = 3


class NeverWorked:
    """Says how likely it is that a candidate's choices work at all.

    Half of what fails is taken to fail always, and the other half in a share of cases of which nothing is
    known (a uniform prior). After n failures and no success the next then works with a probability of
    1 / (n + 2)^2.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._failures = [np.zeros(len(one.choices) + 1) for one in encoding.searched]
        self._worked = [np.arange(len(one.choices) + 1) == IDLE for one in encoding.searched]

    def add(self, row: Sequence[int], *, worked: bool) -> None:
        """Takes a trial."""
        for place, code in enumerate(row):
            self._failures[place][code] += not worked
            self._worked[place][code] |= worked

    def chance(self, rows: Codes) -> Vector:
        """By the choice that failed most often and never worked; 1 where there is none."""
        counts = [
            np.where(worked | (failures < FEWEST), -1, failures)[rows[:, place]]
            for place, (failures, worked) in enumerate(zip(self._failures, self._worked, strict=True))
        ]
        most = np.max(np.stack([np.full(len(rows), -1.0), *counts]), axis=0)
        return np.asarray(1 / (most + 2) ** 2)
