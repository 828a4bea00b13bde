"""What those who show a search have in common: the names of the stages, and what they keep of it."""

import time
from typing import TYPE_CHECKING

from dashboards.words import formats
from dashboards.words.formats import DOING
from studies.analysis.standing import Progress
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from tuner.progress.lines import beginning

if TYPE_CHECKING:
    from engines.core.values import Candidate, Stage
    from studies.core.records import StudySpec, TrialRecord
    from studies.run.limits import Limits
    from studies.search.stopping import Left

STOPPING = "finishing what is in flight; Ctrl-C again stops at once"


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def preparing(self, what: str, seconds_left: float | None = None) -> None: ...

    def begin(
        self,
        name: str,
        spec: "StudySpec",
        limits: "Limits",
        records: "tuple[TrialRecord, ...]",
        measurement_plan: MeasurementPlan = TRIALS_ALONE,
    ) -> None: ...

    def expecting(self, left: "Left") -> None: ...

    def started(self, number: int, candidate: "Candidate") -> None: ...

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None: ...

    def finished(self, record: "TrialRecord") -> None: ...

    def stopping(self) -> None: ...

    def close(self) -> None: ...


class Following(Silent):
    """Keeps where the search stands and what it is doing, for those who say or draw it."""

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._standing: Progress | None = None
        self._stopping = False
        self._what, self._since = "starting", time.monotonic()

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def preparing(self, what: str, seconds_left: float | None = None) -> None:
        left = "" if seconds_left is None else f", about {formats.duration(max(1.0, seconds_left))} left"
        self._doing(f"{what}{left}")

    def begin(
        self,
        name: str,
        spec: "StudySpec",
        limits: "Limits",
        records: "tuple[TrialRecord, ...]",
        measurement_plan: MeasurementPlan = TRIALS_ALONE,
    ) -> None:
        self._standing = _standing(spec, limits, records, measurement_plan)
        self._say(beginning(name, limits, records), style="none")

    def expecting(self, left: "Left") -> None:
        if self._standing is not None:
            self._standing.left = left

    def started(self, number: int, candidate: "Candidate") -> None:
        self.stage(number, "prepare")

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None:
        # before a study is begun there is only the baseline that a plan measures
        what = "the baseline" if self._standing is None else f"trial {number}"
        self._doing(f"{what}: {DOING[stage]}")

    def stopping(self) -> None:
        self._stopping = True

    def _doing(self, what: str) -> None:
        if what != self._what:
            self._what, self._since = what, time.monotonic()

    def _say(self, *lines: str, style: str = "dim") -> None:
        """Print lines; `style` is rich's, for those who have one."""


def _standing(
    spec: "StudySpec", limits: "Limits", records: "tuple[TrialRecord, ...]", measurement_plan: MeasurementPlan
) -> Progress:
    standing = Progress(spec, limits.trials, limits.seconds, measurement_plan, min_gain=limits.min_gain)
    standing.add_all(records)
    return standing
