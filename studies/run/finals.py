"""Hold the finals of a study: open a process for each finalist, and store the results of each session."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from engines.artifacts.workspace import Workspace, temporary_folder
from engines.core.errors import Interrupted, UserError
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.core.identity import evaluation_key
from studies.core.records import RepeatRecord
from studies.finals.select import finalists
from studies.finals.verdict import FEWEST_SESSIONS
from studies.run.interfaces import Observer
from studies.run.limits import Ending, Stop
from studies.run.loop import StudyLoop
from studies.run.session import Contest, Entry, entries_of


class HeldTwice(UserError):
    """Another search is holding the finals of this study."""


def hold(
    loop: StudyLoop, opening: Open, workspace: Workspace, stop: Stop, end: float = math.inf
) -> Ending | None:
    """Measures the finalists again where that was not done for all trials; how it ended if early.

    Sessions that were finished before are not repeated, except with rebuilds, whose engines are gone. At the
    time `end`, of the monotonic clock, it is over, but not before there are sessions enough for a verdict.
    """
    study = loop.storage.read_study(loop.name)
    entries = entries_of(finalists(study, loop.measurement_plan.finalists), loop.measurement_plan.rebuilds)
    done = (
        _sessions_done(study.repeats, entries, len(study.trials))
        if entries
        else loop.measurement_plan.sessions
    )
    if done >= loop.measurement_plan.sessions:
        return None
    done = 0 if loop.measurement_plan.rebuilds else done
    rivals = ", ".join(entry.name for entry in entries)
    loop.observer.note(f"measuring again, in turn, in {loop.measurement_plan.sessions} sessions: {rivals}")
    clock = _Clock(loop.observer, end)
    with ExitStack() as rebuilt, stop.while_running():
        folders = {entry: _folder(entry, workspace, rebuilt) for entry in entries}
        contest = Contest(
            entries=entries,
            after=len(study.trials),
            measurement_plan=loop.measurement_plan,
            open_engine=partial(_worker, opening, folders),
            say=clock.say,
            seed=loop.seed,
            device=loop.executor.devices[0].name,
        )
        try:
            numbers = range(done, loop.measurement_plan.sessions)
            return _sessions(loop, contest, numbers, stop, clock, len(study.repeats))
        except HeldTwice:
            raise
        except (Interrupted, KeyboardInterrupt):
            return "interrupted"
        except UserError as error:
            # keep the results of the search instead of ending with an error
            loop.observer.note(f"the finalists could not all be measured again: {error.message}")
    return None


def _folder(entry: Entry, workspace: Workspace, rebuilt: ExitStack) -> Path:
    """Return the folder of the entry's engine: one of its own, with empty caches, for a rebuild."""
    return rebuilt.enter_context(temporary_folder(workspace.caches)) if entry.build else workspace.root


def _sessions(
    loop: StudyLoop, contest: Contest, numbers: range, stop: Stop, clock: "_Clock", stored: int
) -> Ending | None:
    """Hold the sessions that are missing, after so many stored repeats; raises HeldTwice if another search
    stored some meanwhile.
    """
    # engines of rebuilds are not made yet, and others may have been deleted
    may_build = True
    for number in numbers:
        if stop.requested:
            return "interrupted"
        if number >= FEWEST_SESSIONS and clock.is_over:
            return "timeout"
        repeats = contest.session(number, may_build=may_build)
        if loop.storage.count_repeats(loop.name) != stored:
            raise HeldTwice(
                f"the finals of study {loop.name!r} are held by another search too",
                "Let only one of them run: all but this session is saved.",
            )
        _store(loop, repeats)
        stored += len(repeats)
        may_build = any(one.evaluation.failure is not None for one in repeats)
        clock.sessions_left(numbers.stop - number - 1)
    return None


@dataclass
class _Clock:
    """Report what is being done, and from the second session on how long it will take.

    It is over when a session as long as the last would last beyond the end.
    """

    observer: Observer
    end: float = math.inf
    last: float = 0.0
    began: float = field(default_factory=time.monotonic)
    ends: float | None = None

    @property
    def is_over(self) -> bool:
        return time.monotonic() + self.last > self.end

    def say(self, what: str) -> None:
        left = None if self.ends is None else max(0.0, self.ends - time.monotonic())
        self.observer.preparing(what, left)

    def sessions_left(self, count: int) -> None:
        now = time.monotonic()
        self.last, self.began = now - self.began, now
        self.ends = now + count * self.last


def _store(loop: StudyLoop, repeats: list[RepeatRecord]) -> None:
    for repeat in repeats:
        key = evaluation_key(loop.spec, repeat.evaluation.candidate)
        loop.storage.add_repeat(loop.name, key, repeat)


def _sessions_done(repeats: tuple[RepeatRecord, ...], entries: tuple[Entry, ...], after: int) -> int:
    """Return the sessions in which every entry was measured already."""
    held = {
        (one.trial, one.build, one.session) for one in repeats if one.role == "final" and one.after == after
    }
    number = 0
    while all((entry.trial.number, entry.build, number) in held for entry in entries):
        number += 1
    return number


@contextmanager
def _worker(opening: Open, folders: dict[Entry, Path], entry: Entry) -> Iterator[Worker]:
    workspace = Workspace(folders[entry]).create()
    name = f"-trial-{entry.trial.number}" + (f"-rebuild-{entry.build}" if entry.build else "")
    elsewhere = msgspec.structs.replace(opening, workspace=str(workspace.root.resolve()))
    with Worker(elsewhere, workspace, name) as worker:
        # started here, not in the waiting thread: Linux ends a process with the thread that started it
        worker.start()
        yield worker
