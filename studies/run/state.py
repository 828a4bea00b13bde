"""What a study's owner knows of it while it runs."""

from dataclasses import dataclass, field, replace

from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate, Settings
from studies.belief.baseline_runs import Drift
from studies.belief.noise import Noise
from studies.core.records import TrialRecord
from studies.search.stopping import Left


@dataclass
class State:
    """What the owner knows of the study while it runs."""

    records: list[TrialRecord] = field(default_factory=list)
    noise: Noise | None = None
    drift: Drift | None = None
    refused: dict[tuple[Settings, ...], tuple[int, Failure]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    left: Left | None = None
    are_uneven: list[bool | None] = field(default_factory=list)
    has_neighbours: bool = False

    def add(self, record: TrialRecord) -> None:
        self.records.append(record)
        candidate, failure = record.candidate, record.failure
        if failure is None or failure.kind == "internal":
            return
        # what fails before the engine exists fails for every run spec, and without a graph for every build
        if failure.stage == "graph":
            self.refused.setdefault((candidate.graph,), (record.number, failure))
        elif failure.stage == "build":
            self.refused.setdefault((candidate.graph, candidate.build), (record.number, failure))

    def assumed(self, candidate: Candidate) -> Evaluation | None:
        """A graph or build that was refused before is not tried again for another run spec."""
        refused = self._refusal_of(candidate)
        if refused is None:
            return None
        earlier, failure = refused
        return Evaluation(
            candidate, failure=replace(failure, message=f"as in trial {earlier}: {failure.message}")
        )

    def _refusal_of(self, candidate: Candidate) -> tuple[int, Failure] | None:
        """The trial that showed that no engine can be made for the candidate, and why; None without one."""
        graph, build = candidate.graph, candidate.build
        return self.refused.get((graph,)) or self.refused.get((graph, build))
