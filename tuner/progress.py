"""What a search shows while it runs: a live display on a terminal, else a line a trial; always on stderr."""

import sys
import time
from typing import TYPE_CHECKING, Any

from studies.rigour import TRIALS_ALONE, Rigour
from studies.running import Standing
from tuner import streams
from tuner.progress_lines import beginning, counts_line, log_lines, settings_text, standing_line, trial_line
from tuner.texts import clock

if TYPE_CHECKING:
    from engines.values import Candidate, Stage
    from studies.limits import Limits
    from studies.records import StudySpec, TrialRecord
    from studies.stopping import Left
    from tuner.searching import Watcher

DOING = {
    "prepare": "preparing",
    "graph": "making the graph",
    "build": "building the engine",
    "load": "loading the engine",
    "check": "checking the outputs",
    "warm-up": "warming up",
    "wait": "waiting for another tuner to leave the GPU",
    "measure": "measuring",
}
STOPPING = "finishing what is in flight; Ctrl-C again stops at once"
# a line for what takes long where there is no live display: after this, then twice as long, ...
FIRST_REMINDER_SECONDS = 30.0
# how often a log says what the display always shows
COUNTS_EVERY = 10


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def preparing(self, what: str) -> None: ...

    def begin(
        self,
        name: str,
        spec: "StudySpec",
        limits: "Limits",
        records: "tuple[TrialRecord, ...]",
        rigour: Rigour = TRIALS_ALONE,
    ) -> None: ...

    def expecting(self, left: "Left") -> None: ...

    def started(self, number: int, candidate: "Candidate") -> None: ...

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None: ...

    def finished(self, record: "TrialRecord") -> None: ...

    def stopping(self) -> None: ...

    def close(self) -> None: ...


class Lines(Silent):
    """A plain line for each note and trial, for logs."""

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._standing: Standing | None = None
        self._stopping = False
        self._what, self._since, self._reminder = "", time.monotonic(), FIRST_REMINDER_SECONDS
        self._spoke = time.monotonic()

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def preparing(self, what: str) -> None:
        self._doing(what)

    def begin(
        self,
        name: str,
        spec: "StudySpec",
        limits: "Limits",
        records: "tuple[TrialRecord, ...]",
        rigour: Rigour = TRIALS_ALONE,
    ) -> None:
        self._standing = _standing(spec, limits, records, rigour)
        self._say(beginning(name, limits, records))

    def expecting(self, left: "Left") -> None:
        if self._standing is not None:
            self._standing.left = left

    def started(self, number: int, candidate: "Candidate") -> None:
        self._doing(f"trial {number}: {DOING['prepare']}")

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None:
        self._doing(f"trial {number}: {DOING[stage]}")

    def finished(self, record: "TrialRecord") -> None:
        assert self._standing is not None
        self._standing.add(record)
        self._tell_stopping()
        line = f"trial {record.number}: {trial_line(record, self._standing)}; {standing_line(self._standing)}"
        self._say(line, *log_lines(record, self._verbose))
        if self._standing.finished % COUNTS_EVERY == 0 and self._standing.seconds_left() is not None:
            self._say(counts_line(self._standing))

    def stopping(self) -> None:
        self._stopping = True

    def _doing(self, what: str) -> None:
        self._tell_stopping()
        if what != self._what:
            self._what, self._since, self._reminder = what, time.monotonic(), FIRST_REMINDER_SECONDS
            if time.monotonic() - self._spoke > FIRST_REMINDER_SECONDS:
                self._say(what)
        elif time.monotonic() - self._since > self._reminder:
            self._say(f"{what}, for {clock(self._reminder)} so far")
            self._reminder *= 2

    def _tell_stopping(self) -> None:
        if self._stopping:
            self._stopping = False
            self._say(STOPPING)

    def _say(self, *lines: str) -> None:
        self._spoke = time.monotonic()
        streams.say(*lines)


class Live(Silent):
    """A display of a few lines that is redrawn in place, the clock included."""

    def __init__(self, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live as Display
        from rich.spinner import Spinner

        self._verbose = verbose
        self._console: Console = Console(stderr=True)
        self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line")
        self._standing: Standing | None = None
        self._stopping = False
        self._what, self._settings, self._since = "starting", "", time.monotonic()
        self._detail = ""
        self._display = Display(
            console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True
        )
        self._display.start()

    def note(self, text: str) -> None:
        self._print(f"note: {text}")

    def preparing(self, what: str) -> None:
        self._doing(what)

    def begin(
        self,
        name: str,
        spec: "StudySpec",
        limits: "Limits",
        records: "tuple[TrialRecord, ...]",
        rigour: Rigour = TRIALS_ALONE,
    ) -> None:
        self._standing = _standing(spec, limits, records, rigour)
        self._print(beginning(name, limits, records), style="none")

    def expecting(self, left: "Left") -> None:
        if self._standing is not None:
            self._standing.left = left

    def started(self, number: int, candidate: "Candidate") -> None:
        self._settings = settings_text(candidate)
        self.stage(number, "prepare")

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None:
        self._doing(f"trial {number}: {DOING[stage]}")
        self._detail = detail

    def finished(self, record: "TrialRecord") -> None:
        assert self._standing is not None
        before = self._standing.best_number
        self._standing.add(record)
        if record.failure is not None or self._standing.best_number != before:
            self._print(f"trial {record.number}: {trial_line(record, self._standing)}")
        for line in log_lines(record, self._verbose):
            self._print(line)

    def stopping(self) -> None:
        self._stopping = True

    def close(self) -> None:
        self._display.stop()

    def _doing(self, what: str) -> None:
        self._detail = ""
        if what != self._what:
            self._what, self._since = what, time.monotonic()

    def _print(self, text: str, style: str = "dim") -> None:
        from rich.text import Text

        self._console.print(Text(text, style=style))

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar

        turning = self._spinner.render(self._console.get_time())
        detail = f"  {self._detail}" if self._detail else ""
        now = _line(f"{turning} {self._what}  {clock(time.monotonic() - self._since)}{detail}", "bold")
        stopping = [_line(STOPPING, "yellow")] if self._stopping else []
        if self._standing is None:
            return Group(now, *stopping)
        standing = self._standing
        return Group(
            now,
            _line(self._settings, "dim"),
            _line(standing_line(standing)),
            _line(counts_line(standing), "dim"),
            ProgressBar(total=standing.trials, completed=standing.finished, width=40),
            *stopping,
        )


def watcher_for(*, quiet: bool = False, verbose: bool = False) -> "Watcher":
    """Live on a terminal, lines elsewhere, silent when asked to be quiet; `verbose` adds each trial's log."""
    if quiet:
        return Silent()
    return Live(verbose) if streams.is_screen(sys.stderr) else Lines(verbose)


def _standing(
    spec: "StudySpec", limits: "Limits", records: "tuple[TrialRecord, ...]", rigour: Rigour
) -> Standing:
    standing = Standing(spec, limits.trials, limits.seconds, rigour, min_gain=limits.min_gain)
    standing.add_all(records)
    return standing


def _line(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style, overflow="ellipsis", no_wrap=True)
