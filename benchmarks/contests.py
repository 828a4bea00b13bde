"""Finals as a search holds them, between engines that are known."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from benchmarks.subjects import Subject, study, trial
from engines.core.results import Evaluation
from engines.core.values import Candidate
from engines.worker.client import Worker
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import RepeatRecord
from studies.finals.verdict import Finals, finals
from studies.run.session import Contest, Entry, LoadedEngine, OpenEngine


@dataclass(frozen=True)
class Kept:
    """A process that outlives its session; what it holds is loaded anew all the same."""

    worker: Worker

    def open(self) -> None:
        """It is."""

    def hold(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        return self.worker.hold(candidate, seconds)

    def sample(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        return self.worker.sample(candidate, seconds)

    def release(self, candidate: Candidate, seconds: float) -> Evaluation:
        return self.worker.release(candidate, seconds)

    def kill(self) -> None:
        self.worker.kill()


@contextmanager
def engines(rivals: Sequence[Subject], *, keep: bool) -> Iterator[OpenEngine]:
    """Opens what holds a rival, which has the number of its trial: a process a session, or one for all."""
    with ExitStack() as stack:
        if not keep:
            yield _fresh(rivals)
            return
        workers = [stack.enter_context(one.worker(f"-rival-{number}")) for number, one in enumerate(rivals)]
        for worker in workers:
            worker.open()
        yield lambda entry: nullcontext(Kept(workers[entry.trial.number]))


def _fresh(rivals: Sequence[Subject]) -> Callable[[Entry], AbstractContextManager[LoadedEngine]]:
    @contextmanager
    def open_engine(entry: Entry) -> Iterator[Worker]:
        number = entry.trial.number
        with rivals[number].worker(f"-rival-{number}") as worker:
            # in the main thread, with which it would end
            worker.start()
            yield worker

    return open_engine


def contest(
    rivals: Sequence[Subject],
    evaluations: Sequence[Evaluation],
    open_engine: OpenEngine,
    measurement_plan: MeasurementPlan,
    seed: int,
) -> Finals:
    """Finals over trials of which nothing but these evaluations is known; the first is the baseline."""
    spec = rivals[0].spec
    trials = [trial(spec, number, one) for number, one in enumerate(evaluations)]
    entries = tuple(Entry(one) for one in trials)
    held = Contest(entries, len(trials), measurement_plan, open_engine, lambda _: None, seed)
    repeats: list[RepeatRecord] = []
    for number in range(measurement_plan.sessions):
        repeats += held.session(number)
    found = finals(study(spec, trials, repeats))
    if found is None:
        failures = {one.evaluation.failure.message for one in repeats if one.evaluation.failure}
        raise SystemExit(f"the finals came to no end: {'; '.join(failures)}")
    return found
