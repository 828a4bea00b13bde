from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.timer import Launches, busy, do_bench, loop, pairs

LAUNCH_MS, FLUSH_MS = 2.0, 5.0


@dataclass
class Clock:
    """A device, its stream and its memory in one; only launches and flushes take time."""

    now: float = 0.0
    flushes: int = 0
    is_open: bool = False

    def create_event(self, options: Any) -> "Event":
        return Event()

    def record(self, event: "Event") -> None:
        event.at = self.now

    def sync(self) -> None:
        """All work is done at once."""

    def allocate(self, size: int, stream: Any) -> "Clock":
        self.is_open = True
        return self

    def fill(self, value: int, stream: Any) -> None:
        self.now += FLUSH_MS
        self.flushes += 1

    def close(self, stream: Any) -> None:
        self.is_open = False

    def launch(self) -> None:
        self.now += LAUNCH_MS


class Event:
    at = 0.0

    def sync(self) -> None:
        """All work is done at once."""

    def __sub__(self, other: "Event") -> float:
        return self.at - other.at


def launches(clock: Clock) -> Launches:
    return Launches(None, clock, clock, clock.launch)


def test_every_loop_finds_what_a_launch_takes() -> None:
    of = launches(Clock())
    assert pairs(of) == loop(of) == pytest.approx(LAUNCH_MS)
    assert do_bench(of, flush=False) == pytest.approx(LAUNCH_MS)


def test_the_flush_is_done_before_each_launch_and_not_timed() -> None:
    clock = Clock()
    assert do_bench(launches(clock), flush=True) == pytest.approx(LAUNCH_MS)
    # five for the estimate, then 100 ms of launches with a flush each
    assert clock.flushes == 5 + int(100 / (LAUNCH_MS + FLUSH_MS))
    assert not clock.is_open


def test_kernels_that_overlap_count_once() -> None:
    assert busy([(0, 10), (5, 8), (9, 20), (30, 40)]) == 30
