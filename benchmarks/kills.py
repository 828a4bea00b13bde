"""A search that is killed (SIGKILL) again and again, and what is left of it each time and in the end.

Each kill comes a random while after the search reported a random number of trials; the seed decides both.
With --workers several trials are under way at once.
"""

import argparse
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.runs import heading, model, tuner, verdict
from studies.core.records import StudyRecord, TrialRecord
from studies.storage.optuna_mirror import number_of
from studies.storage.storage import open_storage

STUDY = "killed"
BACKEND = "fake:trial_seconds=0.02,fault_rate=0.2"
MARK = "TUNER_KILLS_MARK"
MOST_REPORTED = 8
LONGEST_DELAY_SECONDS = 0.1
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Kill:
    """What one run had reported on stderr by its death, and what was found afterwards: `under_way` are the
    trials that it had written down as begun.
    """

    reported: tuple[int, ...]
    stored: tuple[int, ...]
    sound: bool
    workers_left: int
    unfinished: tuple[Path, ...]
    under_way: int

    @property
    def lost(self) -> set[int]:
        """Trials reported as finished that are not stored."""
        return set(self.reported) - set(self.stored)


@dataclass(frozen=True)
class End:
    """What the run that was let live made of it."""

    exit_code: int
    study: StudyRecord
    sound: bool
    optuna_agrees: bool
    workers_left: int
    unfinished: tuple[Path, ...]
    under_way: int

    def is_whole(self, workers: int) -> bool:
        """Every trial is there once, and every candidate was tried once.

        Numbers that were under way beside others when the search was killed stay missing.
        """
        numbers = [trial.number for trial in self.study.trials]
        candidates = {trial.candidate for trial in self.study.trials}
        in_order = numbers == (list(range(len(numbers))) if workers == 1 else sorted(set(numbers)))
        return in_order and len(candidates) == len(numbers)


