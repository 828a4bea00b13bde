"""What a search shows while it runs: a live display on a terminal, else a line a trial; always on stderr."""

import sys
import time
from typing import Any

from dashboards import formats, wording
from engines.values import Candidate, Stage
from studies.owner import Limits
from studies.records import StudySpec, TrialRecord
from studies.running import Standing
from tuner.searching import Watcher

DOING = {
    "prepare": "preparing",
    "graph": "making the graph",
    "build": "building the engine",
    "load": "loading the engine",
    "check": "checking the outputs",
    "warm-up": "warming up",
    "measure": "measuring",
}
# a line for a stage that takes long where there is no live display: after this, then twice as long, ...
FIRST_REMINDER_SECONDS = 30.0


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def preparing(self, what: str) -> None: ...

    def begin(self, name: str, spec: StudySpec, limits: Limits, records: tuple[TrialRecord, ...]) -> None: ...

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage) -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def close(self) -> None: ...


class Lines(Silent):
    """A plain line for each note and trial, for logs."""

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._standing: Standing | None = None
        self._stage: Stage = "prepare"
        self._since, self._reminder = time.monotonic(), FIRST_REMINDER_SECONDS

    def note(self, text: str) -> None:
        print(f"note: {text}", file=sys.stderr)

    def begin(self, name: str, spec: StudySpec, limits: Limits, records: tuple[TrialRecord, ...]) -> None:
        self._standing = Standing(spec.objectives[0], limits.trials, limits.seconds)
        self._standing.add_all(records)
        print(beginning(name, limits, records), file=sys.stderr)

    def started(self, number: int, candidate: Candidate) -> None:
        self._enter("prepare")

    def stage(self, number: int, stage: Stage) -> None:
        if stage != self._stage:
            self._enter(stage)
        elif time.monotonic() - self._since > self._reminder:
            print(f"trial {number}: still {DOING[stage]}, {self._reminder:.0f} s", file=sys.stderr)
            self._reminder *= 2

    def finished(self, record: TrialRecord) -> None:
        assert self._standing is not None
        self._standing.add(record)
        line = f"trial {record.number}: {trial_line(record, self._standing)}; {standing_line(self._standing)}"
        log = record.log if self._verbose else ""
        print(line, log, sep="\n" if log else "", file=sys.stderr, flush=True)

    def _enter(self, stage: Stage) -> None:
        self._stage, self._since, self._reminder = stage, time.monotonic(), FIRST_REMINDER_SECONDS


class Live(Silent):
    """A display of a few lines that is redrawn in place, the clock included."""

    def __init__(self, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._verbose = verbose
        self._console = Console(stderr=True)
        self._standing: Standing | None = None
        self._what, self._settings, self._since = "starting", "", time.monotonic()
        self._display = Display(
            console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True
        )
        self._display.start()

    def note(self, text: str) -> None:
        self._console.print(f"[dim]note:[/] {_escape(text)}", highlight=False)

    def preparing(self, what: str) -> None:
        if what != self._what:
            self._what, self._since = what, time.monotonic()

    def begin(self, name: str, spec: StudySpec, limits: Limits, records: tuple[TrialRecord, ...]) -> None:
        self._standing = Standing(spec.objectives[0], limits.trials, limits.seconds)
        self._standing.add_all(records)
        self._console.print(_escape(beginning(name, limits, records)), highlight=False)

    def started(self, number: int, candidate: Candidate) -> None:
        self._settings = settings_text(candidate)
        self.stage(number, "prepare")

    def stage(self, number: int, stage: Stage) -> None:
        self.preparing(f"trial {number}: {DOING[stage]}")

    def finished(self, record: TrialRecord) -> None:
        assert self._standing is not None
        self._standing.add(record)
        if record.failure is not None:
            line = f"trial {record.number}: {trial_line(record, self._standing)}"
            self._console.print(f"[dim]{_escape(line)}[/]", highlight=False)
        if self._verbose and record.log:
            self._console.print(_escape(record.log), highlight=False)

    def close(self) -> None:
        self._display.stop()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.text import Text

        clock = f"{self._what}  {time.monotonic() - self._since:.0f} s"
        now = Spinner("dots", text=Text(clock, style="bold"))
        if self._standing is None:
            return now
        bar = ProgressBar(total=self._standing.trials, completed=self._standing.finished, width=40)
        lines = [
            Text(self._settings, style="dim", overflow="ellipsis", no_wrap=True),
            Text(standing_line(self._standing), overflow="ellipsis", no_wrap=True),
            Text(counts_line(self._standing), style="dim"),
        ]
        return Group(now, *lines, bar)


def watcher_for(*, quiet: bool = False, verbose: bool = False) -> Watcher:
    """Live on a terminal, lines elsewhere, silent when asked to be quiet; `verbose` adds each trial's log."""
    if quiet:
        return Silent()
    return Live(verbose) if sys.stderr.isatty() else Lines(verbose)


def beginning(name: str, limits: Limits, records: tuple[TrialRecord, ...]) -> str:
    """What is about to happen."""
    going = f"going on with study {name} behind trial {len(records) - 1}" if records else f"study {name}"
    return f"{going}: up to {formats.plural(limits.trials, 'trial')}"


def trial_line(record: TrialRecord, standing: Standing) -> str:
    """What came of a trial, in a line."""
    if record.failure is not None:
        return f"failed at {record.failure.stage} ({record.failure.message})"
    value = wording.value_of(record, standing.objective)
    state = f"{value}, infeasible: misses {wording.missed(record)}" if record.violations else value
    return f"{state} (known from an earlier study)" if record.reused else state


def standing_line(standing: Standing) -> str:
    """The best so far against the baseline."""
    if standing.best is None:
        return "nothing feasible yet"
    line = f"best {formats.metric(standing.objective.metric, standing.best)} (trial {standing.best_number})"
    speedup = standing.speedup
    if speedup is None or standing.best_number == 0:
        return line
    return f"{line}, {formats.times(speedup.value)} the baseline [{formats.interval(speedup)}]"


def counts_line(standing: Standing) -> str:
    """Trials so far, what failed, the time passed and left."""
    left = standing.seconds_left()
    parts = [
        f"{standing.finished} of {standing.trials} trials",
        f"{standing.failed} failed",
        f"{standing.infeasible} infeasible",
        f"{formats.duration(standing.elapsed)} passed",
        f"about {formats.duration(left)} left" if left is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def settings_text(candidate: Candidate) -> str:
    """The settings as NAME=VALUE."""
    return " ".join(f"{name}={formats.setting(value)}" for name, value in candidate.settings.items())


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
