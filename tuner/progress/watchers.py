"""What a search shows while it runs: a live display on a terminal, else a line a trial; always on stderr."""

import sys
import time
from typing import TYPE_CHECKING

from tuner.progress.base import STOPPING, Following, Silent
from tuner.progress.lines import counts_line, log_lines, standing_line, trial_line
from tuner.progress.live import Live
from tuner.terminal import streams
from tuner.terminal.tables import clock

if TYPE_CHECKING:
    from studies.core.records import TrialRecord
    from studies.run.interfaces import Observer

__all__ = ["STOPPING", "Lines", "Live", "Silent", "watcher_for"]

# a line for what takes long where there is no live display: after this, then twice as long, ...
FIRST_REMINDER_SECONDS = 30.0
# on a terminal that cannot redraw somebody waits
WATCHED_REMINDER_SECONDS = 2.0
# how often a log says what the display always shows
COUNTS_EVERY = 10


def watcher_for(*, quiet: bool = False, verbose: bool = False) -> "Observer":
    """Return a live display on a terminal, lines elsewhere, or silence; `verbose` adds trial logs."""
    if quiet:
        return Silent()
    if streams.is_screen(sys.stderr):
        return Live(verbose)
    return Lines(verbose, WATCHED_REMINDER_SECONDS if sys.stderr.isatty() else FIRST_REMINDER_SECONDS)


class Lines(Following):
    """A plain line for each note and trial, for logs."""

    def __init__(self, verbose: bool = False, first_reminder: float = FIRST_REMINDER_SECONDS) -> None:
        super().__init__(verbose)
        self._first_reminder = self._reminder = first_reminder
        self._spoke = time.monotonic()

    def finished(self, record: "TrialRecord") -> None:
        if self._standing is None:
            return  # the baseline of a plan
        self._standing.add(record)
        self._tell_stopping()
        line = f"trial {record.number}: {trial_line(record, self._standing)}; {standing_line(self._standing)}"
        self._say(line, *log_lines(record, self._verbose))
        if self._standing.finished % COUNTS_EVERY == 0 and self._standing.seconds_left() is not None:
            self._say(counts_line(self._standing))

    def _doing(self, what: str) -> None:
        self._tell_stopping()
        is_new = what != self._what
        super()._doing(what)
        if is_new:
            self._reminder = self._first_reminder
            if time.monotonic() - self._spoke > self._first_reminder:
                self._say(what)
        elif time.monotonic() - self._since > self._reminder:
            self._say(f"{what}, for {clock(self._reminder)} so far")
            self._reminder *= 2

    def _tell_stopping(self) -> None:
        if self._stopping:
            self._stopping = False
            self._say(STOPPING)

    def _say(self, *lines: str, style: str = "dim") -> None:
        self._spoke = time.monotonic()
        streams.say(*lines)
