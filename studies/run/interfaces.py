"""Whom a study's owner works with: who evaluates, who watches, and who says what to try next."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from engines.core.results import Evaluation
from engines.core.values import Bar, Candidate, Stage, Value
from studies.core.records import TrialRecord
from studies.search.observations import Observation
from studies.search.stopping import Left


class Executor(Protocol):
    """Where candidates are evaluated: a local worker now, a machine of many GPUs or a fleet as well."""

    def evaluate(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: Callable[[Stage, str], None],
        bar: Bar | None = None,
        measured: Mapping[str, Evaluation] = {},
    ) -> Evaluation:
        """What comes of the candidate within the time, measured until it is clearly worse than the bar.

        An engine with one of the fingerprints in `measured` is checked, and has the measurement of that one.
        """

    def log_position(self) -> int: ...

    def log_since(self, position: int) -> str: ...


class Observer(Protocol):
    """Who watches a search."""

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage, detail: str = "") -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def note(self, text: str) -> None:
        """Something to know."""

    def expecting(self, left: Left) -> None:
        """What is left to gain."""

    def preparing(self, what: str) -> None:
        """What is being done outside a trial; may be called again and again."""


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

    def suggest(self) -> dict[str, Value]:
        """A point that was not seen; there must be one."""

    def left_to_gain(self, least: float) -> Left | None:
        """What may be found that is better than the best so far; None where that cannot be told."""


@runtime_checkable
class Narrowing(Protocol):
    """A sampler that can do without a dimension."""

    def leave_out(self, name: str, value: Value) -> None:
        """The dimension changes nothing: candidates that differ in it alone count as seen, once one was."""
