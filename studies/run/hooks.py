"""What a search does besides its trials, one class for each; every hook receives every event."""

import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime

from engines.core import wire
from engines.core.errors import UserError
from engines.core.values import Stage as StageName
from engines.executors.base import Event, Job, Stage, Started
from engines.statistics.jitter import is_uneven
from studies.belief.gpu_sharing import LATEST, contention, measured_in
from studies.core.records import AttemptRecord, RepeatRecord, RepeatRole, TrialRecord
from studies.run.interfaces import Narrowing
from studies.run.limits import Ending
from studies.run.state import OpenRepeat, Running
from studies.search.inert_dimensions import inert
from studies.search.stopping import FEWEST_TRIALS, Left, Stopped, least_gain
from studies.storage import optuna_mirror

# an event of a study
STOPPED = "converged"
# seconds between writes of a trial's progress
ATTEMPTS_EVERY_SECONDS = 1.0


class Hook:
    """Receives everything that happens in a search, and may use what the search works with."""

    def __init__(self, running: Running) -> None:
        self.running = running

    def start(self) -> None:
        """Called before the first trial; the trials of an earlier run are known."""

    def before_asking(self) -> None:
        """Called before each trial, when there is room for one; may submit jobs and so take the room."""

    def event(self, event: Event) -> None:
        """Called for each event of a job."""

    def tick(self) -> None:
        """Called repeatedly while jobs are open."""

    def finished(self, record: TrialRecord) -> None:
        """Called after a trial was stored and added to the sampler."""

    def repeated(self, repeat: RepeatRecord) -> None:
        """Called after a repeat of the baseline was stored."""

    def end(self, ending: Ending) -> None:
        """Called when the search reaches its end."""

    def close(self) -> None:
        """Called when the search is over, however it ended."""


class OptunaMirror(Hook):
    """Add every finished trial to Optuna's study."""

    def start(self) -> None:
        running, self._open = self.running, ExitStack()
        mirror = optuna_mirror.open_mirror(running.storage, running.name, running.spec, running.records)
        self._mirror = self._open.enter_context(mirror)

    def finished(self, record: TrialRecord) -> None:
        self._mirror.add(record)

    def close(self) -> None:
        self._open.close()


class BaselineAgain(Hook):
    """Measure the baseline again on each device: first for the self-test, later as anchors for drift.

    The sampler gets all trials again, corrected by the results.
    """

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._news: set[str] = set()

    def before_asking(self) -> None:
        """Measure as often as is due; never after a baseline that failed."""
        running = self.running
        if not running.records or running.records[0].measurement is None:
            return
        under_way = {one.device for one in running.again.values()}
        done = set()
        for device in running.executor.devices:
            if device.name in under_way:
                continue
            role = self.due(device.name)
            if role is not None:
                self._submit(role, device.name)
            elif device.name in self._news:
                done.add(device.name)
        if done:
            self._news -= done
            self._take_stock()

    def repeated(self, repeat: RepeatRecord) -> None:
        self._news.add(repeat.device)

    def end(self, ending: Ending) -> None:
        if self._news:
            self._take_stock()

    def due(self, device: str) -> RepeatRole | None:
        """Return the role for which the baseline is to be measured on the device now; None for nothing."""
        running, measurement_plan = self.running, self.running.measurement_plan
        if self._self_tests(device) < self._wanted(device):
            return "self-test"
        if not measurement_plan.anchor_every:
            return None
        last = max((one.after for one in running.repeats if self._is_on(one, device)), default=1)
        since = sum(self._is_on(record, device) for record in running.records[last:])
        return "anchor" if since >= measurement_plan.anchor_every else None

    def _submit(self, role: RepeatRole, device: str) -> None:
        running = self.running
        number = f"{self._self_tests(device) + 1} of {self._wanted(device)}"
        running.observer.preparing(
            f"self-test: measuring the baseline again, {number}"
            if role == "self-test"
            else "measuring the baseline again, to see the machine drift"
        )
        job = Job(
            next(running.repeat_numbers),
            running.records[0].candidate,
            running.seconds_for_a_trial,
            device=device,
        )
        running.again[job.number] = OpenRepeat(role, device, datetime.now(UTC))
        running.executor.submit(job)

    def _take_stock(self) -> None:
        running, before = self.running, self.running.beliefs
        running.beliefs = running.beliefs_now()
        if running.beliefs == before:
            return
        if before.noise is None and running.beliefs.noise is not None:
            running.observer.note(
                "self-test: measured once each, engines that differ by "
                f"{running.beliefs.noise.detectable:.1%} or more can be told apart on this machine now"
            )
        running.sampler.correct([running.observation(one) for one in running.records])

    def _self_tests(self, device: str) -> int:
        return sum(one.role == "self-test" and self._is_on(one, device) for one in self.running.repeats)

    def _wanted(self, device: str) -> int:
        """Return the runs of the self-test; one more on a device where trial 0 did not run."""
        runs = self.running.measurement_plan.self_test_runs
        return runs if device == self.running.beliefs.home else 1 + runs

    def _is_on(self, row: TrialRecord | RepeatRecord, device: str) -> bool:
        return (row.device or self.running.beliefs.home) == device


