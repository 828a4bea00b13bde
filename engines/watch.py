"""How far a worker has come with one request, and what its loss makes of that."""

import math
import time
from collections.abc import Mapping

from engines.errors import TunerError
from engines.results import Failure, FailureKind
from engines.values import Stage

# a graph is made once for many trials, and calibrating it takes as long as its model runs: from one sign of
# progress to the next it may take this
GRAPH_SECONDS = 1800.0
# what takes none of the trial's time, and how long it may take: others may need the GPU for long
FREE: Mapping[Stage, float] = {"graph": GRAPH_SECONDS, "wait": math.inf}


class Watch:
    """How far a worker has come with one request, and how long it may take; making its graph and waiting for
    the GPU do not count.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.stage: Stage = "prepare"
        self.detail = ""
        self.stage_seconds: dict[str, float] = {}
        self._has_begun = False
        self._since = time.monotonic()
        self._deadline = self._since + seconds

    @property
    def limit(self) -> float:
        """Seconds that the request may take, or what does not count alone while it lasts."""
        return FREE[self.stage] if self._is_free else self._seconds

    @property
    def _is_free(self) -> bool:
        return self._has_begun and self.stage in FREE

    def seconds_left(self) -> float:
        end = self._since + FREE[self.stage] if self._is_free else self._deadline
        return max(0.0, end - time.monotonic())

    def enter(self, stage: Stage, detail: str) -> None:
        if self._is_free:
            self._deadline += time.monotonic() - self._since
        self._account()
        self.stage, self.detail, self._has_begun = stage, detail, True

    def failure(self, kind: FailureKind, message: str) -> "Lost":
        self._account()
        return Lost(Failure(self.stage, kind, message), dict(self.stage_seconds))

    def _account(self) -> None:
        now = time.monotonic()
        # nobody's costs
        if self._has_begun and self.stage != "wait":
            self.stage_seconds[self.stage] = self.stage_seconds.get(self.stage, 0.0) + now - self._since
        self._since = now


class Lost(TunerError):
    """The worker is gone, and with it the request."""

    def __init__(self, failure: Failure, stage_seconds: Mapping[str, float]) -> None:
        super().__init__(failure.message)
        self.failure, self.stage_seconds = failure, stage_seconds
