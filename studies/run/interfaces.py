"""Interfaces of a search: the observer that shows it, and the sampler that suggests what to try next.

The evaluator is an `engines.executors.base.Executor`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from engines.core.values import Candidate, Stage, Value
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.core.records import StudySpec, TrialRecord
from studies.run.limits import Limits
from studies.search.observations import Observation
from studies.search.stopping import Left


class Observer(Protocol):
    """Shows a search to the user."""

    def note(self, text: str) -> None:
        """Show a message."""

    def preparing(self, what: str, seconds_left: float | None = None) -> None:
        """Show what is being done outside a trial, and how long it will take if known; may be called
        repeatedly.
        """

    def begin(
        self,
        name: str,
        spec: StudySpec,
        limits: Limits,
        records: tuple[TrialRecord, ...],
        measurement_plan: MeasurementPlan = TRIALS_ALONE,
    ) -> None:
        """Show that the study is about to run; `records` are the trials of an earlier run."""

    def expecting(self, left: Left) -> None:
        """Show what is still to be gained, called at each new estimate."""

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage, detail: str = "") -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def stopping(self) -> None:
        """Show that the user asked to stop after the trials in flight; called by a signal handler, so it must
        not print.
        """

    def close(self) -> None:
        """End the display; may be called twice."""


class Sampler(Protocol):
    """Suggests candidates one by one."""

    @property
    def is_exhausted(self) -> bool:
        """Return whether every candidate was seen."""

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        """Never suggest this point again; points outside the space are ignored."""

    def add(self, observation: Observation) -> None:
        """Add a finished trial, the baseline first."""

    def correct(self, observations: Sequence[Observation]) -> None:
        """Replace all trials that were added by what is known of them now."""

    def suggest(self, pending: Sequence[Candidate] = ()) -> dict[str, Value]:
        """Return a point that was not seen; there must be one. `pending` are being evaluated meanwhile."""

    def left_to_gain(self, least: float) -> Left | None:
        """Return the improvement over the best so far that is still to be expected; None if that is not
        known.
        """


@runtime_checkable
class Narrowing(Protocol):
    """A sampler that can remove a dimension."""

    def leave_out(self, name: str, value: Value) -> None:
        """Remove a dimension that changes nothing: candidates that differ in it alone count as seen, once one
        was.
        """
