"""The display of a search on a terminal: a few lines that are redrawn in place."""

import time
from typing import TYPE_CHECKING, Any

from tuner.progress.base import STOPPING, Following
from tuner.progress.lines import counts_line, log_lines, settings_text, standing_line, trial_line
from tuner.terminal.tables import clock

if TYPE_CHECKING:
    from engines.core.values import Candidate, Stage
    from studies.core.records import TrialRecord


class Live(Following):
    """A display of a few lines that is redrawn in place, the clock included."""

    def __init__(self, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live as Display
        from rich.spinner import Spinner

        super().__init__(verbose)
        self._settings, self._detail = "", ""
        self._console: Console = Console(stderr=True)
        self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line")
        self._display = Display(
            console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True
        )
        self._display.start()

    def started(self, number: int, candidate: "Candidate") -> None:
        self._settings = settings_text(candidate)
        super().started(number, candidate)

    def stage(self, number: int, stage: "Stage", detail: str = "") -> None:
        super().stage(number, stage)
        self._detail = detail

    def finished(self, record: "TrialRecord") -> None:
        if self._standing is None:
            return  # the baseline of a plan
        before = self._standing.best_number
        self._standing.add(record)
        if record.failure is not None or self._standing.best_number != before:
            self._say(f"trial {record.number}: {trial_line(record, self._standing)}")
        self._say(*log_lines(record, self._verbose))

    def close(self) -> None:
        self._display.stop()

    def _doing(self, what: str) -> None:
        self._detail = ""
        super()._doing(what)

    def _say(self, *lines: str, style: str = "dim") -> None:
        from rich.text import Text

        for line in lines:
            self._console.print(Text(line, style=style))

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


def _line(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style, overflow="ellipsis", no_wrap=True)
