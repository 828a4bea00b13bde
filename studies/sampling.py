"""What a study's owner asks of whoever says what to try next."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from engines.values import Value
from studies.observations import Observation
from studies.stopping import Left


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
