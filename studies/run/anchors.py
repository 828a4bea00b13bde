"""Measures the baseline again: at the beginning for the self-test, later to see the machine drift."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engines.core.results import Evaluation
from engines.core.values import Candidate
from studies.belief.baseline_runs import Drift, drift_in, noise_in
from studies.belief.noise import Noise
from studies.belief.rigour import Rigour
from studies.core.records import RepeatRecord, RepeatRole, TrialRecord


@dataclass
class Anchors:
    """The repeats of one study's baseline; `evaluate` measures it, `store` keeps what came of it."""

    rigour: Rigour
    metric: str
    evaluate: Callable[[Candidate], Evaluation]
    store: Callable[[RepeatRecord], None]
    say: Callable[[str], None]
    repeats: list[RepeatRecord] = field(default_factory=list)

    def next_role(self, trials: int) -> RepeatRole | None:
        """What the baseline is to be measured for now that there are so many trials; None for nothing."""
        if self._self_tests() < self.rigour.self_test_runs:
            return "self-test"
        last = max((one.after for one in self.repeats), default=1)
        return "anchor" if 0 < self.rigour.anchor_every <= trials - last else None

    def measure(self, role: RepeatRole, records: list[TrialRecord]) -> None:
        """The baseline once more."""
        number = f"{self._self_tests() + 1} of {self.rigour.self_test_runs}"
        self.say(
            f"self-test: measuring the baseline again, {number}"
            if role == "self-test"
            else "measuring the baseline again, to see the machine drift"
        )
        started_at = datetime.now(UTC)
        evaluation = self.evaluate(records[0].candidate)
        repeat = RepeatRecord(0, role, len(records), 0, 0, evaluation, started_at)
        self.store(repeat)
        self.repeats.append(repeat)

    def noise(self, records: list[TrialRecord]) -> Noise | None:
        """What the self-test found so far."""
        return noise_in(records, self.repeats, self.metric)

    def drift(self, records: list[TrialRecord]) -> Drift | None:
        """How the baseline drifted so far."""
        return drift_in(records, self.repeats, self.metric)

    def _self_tests(self) -> int:
        return sum(one.role == "self-test" for one in self.repeats)