class InertDimensions(Hook):
    """Remove dimensions that change nothing from the space, if the sampler can do so."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._left_out: set[str] = set()

    def before_asking(self) -> None:
        running = self.running
        if not isinstance(running.sampler, Narrowing):
            return
        for found in inert(running.records, running.spec.space):
            if found.name not in self._left_out:
                self._left_out.add(found.name)
                running.sampler.leave_out(found.name, found.value)
                running.observer.note(found.reason)


class GpuSharing(Hook):
    """Warn once that something else uses the GPU, while the user can still stop it."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._are_uneven: list[bool | None] = []
        self._is_told = False

    def finished(self, record: TrialRecord) -> None:
        self._look([record], [])

    def repeated(self, repeat: RepeatRecord) -> None:
        self._look([], [repeat])

    def _look(self, trials: list[TrialRecord], repeats: list[RepeatRecord]) -> None:
        if self._is_told:
            return
        self._are_uneven += [is_uneven(one.blocks) for _, one in measured_in(trials, repeats)]
        found = contention(self.running.spec.machine, self._are_uneven[-LATEST:])
        if found is not None:
            self._is_told = True
            self.running.observer.note(f"{found.message}; nvidia-smi may show what it is")


class Convergence(Hook):
    """Estimate what is left to gain, and end the search when that is little."""

    def start(self) -> None:
        running = self.running
        running.left = self._left_before()
        if running.left is None:
            self._look_ahead()

    def finished(self, record: TrialRecord) -> None:
        self._look_ahead()

    def end(self, ending: Ending) -> None:
        """Store that little was left to gain, for a later run of the same search."""
        running = self.running
        if ending == "converged" and running.left is not None and self._left_before() is None:
            stopped = Stopped(len(running.records), running.limits.min_gain or 0.0, running.left)
            running.storage.add_event(running.name, STOPPED, wire.to_json(stopped).decode())

    def _look_ahead(self) -> None:
        running = self.running
        if running.limits.min_gain and len(running.records) >= FEWEST_TRIALS:
            running.left = running.sampler.left_to_gain(self._least_gain(running.limits.min_gain))
            if running.left is not None:
                running.observer.expecting(running.left)

    def _least_gain(self, wanted: float) -> float:
        return least_gain(wanted, self.running.beliefs.noise, self.running.measurement_plan)

    def _left_before(self) -> Left | None:
        """Return what was left to gain when an earlier run stopped for it; None if that is no longer valid.

        What is left is estimated by chance, and what the finals showed since may change it a little.
        """
        running = self.running
        for event in reversed(running.storage.events(running.name)):
            if event.kind == STOPPED and running.limits.min_gain:
                stopped = wire.from_json(event.message, Stopped)
                least = self._least_gain(running.limits.min_gain)
                holds = stopped.holds(len(running.records), running.limits.min_gain, least)
                return stopped.left if holds else None
        return None


class AttemptRows(Hook):
    """Store what is under way, at most once a second, for other processes to read."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._attempts: dict[int, AttemptRecord] = {}
        self._written = -ATTEMPTS_EVERY_SECONDS

    def start(self) -> None:
        """Remove the rows that a killed search left."""
        self.running.storage.remove_attempts(self.running.name)

    def event(self, event: Event) -> None:
        trial = self.running.trials.get(event.number)
        if trial is None or not isinstance(event, Started | Stage):
            return
        stage: StageName = "prepare" if isinstance(event, Started) else event.stage
        detail = "" if isinstance(event, Started) else event.detail
        known, now = self._attempts.get(event.number), datetime.now(UTC)
        since = known.since if known is not None and known.stage == stage else now
        self._attempts[event.number] = AttemptRecord(
            event.number, trial.candidate, event.device, stage, detail, since, now
        )

    def tick(self) -> None:
        if self._attempts and time.monotonic() - self._written >= ATTEMPTS_EVERY_SECONDS:
            self._written, now = time.monotonic(), datetime.now(UTC)
            for attempt in self._attempts.values():
                self.running.storage.set_attempt(self.running.name, replace(attempt, heartbeat=now))

    def finished(self, record: TrialRecord) -> None:
        # its row went when it was stored
        self._attempts.pop(record.number, None)

    def close(self) -> None:
        # if the database is gone another error is raised, and the next run removes the rows
        with suppress(UserError):
            if self._attempts:
                self.running.storage.remove_attempts(self.running.name, tuple(self._attempts))


# in the order in which they are called
HOOKS: tuple[type[Hook], ...] = (
    OptunaMirror,
    BaselineAgain,
    InertDimensions,
    GpuSharing,
    Convergence,
    AttemptRows,
)
