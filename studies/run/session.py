"""Hold a session of the finals: load finalists in a process each, and time them in turn."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from engines.core.errors import UserError
from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import RepeatRecord, TrialRecord

HOLD_SECONDS = 1800.0
BLOCK_SECONDS = 300.0
TICK_SECONDS = 0.5


class LoadedEngine(Protocol):
    """A process that keeps one engine ready to be timed; started already."""

    def open(self) -> object: ...

    def hold(self, candidate: Candidate, seconds: float) -> Evaluation | None: ...

    def sample(self, candidate: Candidate, seconds: float) -> Evaluation | None: ...

    def release(self, candidate: Candidate, seconds: float) -> Evaluation: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Entry:
    """A trial's candidate in the finals; `build` is 0 for its own engine and counts cold rebuilds from 1."""

    trial: TrialRecord
    build: int = 0

    @property
    def name(self) -> str:
        if self.trial.number == 0 and not self.build:
            return "the baseline"
        return f"trial {self.trial.number}" + (f", rebuild {self.build}" if self.build else "")


# a fresh process for an entry, closed by whoever entered it
OpenEngine = Callable[[Entry], AbstractContextManager[LoadedEngine]]


def entries_of(finalists: Iterable[TrialRecord], rebuilds: int) -> tuple[Entry, ...]:
    """Return each finalist, and its rebuilds as often as asked; the baseline is not rebuilt."""
    chosen = list(finalists)
    rebuilt = [Entry(trial, build) for trial in chosen if trial.number for build in range(1, rebuilds + 1)]
    return (*(Entry(trial) for trial in chosen), *rebuilt)


@dataclass(frozen=True)
class Contest:
    """The finals of a study that has `after` trials, on a device; `say` gets a description of each step."""

    entries: Sequence[Entry]
    after: int
    measurement_plan: MeasurementPlan
    open_engine: OpenEngine
    say: Callable[[str], None]
    seed: int = 0
    device: str = ""

    def session(self, number: int, *, may_build: bool = False) -> list[RepeatRecord]:
        """Hold one session: load every entry anew, time them in turn, and check their outputs once more.

        Entries that `may_build` are loaded one after another: builders time what they choose from. One whose
        process cannot be used has failed; raises UserError when none can.
        """
        started_at = datetime.now(UTC)
        with ExitStack() as processes:
            self.say(self._what(number, f"loading {len(self.entries)} engines"))
            places = [
                _Place(entry, processes.enter_context(self.open_engine(entry))) for entry in self.entries
            ]
            try:
                self._load(places, number, may_build)
                self._sample(places, number)
                self.say(self._what(number, "checking the outputs"))
                for place in places:
                    place.release()
            except BaseException:
                # their waiting threads end with them, and their results are not used
                for place in places:
                    place.engine.kill()
                raise
        return [place.record(self, number, started_at) for place in places]

    def _load(self, places: Sequence["_Place"], number: int, may_build: bool) -> None:
        """Load the entries, all at once if nothing is timed yet."""
        what = self._what(number, f"loading {len(places)} engines")
        self._wait([place.open for place in places], len(places), what)
        self._wait([place.hold for place in places], 1 if may_build else len(places), what)
        unusable = [place.unusable for place in places if place.unusable is not None]
        if len(unusable) == len(places):
            raise unusable[0]

    def _wait(self, tasks: Sequence[Callable[[], None]], at_once: int, what: str) -> None:
        pool = ThreadPoolExecutor(at_once)
        try:
            waiting = [pool.submit(task) for task in tasks]
            while wait(waiting, TICK_SECONDS).not_done:
                self.say(what)
            for one in waiting:
                one.result()
        finally:
            # a load that has not begun would start a process that nobody closes
            pool.shutdown(wait=False, cancel_futures=True)

    def _sample(self, places: Sequence["_Place"], number: int) -> None:
        random = np.random.default_rng([self.seed, number])
        for turn in range(self.measurement_plan.rounds):
            self.say(self._what(number, f"round {turn + 1} of {self.measurement_plan.rounds}"))
            for index in random.permutation(len(places)):
                places[int(index)].sample()

    def _what(self, number: int, doing: str) -> str:
        sessions = self.measurement_plan.sessions
        return f"measuring the finalists again, session {number + 1} of {sessions}: {doing}"


@dataclass
class _Place:
    """An entry in one session; `ended` is its evaluation once there is one.

    `unusable` says why its process cannot be used.
    """

    entry: Entry
    engine: LoadedEngine
    ended: Evaluation | None = None
    unusable: UserError | None = None

    @property
    def _candidate(self) -> Candidate:
        return self.entry.trial.candidate

    def open(self) -> None:
        with self._failing():
            self.engine.open()

    def hold(self) -> None:
        if self.ended is None:
            with self._failing():
                self.ended = self.engine.hold(self._candidate, HOLD_SECONDS)

    def sample(self) -> None:
        if self.ended is None:
            self.ended = self.engine.sample(self._candidate, BLOCK_SECONDS)

    def release(self) -> None:
        if self.ended is None:
            self.ended = self.engine.release(self._candidate, BLOCK_SECONDS)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            self.unusable = error
            self.ended = Evaluation(self._candidate, failure=Failure("load", "crashed", error.message))

    def record(self, contest: Contest, session: int, started_at: datetime) -> RepeatRecord:
        assert self.ended is not None
        return RepeatRecord(
            trial=self.entry.trial.number,
            role="final",
            after=contest.after,
            session=session,
            build=self.entry.build,
            evaluation=self.ended,
            started_at=started_at,
            device=contest.device,
        )
