"""Detect whether another process used the GPU while a study measured."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engines.core.results import Measurement
from engines.core.values import Candidate, Machine
from engines.statistics.jitter import UNEVEN
from studies.core.records import RepeatRecord, TrialRecord

# docs/measurements.md has what was found on a GPU alone and on one that is shared
SHARE = 0.05
FEWEST = 3
# of a search that goes on, so many of the last measurements: what uses the GPU may have come late
LATEST = 30


@dataclass(frozen=True)
class Contention:
    """The number of measurements that look as if another process used the GPU, of those that can show it."""

    uneven: int
    measurements: int

    @property
    def message(self) -> str:
        """Describe it, without a full stop."""
        return (
            f"something else seems to use the GPU: in {self.uneven:,} of {self.measurements:,} measurements "
            f"a tenth of the inferences took over {UNEVEN} times as long as another tenth"
        )


def contention(machine: Machine, are_uneven: Iterable[bool | None]) -> Contention | None:
    """Return evidence of other users of the GPU from what `engines.statistics.jitter.is_uneven` says of each
    measurement.

    None where too few were uneven, or the machine is a CPU.
    """
    if machine.kind == "cpu":
        return None
    known = [one for one in are_uneven if one is not None]
    found = Contention(sum(known), len(known))
    return found if found.uneven >= max(FEWEST, SHARE * found.measurements) else None


def measured_in(
    trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord]
) -> Iterator[tuple[Candidate, Measurement]]:
    """Return the measurements of these trials and repeats, once each, without those of other studies."""
    own = [one.evaluation for one in trials if not one.reused and one.same_as is None]
    for evaluation in (*own, *(one.evaluation for one in repeats)):
        if evaluation.measurement is not None:
            yield evaluation.candidate, evaluation.measurement
