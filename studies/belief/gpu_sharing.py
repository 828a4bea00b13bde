"""Whether something else used the GPU while a study measured."""

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
    """So many of the measurements that can tell look as if something else used the GPU meanwhile."""

    uneven: int
    measurements: int

    @property
    def told(self) -> str:
        """In words, without a stop."""
        return (
            f"something else seems to use the GPU: in {self.uneven:,} of {self.measurements:,} measurements "
            f"a tenth of the inferences took over {UNEVEN} times as long as another tenth"
        )


def contention(machine: Machine, are_uneven: Iterable[bool | None]) -> Contention | None:
    """What measurements say of other users of the GPU, each by `engines.statistics.jitter.is_uneven`.

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
    """What was measured for these trials and repeats, once each, and nothing that others measured."""
    own = [one.evaluation for one in trials if not one.reused and one.same_as is None]
    for evaluation in (*own, *(one.evaluation for one in repeats)):
        if evaluation.measurement is not None:
            yield evaluation.candidate, evaluation.measurement
