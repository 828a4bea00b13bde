"""What a search ends with: best and baseline side by side, what did not work and why, what to type next."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dashboards.words import evidence, finalists, formats, verdict
from studies.analysis.view import StudyView
from studies.core.metrics import names_where
from studies.core.records import StudyRecord, TrialRecord
from studies.finals.verdict import Finals
from tuner.options.budget import candidates_of
from tuner.terminal.tables import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from studies.run.limits import Limits
    from studies.search.stopping import Left
    from tuner.workflows.outcome import Outcome

MOST_REASONS = 12
LONGEST_REASON = 160
ENDINGS = {
    "complete": "",
    "exhausted": "Nothing is left to try: what was not tried cannot be made, or is the same as what was.",
    "converged": "Stopped, since little is left to gain; to go on, run the same command with --min-gain 0.",
    "timeout": "The time was up; run the same command again to go on.",
    "interrupted": "Interrupted: everything finished is saved; run the same command again to go on.",
}


def print_outcome(outcome: "Outcome") -> None:
    """Print the end of a search, on standard output."""
    view = StudyView(outcome.study)
    if sys.stdout.isatty():
        print()
    if view.best is not None:
        print_tables(view)
    print("\n".join([*lines_after(view), "", *next_steps(outcome)]))


def print_tables(view: StudyView) -> None:
    """Print baseline and best side by side, and the finals if they ran."""
    from tuner.terminal.tables import print_table

    held = view.finals
    for table in (comparison_table(view), *([finals_table(view.study, held)] if held else [])):
        print_table(table)
        print()


def lines_after(view: StudyView) -> list[str]:
    """Return the verdict, its evidence, and a line for each reason of infeasible trials."""
    study = view.study
    reasons = reasons_of(study.trials)
    more = len(reasons) - MOST_REASONS
    shown = [f"  {reason}" for reason in reasons[:MOST_REASONS]]
    if more > 0:
        shown.append(f"  and {formats.plural(more, 'other reason')}: tuner show {shlex.quote(study.name)}")
    heading = [f"Not feasible ({verdict.counted(study)}):"] if shown else []
    return [verdict.verdict(view), *evidence.sentences(view), *heading, *shown]


def reasons_of(trials: Iterable[TrialRecord]) -> list[str]:
    """Return the reasons of failed and infeasible trials, one line each with the trials."""
    missed: dict[str, list[TrialRecord]] = {}
    failed: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state == "infeasible":
            missed.setdefault(", ".join(trial.violations), []).append(trial)
        elif trial.failure is not None:
            failed.setdefault(_failure(trial), []).append(trial)
    return [
        *(f"{_trials(same)}: misses {_nearest(same)}" for same in missed.values()),
        *(f"{_trials(same)}: failed at {reason}" for reason, same in failed.items()),
    ]


def next_steps(outcome: "Outcome") -> list[str]:
    """Return where the results are, and what to type next."""
    name = shlex.quote(outcome.study.name)
    ending = [_ending(outcome)] if _ending(outcome) else []
    chosen = StudyView(outcome.study).recommended
    if outcome.exported is not None and chosen is not None:
        which = "the baseline" if chosen.number == 0 else f"trial {chosen.number}"
        ending.append(f"Engine  {outcome.exported} ({which})")
    return [
        *ending,
        f"Report  {outcome.report}",
        f"Next    tuner show {name}  |  tuner dashboard {name} --open  |  tuner export {name} DIR",
    ]


def comparison_table(view: StudyView) -> "Table":
    """Return baseline and best, a column each, with intervals, above the settings that differ."""
    from tuner.terminal.tables import add_row, new_table

    study, found = view.study, view.comparison
    same = found.best is not None and found.best is found.baseline
    columns = [("baseline", found.baseline), ("best", None if same else found.best)]
    present = [(name, trial) for name, trial in columns if trial is not None]
    table = new_table("", *(f"{name} (trial {trial.number})" for name, trial in present))
    for metric in _shown_metrics(study):
        add_row(table, metric, *(formats.metric(metric, trial.metrics.get(metric)) for _, trial in present))
    for name in _different([trial for _, trial in present]):
        settings = (formats.setting(trial.candidate.settings.get(name)) for _, trial in present)
        add_row(table, name, *settings)
    return table


def _shown_metrics(study: StudyRecord) -> tuple[str, ...]:
    """Return the objectives, and what is shown of every study."""
    objectives = [objective.metric for objective in study.spec.objectives]
    return tuple(dict.fromkeys([*objectives, *names_where(lambda metric: metric.summarised)]))


def finals_table(study: StudyRecord, held: Finals) -> "Table":
    """Return a row for each finalist, the best value first, without empty columns."""
    from tuner.terminal.tables import add_row, new_table

    told = [row for _, row in finalists.rows(study, held)]
    shown = [index for index in range(len(finalists.COLUMNS)) if any(row[index] for row in told)]
    table = new_table(*(finalists.COLUMNS[index] for index in shown))
    for row in told:
        add_row(table, *(row[index] for index in shown))
    return table


def _ending(outcome: "Outcome") -> str:
    name, trials = shlex.quote(outcome.study.name), len(outcome.study.trials)
    if outcome.ending == "converged" and outcome.left is not None and outcome.limits is not None:
        return _converged(trials, outcome.limits, outcome.left)
    if outcome.new_trials or outcome.new_repeats or outcome.ending not in ("complete", "exhausted"):
        return ENDINGS[outcome.ending]
    if outcome.ending == "exhausted" or trials >= candidates_of(outcome.study.spec):
        return f"Nothing was left to do: {name} has tried all that it can (--new begins another)."
    return (
        f"Nothing was left to do: {name} has its {formats.plural(trials, 'trial')} "
        "(--trials N for more, --new for another study)."
    )


def _converged(trials: int, limits: "Limits", left: "Left") -> str:
    """Say after how many trials the search stopped, what gain is left, and how to continue."""
    wanted = limits.min_gain or 0.0
    least = f"{100 * wanted:g} %"
    if left.least > wanted:
        least = f"{formats.share(left.least)}, the least that this machine can tell apart,"
    return (
        f"Stopped after {trials} of {formats.plural(limits.trials, 'trial')}: another {least} is "
        f"{formats.percent(left.chance)} likely, and {formats.share(left.gain)} to be expected of going on. "
        "To go on, run the same command with --min-gain 0."
    )


def _different(trials: Sequence[TrialRecord]) -> list[str]:
    settings = [trial.candidate.settings for trial in trials]
    return [name for name in settings[0] if any(other.get(name) != settings[0][name] for other in settings)]


def _failure(trial: TrialRecord) -> str:
    assert trial.failure is not None
    message = one_line(trial.failure.message)
    if message.startswith("as in trial"):
        message = message.partition(": ")[2]
    return f"{trial.failure.stage}: {formats.shortened(message, LONGEST_REASON)}"


def _nearest(trials: Sequence[TrialRecord]) -> str:
    """Return the constraints missed, with the values of the trial that misses them by least."""
    nearest = min(trials, key=lambda trial: tuple(trial.violations.values()))
    return (
        verdict.missed(nearest).replace("(is ", "(at best ") if len(trials) > 1 else verdict.missed(nearest)
    )


def _trials(trials: Sequence[TrialRecord]) -> str:
    numbers = ", ".join(str(trial.number) for trial in trials[:8]) + (", ..." if len(trials) > 8 else "")
    return f"{'trial' if len(trials) == 1 else 'trials'} {numbers}"
