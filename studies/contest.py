"""Holding the finals: finalists loaded in a process each, timed in turn, session after session."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from engines.values import Candidate, Evaluation
from studies.records import RepeatRecord, TrialRecord
from studies.rigour import Rigour

HOLD_SECONDS = 1800.0
BLOCK_SECONDS = 300.0
TICK_SECONDS = 0.5


class Holder(Protocol):
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
OpenHolder = Callable[[Entry], AbstractContextManager[Holder]]


def entries_of(finalists: Iterable[TrialRecord], rebuilds: int) -> tuple[Entry, ...]:
    """Each finalist as it is, and rebuilt as often as asked; the baseline is what it is."""
    chosen = list(finalists)
    rebuilt = [Entry(trial, build) for trial in chosen if trial.number for build in range(1, rebuilds + 1)]
    return (*(Entry(trial) for trial in chosen), *rebuilt)


@dataclass(frozen=True)
class Contest:
    """The finals of a study that has `after` trials; `say` is told what is being done."""

    entries: Sequence[Entry]
    after: int
    rigour: Rigour
    open_holder: OpenHolder
    say: Callable[[str], None]
    seed: int = 0

    def session(self, number: int) -> list[RepeatRecord]:
        """One session: every entry loaded anew, timed in turn, and checked once more."""
        started_at = datetime.now(UTC)
        with ExitStack() as processes:
            self.say(self._what(number, f"loading {len(self.entries)} engines"))
            places = [
                _Place(entry, processes.enter_context(self.open_holder(entry))) for entry in self.entries
            ]
            try:
                self._hold(places, number)
                self._sample(places, number)
                self.say(self._what(number, "checking the outputs"))
                for place in places:
                    place.release()
            except BaseException:
                # the threads that wait for them end with them, and nobody waits for what they would say
                for place in places:
                    place.holder.kill()
                raise
        return [place.record(self.after, number, started_at) for place in places]

    def _hold(self, places: Sequence["_Place"], number: int) -> None:
        """Loads all at once: nothing is timed yet."""
        pool = ThreadPoolExecutor(len(places))
        try:
            waiting = [pool.submit(place.hold) for place in places]
            while wait(waiting, TICK_SECONDS).not_done:
                self.say(self._what(number, f"loading {len(places)} engines"))
            for one in waiting:
                one.result()
        finally:
            pool.shutdown(wait=False)

    def _sample(self, places: Sequence["_Place"], number: int) -> None:
        random = np.random.default_rng([self.seed, number])
        for turn in range(self.rigour.rounds):
            self.say(self._what(number, f"round {turn + 1} of {self.rigour.rounds}"))
            for index in random.permutation(len(places)):
                places[int(index)].sample()

    def _what(self, number: int, doing: str) -> str:
        return f"measuring the finalists again, session {number + 1} of {self.rigour.sessions}: {doing}"


@dataclass
class _Place:
    """An entry in one session; `ended` is its evaluation as soon as there is one."""

    entry: Entry
    holder: Holder
    ended: Evaluation | None = None

    @property
    def _candidate(self) -> Candidate:
        return self.entry.trial.candidate

    def hold(self) -> None:
        self.holder.open()
        self.ended = self.holder.hold(self._candidate, HOLD_SECONDS)

    def sample(self) -> None:
        if self.ended is None:
            self.ended = self.holder.sample(self._candidate, BLOCK_SECONDS)

    def release(self) -> None:
        if self.ended is None:
            self.ended = self.holder.release(self._candidate, BLOCK_SECONDS)

    def record(self, after: int, session: int, started_at: datetime) -> RepeatRecord:
        assert self.ended is not None
        return RepeatRecord(
            trial=self.entry.trial.number,
            role="final",
            after=after,
            session=session,
            build=self.entry.build,
            evaluation=self.ended,
            started_at=started_at,
        )
