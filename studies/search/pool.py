"""The candidates that a search may still suggest."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from studies.core import space as spaces
from studies.core.space import Point
from studies.search.encoding import IDLE, Codes, Encoding

# a larger space is not listed: candidates are drawn at random and near the best
MOST_LISTED = 50_000
# number of draws that decide whether any candidate is left
ENOUGH = 1_000
DRAWS = 20
# some places of a row, and the codes there
_Part = tuple[tuple[int, ...], tuple[int, ...]]


class Pool:
    """Candidates as rows, without those that were seen or cannot be made.

    Postponed candidates come when nothing else is left.
    """

    def __init__(
        self, encoding: Encoding, random: np.random.Generator, listed: Sequence[Point] | None = None
    ) -> None:
        self._encoding, self._random = encoding, random
        self._seen: set[tuple[int, ...]] = set()
        self._forbidden: list[_Part] = []
        self._postponed: list[_Part] = []
        self._is_resumed = False
        self._kept: dict[int, int] = {}
        self._rows: Codes | None = None
        self._spare: Codes = np.zeros((0, len(encoding.searched)), dtype=np.int64)
        if listed is not None:
            self._rows = np.unique(encoding.rows(listed), axis=0)
        elif encoding.raw_size <= MOST_LISTED:
            self._rows = encoding.every()
        self._later: Codes = self._spare

    @property
    def is_listed(self) -> bool:
        """Return whether all candidates are known one by one."""
        return self._rows is not None

    @property
    def is_exhausted(self) -> bool:
        """Return whether there is no candidate left."""
        if self._rows is None:
            self._spare = self._drawn(ENOUGH)
        self._resume()
        return not len(self._spare if self._rows is None else self._rows)

    def mark_seen(self, row: Sequence[int]) -> None:
        """Never suggest this candidate again."""
        seen = self._merged(row)
        self._seen.add(seen)
        if self._rows is not None:
            self._rows = self._rows[(self._rows != np.array(seen)).any(axis=1)]

    def forbid(self, row: Sequence[int], places: NDArray[np.int64]) -> None:
        """Exclude all candidates that have the row's choices in all these places: they cannot be made."""
        self._forbidden.append(_part(row, places))
        if self._rows is not None:
            self._rows = self._possible(self._rows)

    def postpone(self, row: Sequence[int], places: NDArray[np.int64], *, waits: bool = True) -> None:
        """Set whether candidates with the row's choices in all these places wait until nothing else is
        left.
        """
        part = _part(row, places)
        if self._is_resumed or waits == (part in self._postponed):
            return
        if waits:
            self._postponed.append(part)
        else:
            self._postponed.remove(part)
        if self._rows is not None:
            rows = np.concatenate([self._rows, self._later])
            late = _have(rows, self._postponed)
            self._rows, self._later = self._left(rows[~late]), rows[late]

    def leave_out(self, place: int, code: int) -> None:
        """Fix the dimension to this choice: candidates that differ in it alone are the same."""
        self._kept[place] = code
        self._seen = {self._merged(row) for row in self._seen}
        if self._rows is not None:
            self._rows = self._left(self._rows)
        elif self._encoding.raw_size_but(self._kept) <= MOST_LISTED:
            every = self._encoding.every(self._kept)
            waits = _have(every, self._postponed)
            self._rows, self._later = self._left(every[~waits]), every[waits]

    def draw(self, most: int, near: Codes) -> Codes:
        """Return at most so many random candidates, and the neighbours of some rows if not all are listed."""
        self._resume()
        if self._rows is None:
            found = np.concatenate([self._drawn(most // 2), self.around(near)[: most // 2]])
            # nearly all were seen, except the candidate that the last check found
            return np.unique(found, axis=0) if len(found) else self._left(self._spare)
        count = len(self._rows)
        return self._rows if count <= most else self._rows[self._random.permutation(count)[:most]]

    def having(self, codes: Mapping[int, int]) -> Codes:
        """Return the candidates with these codes in these places; one of them if not all are listed.

        Codes of dimensions that mean nothing together are those of none, or of the rest.
        """
        if self._rows is not None:
            wanted = [self._rows[:, place] == code for place, code in codes.items()]
            return self._rows[np.logical_and.reduce(wanted)]
        idle = [1 + one.choices.index(spaces.idle(one)) for one in self._encoding.searched]
        row = np.array([idle], dtype=np.int64)
        for place, code in codes.items():
            row[:, place] = code
        return self._left(self._merge(self._encoding.settle(row)))

    def around(self, rows: Codes) -> Codes:
        """Return the candidates that differ in one choice from one of the rows."""
        return self._left(self._merge(self._encoding.neighbours(rows))) if len(rows) else rows

    def _resume(self) -> None:
        """Bring postponed candidates back if nothing else is left of those that are listed."""
        if self._rows is not None and not len(self._rows) and self._postponed:
            self._no_longer_postpone()
            self._rows, self._later = self._left(self._later), self._later[:0]

    def _no_longer_postpone(self) -> None:
        self._postponed.clear()
        self._is_resumed = True

    def _drawn(self, count: int) -> Codes:
        """Return random candidates; postponed ones only if many draws find no other."""
        found = self._drawn_now(count)
        if not len(found) and self._postponed:
            self._no_longer_postpone()
            found = self._drawn_now(count)
        return found

    def _drawn_now(self, count: int) -> Codes:
        for _ in range(DRAWS):
            found = self._left(self._merge(self._encoding.drawn(count, self._random)))
            if len(found):
                return found
            count = MOST_LISTED
        return np.zeros((0, len(self._encoding.searched)), dtype=np.int64)

    def _left(self, rows: Codes) -> Codes:
        possible = self._possible(rows)
        unseen = np.array([tuple(row) not in self._seen for row in possible.tolist()], dtype=np.bool_)
        return possible[unseen]

    def _possible(self, rows: Codes) -> Codes:
        keep = np.ones(len(rows), dtype=np.bool_)
        for place, code in self._kept.items():
            keep &= (rows[:, place] == code) | (rows[:, place] == IDLE)
        return rows[keep & ~_have(rows, [*self._forbidden, *self._postponed])]

    def _merge(self, rows: Codes) -> Codes:
        """Return the rows with the fixed dimensions at their choices, each row once."""
        merged = rows.copy()
        for place, code in self._kept.items():
            merged[merged[:, place] != IDLE, place] = code
        return np.unique(merged, axis=0)

    def _merged(self, row: Sequence[int]) -> tuple[int, ...]:
        return tuple(
            self._kept.get(place, int(code)) if code != IDLE else IDLE for place, code in enumerate(row)
        )


def _part(row: Sequence[int], places: NDArray[np.int64]) -> _Part:
    return tuple(places.tolist()), tuple(int(row[place]) for place in places)


def _have(rows: Codes, parts: Sequence[_Part]) -> NDArray[np.bool_]:
    """Return which rows have all the codes of one of the parts."""
    found = np.zeros(len(rows), dtype=np.bool_)
    for places, codes in parts:
        found |= (rows[:, list(places)] == codes).all(axis=1)
    return found
