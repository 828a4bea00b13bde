"""The study's owner: asks the sampler, has a candidate evaluated, stores the result, tells the sampler.

Every finished trial is stored before anything else hears of it, so a search that is killed loses at most the
trial in flight, and the next run goes on behind it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from engines.core import wire
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Bar, Candidate
from engines.machine.nvtx import nvtx_range
from engines.statistics.jitter import is_uneven
from studies.belief.bar import bar_of
from studies.belief.gpu_sharing import LATEST, measured_in, neighbours
from studies.belief.rigour import TRIALS_ALONE, Rigour
from studies.core import reuse
from studies.core.identity import evaluation_key
from studies.core.objectives import check_told, judge
from studies.core.records import RepeatRecord, StudySpec, TrialRecord
from studies.core.space import candidate_at
from studies.run.anchors import Anchors
from studies.run.interfaces import Executor, Narrowing, Observer, Sampler
from studies.run.limits import Ended, Ending, Limits, Stop, limit_seconds
from studies.run.state import State
from studies.search.inert_dimensions import dead
from studies.search.observations import Earlier, Observation, observation_of
from studies.search.searcher import Searcher
from studies.search.stopping import FEWEST_TRIALS, Left, Stopped, is_converged, least_gain
from studies.storage import optuna_mirror
from studies.storage.storage import Storage

# an event of a study
STOPPED = "converged"
# failures that another try would only repeat
LASTING = ("refused", "not_finite", "wrong_output")


@dataclass(frozen=True)
class Owner:
    """One study being searched: where it is stored, who evaluates, who watches.

    With `remeasure`, what earlier studies measured is measured again; `rigour` says what else is measured
    more than once. `earlier` is what studies of similar models showed, and `sampler` makes whoever says what
    to try next, where it is not the searcher that learns.
    """

    name: str
    spec: StudySpec
    storage: Storage
    executor: Executor
    observer: Observer
    seed: int = 0
    remeasure: bool = False
    rigour: Rigour = TRIALS_ALONE
    earlier: tuple[Earlier, ...] = ()
    sampler: Callable[[], Sampler] | None = None

    def run(self, limits: Limits, stop: Stop) -> Ended:
        """Evaluates until a limit is met, nothing is left to gain or to try, or somebody stops it."""
        study = self.storage.read_study(self.name)
        state = State()
        for record in study.trials:
            state.add(record)
        anchors = self._anchors(state, limits, study.repeats)
        state.noise, state.drift = anchors.noise(state.records), anchors.drift(state.records)
        sampler = self.sampler() if self.sampler is not None else self._searcher()
        for record, observation in zip(state.records, self._observations(state), strict=True):
            sampler.add(_from_before(record, observation))
        self._look_back(state, sampler, limits)
        if state.records:
            check_told(state.records[0], self.spec)
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        with (
            optuna_mirror.open_mirror(self.storage, self.name, self.spec, state.records) as tell,
            stop.while_running(),
            nvtx_range("study"),
        ):
            while (ending := _ending(state, limits, stop, sampler, deadline)) is None:
                known = state.noise, state.drift
                self._measure_baseline(state, anchors, lambda: stop.requested or _is_over(state, deadline))
                if known != (state.noise, state.drift):
                    sampler.correct(self._observations(state))
                if stop.requested or _is_over(state, deadline):
                    continue
                self._leave_out_dead(state, sampler)
                if sampler.is_exhausted:
                    continue
                record = self._try(self._next(state, sampler), state, limits)
                state.add(record)
                sampler.add(observation_of(record, self.spec, state.noise, state.drift))
                tell.add(record)
                self._look_around(state, record)
                self._look_ahead(state, sampler, limits)
        self._remember(ending, state, limits)
        return Ended(ending, state.left)

    def _remember(self, ending: Ending, state: State, limits: Limits) -> None:
        """That little was left to gain, for whoever runs the same search again."""
        if ending == "converged" and state.left is not None and self._left_before(state, limits) is None:
            stopped = Stopped(len(state.records), limits.min_gain or 0.0, state.left)
            self.storage.add_event(self.name, STOPPED, wire.to_json(stopped).decode())

    def _look_back(self, state: State, sampler: Sampler, limits: Limits) -> None:
        """What is left to gain at the beginning of a run."""
        state.left = self._left_before(state, limits)
        if state.left is None:
            self._look_ahead(state, sampler, limits)

    def _left_before(self, state: State, limits: Limits) -> Left | None:
        """What was left to gain when an earlier run ended for it; None where that does not hold now.

        What is left is estimated by chance, and what the finals showed since may change it a little.
        """
        for event in reversed(self.storage.events(self.name)):
            if event.kind == STOPPED and limits.min_gain:
                stopped = wire.from_json(event.message, Stopped)
                least = least_gain(limits.min_gain, state.noise, self.rigour)
                return stopped.left if stopped.holds(len(state.records), limits.min_gain, least) else None
        return None

    def _observations(self, state: State) -> list[Observation]:
        """The trials as they are known by now."""
        return [observation_of(one, self.spec, state.noise, state.drift) for one in state.records]

    def _searcher(self) -> Searcher:
        return Searcher(
            self.spec.space,
            [objective.direction for objective in self.spec.objectives],
            len(self.spec.constraints),
            self.seed,
            metrics=[objective.metric for objective in self.spec.objectives],
            earlier=self.earlier,
        )

    def _look_ahead(self, state: State, sampler: Sampler, limits: Limits) -> None:
        """What is left to gain, where the search is to end when that is little."""
        if limits.min_gain and len(state.records) >= FEWEST_TRIALS:
            state.left = sampler.left_to_gain(least_gain(limits.min_gain, state.noise, self.rigour))
            if state.left is not None:
                self.observer.expecting(state.left)

    def _look_around(self, state: State, *trials: TrialRecord, repeats: Sequence[RepeatRecord] = ()) -> None:
        """Says once that something else uses the GPU, as whoever searches can stop it now."""
        if state.has_neighbours:
            return
        state.are_uneven += [is_uneven(one.blocks) for _, one in measured_in(trials, repeats)]
        found = neighbours(self.spec.machine, state.are_uneven[-LATEST:])
        if found is not None:
            state.has_neighbours = True
            self.observer.note(f"{found.told}; nvidia-smi may show what it is")

    def _next(self, state: State, sampler: Sampler) -> Candidate:
        if not state.records:
            candidate = self.spec.baseline
        else:
            candidate = candidate_at(self.spec.space, sampler.suggest())
        sampler.mark_seen(candidate.settings)
        return candidate

    def _try(self, candidate: Candidate, state: State, limits: Limits) -> TrialRecord:
        number, key = len(state.records), evaluation_key(self.spec, candidate)
        self.observer.started(number, candidate)
        started_at, start, log_start = datetime.now(UTC), time.perf_counter(), self.executor.log_position()
        stored = self._stored(key)
        assumed = None if stored is not None else state.assumed(candidate)
        evaluation = stored or assumed or self._evaluate(number, candidate, state, limits)
        reused = evaluation is stored
        if evaluation is assumed:
            # nobody tried it, so it is no answer for another study
            key = f"{key}-assumed"
        elif evaluation.measurement is not None and evaluation.measurement.pruned:
            # cut short against a bar that another study does not have
            key = f"{key}-pruned"
        stop_on_full_disk(evaluation)
        log = "" if reused else self.executor.log_since(log_start)
        seconds = time.perf_counter() - start
        self.storage.add_trial(
            self.name, number, key, evaluation, started_at=started_at, seconds=seconds, reused=reused, log=log
        )
        verdict, metrics, violations = judge(evaluation, self.spec.constraints)
        record = TrialRecord(
            number, candidate, verdict, metrics, violations, evaluation, started_at, seconds, reused, log
        )
        record = replace(record, same_as=reuse.same_as(evaluation, state.records))
        self.observer.finished(record)
        if number == 0:
            check_told(record, self.spec)
        return record

    def _anchors(self, state: State, limits: Limits, repeats: Sequence[RepeatRecord]) -> Anchors:
        def evaluate(baseline: Candidate) -> Evaluation:
            found = self.executor.evaluate(baseline, _seconds_for_a_trial(state, limits), lambda *_: None)
            stop_on_full_disk(found)
            return found

        key = evaluation_key(self.spec, self.spec.baseline)
        return Anchors(
            self.rigour,
            self.spec.objectives[0].metric,
            evaluate,
            lambda repeat: self.storage.add_repeat(self.name, key, repeat),
            self.observer.preparing,
            list(repeats),
        )

    def _measure_baseline(self, state: State, anchors: Anchors, must_end: Callable[[], bool]) -> None:
        """As often as is due and there is time; a baseline that failed has nothing to say."""
        if not state.records or state.records[0].measurement is None:
            return
        knew = anchors.noise(state.records)
        while not must_end() and (role := anchors.next_role(len(state.records))) is not None:
            anchors.measure(role, state.records)
            self._look_around(state, repeats=anchors.repeats[-1:])
        state.noise, state.drift = anchors.noise(state.records), anchors.drift(state.records)
        if knew is None and state.noise is not None:
            self.observer.note(
                f"self-test: measured once each, engines that differ by {state.noise.detectable:.1%} or more "
                "can be told apart on this machine now"
            )

    def _stored(self, key: str) -> Evaluation | None:
        """What an earlier study found, where trying again would only find the same."""
        found = None if self.remeasure else self.storage.find_evaluation(key)
        lasting = found is not None and (found.failure is None or found.failure.kind in LASTING)
        return found if lasting else None

    def _evaluate(self, number: int, candidate: Candidate, state: State, limits: Limits) -> Evaluation:
        watch = partial(self.observer.stage, number)
        bar = self._bar(state)
        measured = {} if self.remeasure else reuse.measured(state.records, candidate)
        return self.executor.evaluate(candidate, _seconds_for_a_trial(state, limits), watch, bar, measured)

    def _leave_out_dead(self, state: State, sampler: Sampler) -> None:
        """Where the sampler can do without them."""
        if not isinstance(sampler, Narrowing):
            return
        for found in dead(state.records, self.spec.space):
            if found.name not in state.left_out:
                state.left_out.add(found.name)
                sampler.leave_out(found.name, found.value)
                self.observer.note(found.reason)

    def _bar(self, state: State) -> Bar | None:
        if not self.rigour.racing:
            return None
        return bar_of(state.records, self.spec.objectives, state.noise, state.drift, datetime.now(UTC))


def _from_before(record: TrialRecord, observation: Observation) -> Observation:
    """What an earlier run found; what failed by accident or for want of time may be built in this one."""
    lasts = record.failure is None or record.failure.kind in LASTING
    return observation if lasts else replace(observation, failed="measure")


def _ending(
    state: State, limits: Limits, stop: Stop, sampler: Sampler, deadline: float | None
) -> Ending | None:
    if stop.requested:
        return "interrupted"
    if len(state.records) >= limits.trials:
        return "complete"
    if sampler.is_exhausted:
        return "exhausted"
    if is_converged(state.left):
        return "converged"
    return "timeout" if _is_over(state, deadline) else None


def _is_over(state: State, deadline: float | None) -> bool:
    """A search that is too short for anything else has at least its baseline."""
    return bool(state.records) and deadline is not None and time.monotonic() >= deadline


def _seconds_for_a_trial(state: State, limits: Limits) -> float:
    return limit_seconds(limits, state.records[0].evaluation if state.records else None)


def stop_on_full_disk(evaluation: Evaluation) -> None:
    if evaluation.failure is not None and evaluation.failure.kind == "disk_full":
        raise UserError(
            evaluation.failure.message,
            "Finished trials are saved: free some space and run the same command again to go on.",
        )
