"""How much measuring goes into being believed, beside the trials themselves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rigour:
    """What is measured more than once.

    `self_test_runs` of the baseline at the beginning, and one more every `anchor_every` trials; with
    `racing` a trial that is clearly worse than the best ends early. The best `finalists` that overlap are
    measured again in `sessions`, each a process of its own and `rounds` blocks in random order; `rebuilds`
    counts their cold rebuilds. Zero leaves a part out.
    """

    self_test_runs: int = 5
    anchor_every: int = 10
    racing: bool = True
    finalists: int = 4
    sessions: int = 5
    rounds: int = 5
    rebuilds: int = 0


TRIALS_ALONE = Rigour(self_test_runs=0, anchor_every=0, racing=False, finalists=0)
