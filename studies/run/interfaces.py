"""Whom a search works with: who watches it, and who says what to try next.

Who evaluates is an `engines.executors.base.Executor`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from engines.core.values import Candidate, Stage, Value
from studies.belief.rigour import TRIALS_ALONE, Rigour
from studies.core.records import StudySpec, TrialRecord
from studies.run.limits import Limits
from studies.search.observations import Observation
from studies.search.stopping import Left


class Observer(Protocol):
    """Who shows a search to the user."""

    def note(self, text: str) -> None:
        """Something to know."""

    def preparing(self, what: str, seconds_left: float | None = None) -> None:
        """What is being done outside a trial, and how long it will take where that is known; may be called
        again and again.
        """

    def begin(
        self,
        name: str,
        spec: StudySpec,
        limits: Limits,
        records: tuple[TrialRecord, ...],
        rigour: Rigour = TRIALS_ALONE,
    ) -> None:
        """The study is about to run; `records` are what an earlier run left."""

    def expecting(self, left: Left) -> None:
        """What is still to be gained, whenever that is known anew."""

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage, detail: str = "") -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def stopping(self) -> None:
        """The user asked to stop after what is in flight; called by a signal handler, so nothing may be
        printed.
        """

    def close(self) -> None:
        """The search is over; may be called twice."""


class Sampler(Protocol):
    """Suggests candidates one by one."""

    @property
    def is_exhausted(self) -> bool:
        """Whether every candidate was seen."""

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        """Never to be suggested again; what lies outside the space is ignored."""

    def add(self, observation: Observation) -> None:
        """Learns from a finished trial, the baseline first."""

    def correct(self, observations: Sequence[Observation]) -> None:
        """Takes all trials that were added anew, as they are known by now."""

    def suggest(self, pending: Sequence[Candidate] = ()) -> dict[str, Value]:
        """A point that was not seen; there must be one. `pending` are being evaluated meanwhile."""

    def left_to_gain(self, least: float) -> Left | None:
        """What may be found that is better than the best so far; None where that cannot be told."""


@runtime_checkable
class Narrowing(Protocol):
    """A sampler that can do without a dimension."""

    def leave_out(self, name: str, value: Value) -> None:
        """The dimension changes nothing: candidates that differ in it alone count as seen, once one was."""
