"""Every strategy on every landscape, with every seed, in several processes."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.search.searches import Search, Until, search
from benchmarks.search.strategies import STRATEGIES
from benchmarks.search.world import World
from studies.search.observations import Earlier

# so many seeds are handed to a process at once
CHUNK = 5
# a search is at least as long as half of the time that random search takes
LONGEST_TIME_SHARE = 0.5


@dataclass(frozen=True)
class Task:
    world: int
    strategy: str
    seeds: tuple[int, ...]
    until: Until


@dataclass(frozen=True)
class Result:
    """A landscape's searches by strategy, in the order of the seeds; `seconds` is what random takes."""

    world: World
    seconds: float
    searches: dict[str, list[Search]]


class Contest:
    """Holds the landscapes, here or in other processes; `earlier` belongs to each of them."""

    def __init__(self, worlds: Sequence[World], earlier: Sequence[Sequence[Earlier]], jobs: int) -> None:
        self._worlds, self._earlier, self._jobs = worlds, earlier, jobs

    def run(self, strategies: Sequence[str], seeds: int, until: Until) -> list[Result]:
        """Random search goes first, since the time that it takes is the measure of others."""
        with self._pool() as pool:
            limits = [until] * len(self._worlds)
            done = self._searches(pool, ["random"], seeds, limits)
            budgets = [
                float(np.mean([one.seconds[: until.trials][-1] for one in some["random"]])) for some in done
            ]
            limits = [replace(until, seconds=LONGEST_TIME_SHARE * budget) for budget in budgets]
            others = [one for one in strategies if one != "random"]
            rest = self._searches(pool, others, seeds, limits)
        return [
            Result(world, budget, {name: {**first, **more}[name] for name in ("random", *others)})
            for world, budget, first, more in zip(self._worlds, budgets, done, rest, strict=True)
        ]

    def _searches(
        self, pool: ProcessPoolExecutor | None, strategies: Sequence[str], seeds: int, limits: Sequence[Until]
    ) -> list[dict[str, list[Search]]]:
        tasks = [
            Task(number, strategy, tuple(range(start, min(start + CHUNK, seeds))), limits[number])
            for strategy in strategies
            for number in range(len(self._worlds))
            for start in range(0, seeds, CHUNK)
        ]
        found: list[dict[str, list[Search]]] = [{} for _ in self._worlds]
        for task, some in zip(tasks, self._done(pool, tasks), strict=True):
            found[task.world].setdefault(task.strategy, []).extend(some)
        return found

    def _done(self, pool: ProcessPoolExecutor | None, tasks: Sequence[Task]) -> Iterator[list[Search]]:
        if pool is not None:
            return pool.map(_run, tasks)
        return (run(task, self._worlds, self._earlier) for task in tasks)

    def _pool(self) -> AbstractContextManager[ProcessPoolExecutor | None]:
        if self._jobs < 2:
            return nullcontext()
        # there is a process for each core, and samplers with small matrices only wait for more threads
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        # threads of numerical libraries do not survive a fork
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._jobs, context, _begin, (self._worlds, self._earlier))


def run(task: Task, worlds: Sequence[World], earlier: Sequence[Sequence[Earlier]]) -> list[Search]:
    """The searches of a task."""
    world, known = worlds[task.world], earlier[task.world]
    make = STRATEGIES[task.strategy]
    return [search(world, task.strategy, make, seed, task.until, known) for seed in task.seeds]


# what a process holds all the time, so that it is not sent with every task
_held: list[tuple[Sequence[World], Sequence[Sequence[Earlier]]]] = []


def _begin(worlds: Sequence[World], earlier: Sequence[Sequence[Earlier]]) -> None:
    _held.append((worlds, earlier))


def _run(task: Task) -> list[Search]:
    return run(task, *_held[-1])
