"""Search a study: ask the sampler, submit jobs, store the results, and notify hooks and observer.

Every finished trial is stored before anything else uses it. A search that is killed loses at most the trials
under way, and the next run resumes after them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engines.artifacts.fingerprints import completed
from engines.core.results import Evaluation
from engines.core.values import Bar, Candidate
from engines.executors.base import TICK_SECONDS, Event, Executor, Finished, Job, Log, Stage
from engines.machine.nvtx import nvtx_range
from studies.belief.bar import bar_of, most_lenient
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.core import identity
from studies.core.identity import evaluation_key
from studies.core.objectives import judge, require_metrics
from studies.core.records import RepeatRecord, StudySpec, TrialRecord
from studies.core.space import candidate_at
from studies.run.hooks import HOOKS, Hook
from studies.run.interfaces import Observer, Sampler
from studies.run.limits import Ended, Ending, Limits, Stop
from studies.run.state import OpenTrial, Running, stop_on_full_disk
from studies.search.observations import Earlier, Observation
from studies.search.searcher import Searcher
from studies.search.stopping import is_converged
from studies.storage.storage import Storage

# failures that another try would repeat
LASTING = ("refused", "not_finite", "wrong_output")


@dataclass(frozen=True)
class StudyLoop:
    """One study to be searched: where it is stored, who evaluates, who watches.

    With `remeasure`, what earlier studies measured is measured again; `measurement_plan` says what else is
    measured more than once. `earlier` is what studies of similar models showed, and `sampler` makes whoever
    says what to try next, where it is not the searcher that learns.
    """

    name: str
    spec: StudySpec
    storage: Storage
    executor: Executor
    observer: Observer
    seed: int = 0
    remeasure: bool = False
    measurement_plan: MeasurementPlan = TRIALS_ALONE
    earlier: tuple[Earlier, ...] = ()
    sampler: Callable[[], Sampler] | None = None

    def run(self, limits: Limits, stop: Stop) -> Ended:
        """Evaluate until a limit is reached, nothing is left to gain or to try, or somebody stops it."""
        with stop.while_running():
            running = self._running(limits)
            hooks = [hook(running) for hook in HOOKS]
            deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
            with _started(hooks), nvtx_range("study"):
                ending = _Run(running, hooks, stop, deadline, self.remeasure).to_the_end()
                for hook in hooks:
                    hook.end(ending)
        return Ended(ending, running.left)

    def _running(self, limits: Limits) -> Running:
        """Return the state that an earlier run left, with a sampler that learnt from it."""
        study = self.storage.read_study(self.name)
        running = Running(
            *(self.name, self.spec, self.storage, self.executor, self.observer),
            sampler=self.sampler() if self.sampler is not None else self._searcher(),
            measurement_plan=self.measurement_plan,
            limits=limits,
            repeats=list(study.repeats),
        )
        for record in study.trials:
            running.add(record)
        for device in self.executor.devices:
            self.storage.add_device(self.name, device)
        running.beliefs = running.beliefs_now()
        for record in study.trials:
            running.sampler.add(_from_before(record, running.observation(record)))
        if running.records:
            require_metrics(running.records[0], self.spec)
        return running

    def _searcher(self) -> Searcher:
        return Searcher(
            self.spec.space,
            [objective.direction for objective in self.spec.objectives],
            len(self.spec.constraints),
            self.seed,
            metrics=[objective.metric for objective in self.spec.objectives],
            earlier=self.earlier,
        )


@contextmanager
def _started(hooks: Sequence[Hook]) -> Iterator[None]:
    begun: list[Hook] = []
    try:
        for hook in hooks:
            hook.start()
            begun.append(hook)
        yield
    finally:
        for hook in begun:
            hook.close()


@dataclass
class _Run:
    """One run of a search. `is_exhausted` is None if the sampler has to be asked again."""

    running: Running
    hooks: Sequence[Hook]
    stop: Stop
    deadline: float | None
    remeasure: bool
    is_exhausted: bool | None = None

    def to_the_end(self) -> Ending:
        try:
            while True:
                has_room = self._has_room()
                if has_room and (ending := self._ending()) is None:
                    self._ask()
                elif has_room and not self.running.is_busy:
                    assert ending is not None
                    return ending
                else:
                    self._listen()
        except BaseException:
            for number in (*self.running.trials, *self.running.again):
                self.running.executor.cancel(number)
            raise

    def _has_room(self) -> bool:
        """Return whether a trial would begin at once; all others wait for the baseline."""
        is_first = not self.running.records
        return self.running.executor.free() > 0 and not (is_first and self.running.trials)

    def _ending(self) -> Ending | None:
        running = self.running
        if self.stop.requested:
            return "interrupted"
        if running.asked >= running.limits.trials:
            return "complete"
        if self.is_exhausted is None:
            self.is_exhausted = running.sampler.is_exhausted
        if self.is_exhausted:
            return "exhausted"
        if is_converged(running.left):
            return "converged"
        # the baseline is measured however short the search is
        is_over = self.deadline is not None and time.monotonic() >= self.deadline
        return "timeout" if running.records and is_over else None

    def _ask(self) -> None:
        """Start one more trial, unless a hook needs the room for something else."""
        running = self.running
        for hook in self.hooks:
            hook.before_asking()
            if not running.executor.free():
                return
        self.is_exhausted = running.sampler.is_exhausted
        if self.is_exhausted:
            return
        candidate = self._next()
        running.sampler.mark_seen(candidate.settings)
        self.is_exhausted = None
        trial = OpenTrial(running.next_number, candidate, evaluation_key(running.spec, candidate))
        running.observer.started(trial.number, candidate)
        running.trials[trial.number] = trial
        if (stored := self._stored(trial.key)) is not None:
            self._finish(trial, stored, reused=True)
        elif (assumed := running.assumed(candidate)) is not None:
            # it was not tried, so another study must not reuse it
            self._finish(replace(trial, key=f"{trial.key}-assumed"), assumed)
        else:
            self._submit(trial)

    def _next(self) -> Candidate:
        running = self.running
        if not running.records:
            return running.spec.baseline
        pending = [trial.candidate for trial in running.trials.values()]
        return candidate_at(running.spec.space, running.sampler.suggest(pending))

    def _stored(self, key: str) -> Evaluation | None:
        """Return the result of an earlier study, unless trying again might end differently."""
        found = None if self.remeasure else self.running.storage.find_evaluation(key)
        return found if found is not None and _lasts(found) else None

    def _submit(self, trial: OpenTrial) -> None:
        running = self.running
        trial.measured = {} if self.remeasure else identity.measured(running.records, trial.candidate)
        seconds, known = running.seconds_for_a_trial, tuple(trial.measured)
        running.executor.submit(Job(trial.number, trial.candidate, seconds, self._bar(), known))

    def _bar(self) -> Bar | None:
        """Return a bar that is valid on whichever device the trial gets."""
        running = self.running
        if not running.measurement_plan.racing:
            return None
        objectives, now = running.spec.objectives, datetime.now(UTC)
        bars = (
            bar_of(running.records, objectives, running.beliefs, device.name, now)
            for device in running.executor.devices
        )
        return most_lenient(bars, objectives[0].direction)

    def _listen(self) -> None:
        for event in self.running.executor.events(TICK_SECONDS):
            self._handle(event)
        for hook in self.hooks:
            hook.tick()

    def _handle(self, event: Event) -> None:
        running, trial = self.running, self.running.trials.get(event.number)
        for hook in self.hooks:
            hook.event(event)
        if trial is not None and isinstance(event, Stage):
            running.observer.stage(trial.number, event.stage, event.detail)
        elif trial is not None and isinstance(event, Log):
            trial.log += event.text
        elif trial is not None and isinstance(event, Finished):
            found = event.found
            if not isinstance(found, Evaluation):
                found = completed(trial.candidate, found, trial.measured[found.fingerprint])
            self._finish(trial, found, event.device)
        elif event.number in running.again and isinstance(event, Finished):
            self._repeated(event)

    def _finish(self, trial: OpenTrial, found: Evaluation, device: str = "", *, reused: bool = False) -> None:
        """Store the trial, then pass it to the sampler, the hooks and the observer."""
        running = self.running
        del running.trials[trial.number]
        stop_on_full_disk(found)
        record = self._store(trial, found, device, reused=reused)
        running.observer.finished(record)
        if not running.records:
            require_metrics(record, running.spec)
        running.add(record)
        if len(running.records) == 1:
            # its device is the study's own
            running.beliefs = running.beliefs_now()
        running.sampler.add(running.observation(record))
        self.is_exhausted = None
        for hook in self.hooks:
            hook.finished(record)

    def _store(self, trial: OpenTrial, found: Evaluation, device: str, *, reused: bool) -> TrialRecord:
        running, key, seconds = self.running, trial.key, time.perf_counter() - trial.start
        if not reused and found.measurement is not None and found.measurement.pruned:
            # pruned against a bar that another study does not have
            key = f"{key}-pruned"
        same_as = identity.same_as(found, running.records)
        if not reused and same_as is not None:
            # the engine of the other trial was measured
            device = next(one.device for one in running.records if one.number == same_as)
        running.storage.add_trial(
            *(running.name, trial.number, key, found),
            started_at=trial.started_at,
            seconds=seconds,
            reused=reused,
            log=trial.log,
            device=device,
        )
        verdict, metrics, violations = judge(found, running.spec.constraints)
        return TrialRecord(
            *(trial.number, trial.candidate, verdict, metrics, violations, found),
            *(trial.started_at, seconds, reused, trial.log, same_as, device),
        )

    def _repeated(self, event: Finished) -> None:
        running, open_one = self.running, self.running.again.pop(event.number)
        assert isinstance(event.found, Evaluation), "nothing was known before"
        stop_on_full_disk(event.found)
        after, at = len(running.records), open_one.started_at
        repeat = RepeatRecord(0, open_one.role, after, 0, 0, event.found, at, event.device)
        running.storage.add_repeat(running.name, evaluation_key(running.spec, running.spec.baseline), repeat)
        running.repeats.append(repeat)
        for hook in self.hooks:
            hook.repeated(repeat)


def _from_before(record: TrialRecord, observation: Observation) -> Observation:
    """Return what an earlier run found, without failures by accident or for lack of time, which may succeed
    now.
    """
    return observation if _lasts(record.evaluation) else replace(observation, failed="measure")


def _lasts(evaluation: Evaluation) -> bool:
    """Return whether another try would give the same result."""
    return evaluation.failure is None or evaluation.failure.kind in LASTING
