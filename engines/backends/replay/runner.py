"""An engine of the backend `replay`: outputs with the recorded errors, blocks drawn from recorded ones."""

import hashlib
import math
import time
from collections.abc import Sequence

import numpy as np

from engines.backends.replay.index import error_of
from engines.core.errors import EngineError
from engines.core.results import Block, OutputError
from engines.core.values import Policy, Samples, Stage, Tensors
from engines.landscapes.file import Run, latencies
from engines.machine.telemetry import Reading

VALUES = 64
# used for an engine that fails before any of its blocks was kept
UNKNOWN_SECONDS = 1e-3


class SimulatedClock:
    """Simulated seconds; a probe that reports nothing else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    def read(self) -> Reading:
        return Reading(self.seconds)


class ReplayRunner:
    """Replay of one recorded run."""

    device_memory_bytes = None

    def __init__(
        self,
        run: Run,
        streams: int,
        policy: Policy,
        outputs: Sequence[str],
        clock: SimulatedClock,
        random: np.random.Generator,
    ) -> None:
        self.streams = streams
        known = {one.name: one for one in run.outputs}
        self._outputs = [known.get(name, OutputError(name, 0.0, 0.0)) for name in outputs]
        self._run, self._policy, self._clock, self._random = run, policy, clock, random
        self._was_timed = False
        # the two checks share what was recorded for both
        self._unchecked = {False, True} if "measure" in run.seconds else {False}
        self._check_seconds = run.seconds.get("check", 0.0) / len(self._unchecked)

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        if self._was_timed in self._unchecked:
            self._unchecked.remove(self._was_timed)
            self._clock.pass_by(self._check_seconds)
        # an engine that was timed was correct before
        if self._was_timed or "measure" not in self._run.seconds:
            self._fail_in("check")
        right = outputs_of(inputs, [one.name for one in self._outputs])
        return {one.name: _off_by(right[one.name].astype(np.float64), one) for one in self._outputs}

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        if cold:
            raise EngineError("inferences with caches flushed were not recorded")
        self._was_timed = True
        is_warmup = seconds in (0.0, self._policy.warmup_seconds / 4)
        self._fail_in("warm-up" if is_warmup else "measure")
        latency, span = self._drawn(seconds)
        self._clock.pass_by(span)
        return Block(latency_ms=latency, span_seconds=span, started_at=time.time())

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def _drawn(self, seconds: float) -> tuple[Samples, float]:
        """Return the latencies and the span of a block of about so many seconds, at the speed of a recorded
        one.
        """
        run = self._run
        if not run.values:
            lasts = max(seconds, UNKNOWN_SECONDS)
            return np.array([1e3 * lasts]), lasts
        drawn = int(self._random.integers(len(run.values)))
        pace = run.spans[drawn] / run.counts[drawn]
        count = max(1, round(seconds / pace))
        latency = latencies(run.values[drawn], count, run.shape, self._random.random(count))
        return latency, max(count * pace, float(latency.max()) / 1e3)

    def _fail_in(self, stage: Stage) -> None:
        failure = self._run.failure
        if failure is not None and failure.stage == stage:
            raise error_of(failure)


def outputs_of(inputs: Tensors, names: Sequence[str]) -> Tensors:
    """Return outputs of these names: numbers that depend on every byte of the inputs."""
    content = hashlib.sha256()
    for name in sorted(inputs):
        content.update(np.ascontiguousarray(inputs[name]).tobytes())
    random = np.random.default_rng(int.from_bytes(content.digest()[:8], "little"))
    return {name: random.normal(size=VALUES) for name in names}


def _off_by(right: Samples, error: OutputError) -> Samples:
    """Return the correct values, changed so that relative L2 error and cosine are those of the error.

    With the length r and the cosine c the error is sqrt(r^2 - 2 r c + 1).
    """
    relative = error.relative_l2
    # a cosine that was rounded must not change the error
    least = math.sqrt(max(0.0, 1 - relative**2))
    cosine = max(least, error.cosine) if error.cosine is not None else least
    length = cosine + math.sqrt(max(0.0, cosine**2 - 1 + relative**2))
    across = np.roll(right, 1)
    across -= right * float(across @ right) / float(right @ right)
    across *= np.linalg.norm(right) / np.linalg.norm(across)
    return length * (cosine * right + math.sqrt(max(0.0, 1 - cosine**2)) * across)
