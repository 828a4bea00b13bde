"""Whether something else used the GPU while a study measured."""

from collections.abc import Iterable
from dataclasses import dataclass

from engines.jitter import UNEVEN
from engines.values import Machine

# on an H200 alone up to 5 % of the measurements of a study were uneven, beside others 22 to 64 %
SHARE = 0.1
FEWEST = 3


@dataclass(frozen=True)
class Neighbours:
    """So many of the measurements that can tell look as if something else used the GPU meanwhile."""

    uneven: int
    measurements: int

    @property
    def told(self) -> str:
        """In words, without a stop."""
        return (
            f"something else seems to use the GPU: in {self.uneven:,} of {self.measurements:,} measurements "
            f"the slowest tenth of inferences took over {UNEVEN} times as long as the fastest tenth"
        )


def neighbours(machine: Machine, are_uneven: Iterable[bool | None]) -> Neighbours | None:
    """What measurements say of other users of the GPU, each by `engines.jitter.is_uneven`.

    None where too few were uneven, or there is no GPU.
    """
    if machine.kind == "cpu":
        return None
    known = [one for one in are_uneven if one is not None]
    found = Neighbours(sum(known), len(known))
    return found if found.uneven >= max(FEWEST, SHARE * found.measurements) else None