@dataclass(frozen=True)
class Search:
    """The command, its workspace, and the mark by which its processes are found."""

    folder: Path
    trials: int
    mark: str
    workers: int = 1

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def start(self) -> "subprocess.Popen[str]":
        program = tuner if self.workers == 1 else partial(_several, self.workers)
        command = program(
            *("search", model(self.folder), "--backend", BACKEND, "--trials", str(self.trials)),
            *("--min-gain", "0", "--finalists", "0"),
            *("--trial-timeout", "1", "--study", STUDY, "--workspace", self.workspace),
        )
        return subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark},
        )

    def kill(self, after: int, delay: float) -> Kill:
        """Runs until so many trials were reported and a while longer, then kills the command."""
        with self.start() as process:
            assert process.stderr is not None
            reported = _reported(process.stderr.readline())
            while len(reported) < after and (line := process.stderr.readline()):
                reported += _reported(line)
            time.sleep(delay)
            process.kill()
            reported += [number for line in process.stderr for number in _reported(line)]
        left = self._workers_left()
        found = self._is_sound(), left, self._unfinished(), self._under_way()
        return Kill(tuple(reported), self._stored(), *found)

    def finish(self) -> End:
        """Runs to the end."""
        with self.start() as process:
            process.communicate()
        with open_storage(str(self.workspace / "studies.db")) as storage:
            study = storage.read_study(STUDY)
            told = optuna.load_study(study_name=STUDY, storage=storage.url).trials
        ours = sorted(told, key=number_of)
        agrees = len(told) == len(study.trials) and all(map(_same, ours, study.trials))
        left = self._workers_left()
        found = left, self._unfinished(), self._under_way()
        return End(process.returncode, study, self._is_sound(), agrees, *found)

    def _stored(self) -> tuple[int, ...]:
        with closing(sqlite3.connect(self.workspace / "studies.db")) as database:
            rows = database.execute("SELECT number FROM tuner_trial ORDER BY number")
            return tuple(number for (number,) in rows)

    def _under_way(self) -> int:
        with closing(sqlite3.connect(self.workspace / "studies.db")) as database:
            return int(database.execute("SELECT count(*) FROM tuner_attempt").fetchone()[0])

    def _is_sound(self) -> bool:
        with closing(sqlite3.connect(self.workspace / "studies.db")) as database:
            integrity = database.execute("PRAGMA integrity_check").fetchall()
            return integrity == [("ok",)] and not database.execute("PRAGMA foreign_key_check").fetchall()

    def _unfinished(self) -> tuple[Path, ...]:
        """What processes left that are gone; one that init has not reaped yet still counts as running."""
        found = self.workspace.rglob(".unfinished-*")
        return tuple(path for path in found if not Path("/proc", path.name.split("-")[1]).exists())

    def _workers_left(self) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := _marked_processes(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return left


def search_in(folder: Path, trials: int, workers: int = 1) -> Search:
    return Search(folder, trials, uuid4().hex, workers)


def _several(workers: int, *arguments: str | Path) -> list[str]:
    """The command line of a search with so many workers."""
    program = "benchmarks.several_workers"
    return [sys.executable, "-m", program, str(workers), *(str(argument) for argument in arguments)]


def kills(search: Search, count: int, seed: int) -> Iterator[Kill]:
    """Kills the search so many times, one after another, and yields what each left."""
    moments = random.Random(seed)
    for _ in range(count):
        yield search.kill(moments.randint(0, MOST_REPORTED), moments.uniform(0, LONGEST_DELAY_SECONDS))


def _reported(line: str) -> list[int]:
    """The trial that the line reports as finished, if it does."""
    match = re.match(r"trial (\d+): (?!still )", line)
    return [int(match[1])] if match else []


def _same(told: FrozenTrial, record: TrialRecord) -> bool:
    if record.state == "failed":
        return number_of(told) == record.number and told.state == TrialState.PRUNED
    value = record.metrics["latency_ms"].value
    return (number_of(told), told.state, told.value) == (record.number, TrialState.COMPLETE, value)


def _marked_processes(mark: str) -> int:
    """Processes, zombies left out, that have the mark in their environment."""
    found = 0
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += mark.encode() in file.read_bytes()
        except OSError:
            continue
    return found


def cleared(killed: list[Kill], end: End) -> bool:
    """Whether the next run took away whatever a killed one left unfinished."""
    after = [kill.unfinished for kill in killed[1:]] + [end.unfinished]
    return not any(set(kill.unfinished) & set(later) for kill, later in zip(killed, after, strict=True))


def _print_kill(number: int, kill: Kill) -> None:
    print(
        f"kill {number:<4} {len(kill.reported)} trials reported, {len(kill.stored)} stored in all, "
        f"{kill.under_way} under way, {len(kill.lost)} lost, database {'ok' if kill.sound else 'BROKEN'}, "
        f"{kill.workers_left} workers and {len(kill.unfinished)} unfinished files left",
        flush=True,
    )


def _print_end(end: End) -> None:
    print(
        f"the end   exit code {end.exit_code}, {len(end.study.trials)} trials, "
        f"database {'ok' if end.sound else 'BROKEN'}, {end.workers_left} workers left"
    )


def main() -> None:
    """Prints what each kill left; exits with 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="so many trials are under way at once")
    asked = parser.parse_args()
    print(heading(), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        search = search_in(Path(folder), asked.trials, asked.workers)
        killed = []
        for number, kill in enumerate(kills(search, asked.kills, asked.seed), 1):
            killed.append(kill)
            _print_kill(number, kill)
        end = search.finish()
        _print_end(end)
    limits = {
        "every trial reported as finished is stored": not any(kill.lost for kill in killed),
        "the database passes its checks": all(kill.sound for kill in killed) and end.sound,
        "no process is left over": not any(kill.workers_left for kill in killed) and not end.workers_left,
        "every trial and candidate is there once": end.is_whole(asked.workers)
        and len(end.study.trials) == asked.trials,
        "Optuna's trials are the study's": end.optuna_agrees,
        "what was unfinished is cleared by the next run": cleared(killed, end),
        "nothing is left under way in the end": not end.under_way,
    }
    for limit, kept in limits.items():
        print(verdict(kept, limit))
    sys.exit(not all(limits.values()))


if __name__ == "__main__":
    main()
