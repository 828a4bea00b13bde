"""What a search ends with: best and baseline side by side, what did not work and why, what to type next."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dashboards import formats, wording
from studies.analysis import comparison
from studies.records import StudyRecord, TrialRecord
from tuner.searching import Outcome

if TYPE_CHECKING:
    from rich.table import Table

MOST_REASONS = 12
SHOWN = ("latency_ms", "p99_ms", "throughput", "error", "engine_bytes", "build_seconds")
ENDINGS = {
    "complete": "",
    "exhausted": "Every candidate of the space was tried.",
    "timeout": "The time was up; run the same command again to go on.",
    "interrupted": "Interrupted: everything finished is saved; run the same command again to go on.",
}


def print_outcome(outcome: Outcome) -> None:
    """The end of a search, on standard output."""
    from tuner.tables import print_table

    print()
    if comparison(outcome.study).best is not None:
        print_table(comparison_table(outcome.study))
        print()
    print("\n".join([*lines_after(outcome.study), "", *next_steps(outcome)]))


def lines_after(study: StudyRecord) -> list[str]:
    """The verdict, and a line for each reason that trials are not among the feasible."""
    reasons = reasons_of(study.trials)
    more = len(reasons) - MOST_REASONS
    shown = [f"  {reason}" for reason in reasons[:MOST_REASONS]]
    if more > 0:
        shown.append(f"  and {formats.plural(more, 'other reason')}: tuner show {study.name}")
    heading = [f"Not feasible ({wording.counted(study)}):"] if shown else []
    return [wording.verdict(study), *heading, *shown]


def reasons_of(trials: Iterable[TrialRecord]) -> list[str]:
    """Why trials failed or are infeasible, one line a reason with the trials that it concerns."""
    grouped: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state != "feasible":
            grouped.setdefault(_reason(trial), []).append(trial)
    return [_line(reason, same) for reason, same in grouped.items()]


def next_steps(outcome: Outcome) -> list[str]:
    """Where the results are, and what to type next."""
    name = outcome.study.name
    steps = [ENDINGS[outcome.ending]] if ENDINGS[outcome.ending] else []
    if outcome.exported is not None:
        steps.append(f"Engine  {outcome.exported}")
    return [
        *steps,
        f"Report  {outcome.report}",
        f"Next    tuner show {name}  |  tuner dashboard {name} --open  |  tuner export {name} DIR",
    ]


def comparison_table(study: StudyRecord) -> "Table":
    """Baseline and best, a row each, with intervals; the settings in which they differ below."""
    from tuner.tables import add_row, new_table

    found = comparison(study)
    metrics = list(dict.fromkeys([objective.metric for objective in study.spec.objectives] + list(SHOWN)))
    rows = [("baseline", found.baseline), ("best", found.best)]
    present = [(name, trial) for name, trial in rows if trial is not None]
    table = new_table("", *(f"{name} (trial {trial.number})" for name, trial in present))
    for metric in metrics:
        add_row(table, metric, *(formats.metric(metric, trial.metrics.get(metric)) for _, trial in present))
    for name in _different(found.baseline, found.best):
        settings = (formats.setting(trial.candidate.settings.get(name)) for _, trial in present)
        add_row(table, name, *settings)
    return table


def _different(baseline: TrialRecord | None, best: TrialRecord | None) -> list[str]:
    if baseline is None or best is None:
        return []
    before, after = baseline.candidate.settings, best.candidate.settings
    return [name for name in after if before.get(name) != after[name]]


def _reason(trial: TrialRecord) -> str:
    if trial.failure is not None:
        message = (
            trial.failure.message.partition(": ")[2]
            if trial.failure.message.startswith("as in trial")
            else ""
        )
        return f"failed at {trial.failure.stage}: {formats.shortened(message or trial.failure.message, 160)}"
    return f"misses {', '.join(trial.violations)}"


def _line(reason: str, trials: list[TrialRecord]) -> str:
    numbers = ", ".join(str(trial.number) for trial in trials[:8]) + (", ..." if len(trials) > 8 else "")
    noun = "trial" if len(trials) == 1 else "trials"
    return f"{noun} {numbers}: {reason}"
