"""The display of a running search, fed with made-up records."""

import re

from rich.console import Console

from studies.core.records import StudyRecord
from tests.tuner.watching import begin
from tuner.progress.watchers import STOPPING, Live


def test_the_display_shows_everything_at_once(study: StudyRecord) -> None:
    watcher = Live()
    try:
        watcher.preparing("computing the reference outputs")
        assert "computing the reference outputs  0 s" in _drawn(watcher)
        begin(watcher, study)
        for trial in study.trials[:6]:
            watcher.started(trial.number, trial.candidate)
            watcher.finished(trial)
        watcher.started(6, study.trials[6].candidate)
        watcher.stage(6, "measure")
        drawn = _drawn(watcher)
        assert "trial 6: measuring  0 s" in drawn
        assert "precision=" in drawn
        assert "best " in drawn
        assert re.search(r"6 of 12 trials, \d failed, \d infeasible, \d s passed, about \d+ s left", drawn)
        assert STOPPING not in drawn
        watcher.stopping()
        assert STOPPING in _drawn(watcher)
        # which is called again and again while finalists are measured
        watcher.preparing("measuring the finalists again")
        assert STOPPING in _drawn(watcher)
    finally:
        watcher.close()


def test_a_display_for_a_narrow_terminal_has_as_many_lines(study: StudyRecord) -> None:
    watcher = Live()
    try:
        begin(watcher, study, known=6)
        watcher.started(6, study.trials[6].candidate)
        assert _drawn(watcher, 15).count("\n") == _drawn(watcher, 200).count("\n") == 4
    finally:
        watcher.close()


def _drawn(watcher: Live, columns: int = 200) -> str:
    console = Console(width=columns, file=None)
    with console.capture() as captured:
        console.print(watcher._render())
    return captured.get()
