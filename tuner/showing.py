"""Studies and trials as tables for people."""

from collections.abc import Sequence

from dashboards import formats, wording
from studies.records import StudyRecord, TrialRecord
from studies.space import searched
from studies.storage import StudySummary
from tuner.summary import comparison_table, lines_after
from tuner.tables import add_row, new_table, print_table

METRICS_SHOWN = ("error",)


def print_studies(summaries: Sequence[StudySummary]) -> None:
    """A row a study, the newest last."""
    table = new_table("study", "model", "backend", "trials", "failed", "created", "last trial")
    for one in summaries:
        last = formats.moment(one.last_activity) if one.last_activity else formats.MISSING
        created = formats.moment(one.created_at)
        add_row(table, one.name, one.model, one.backend, str(one.trials), str(one.failures), created, last)
    print_table(table)


def print_study(study: StudyRecord) -> None:
    """A row a trial, and what the study found."""
    dimensions = [dimension.name for dimension in searched(study.spec.space)]
    metrics = list(dict.fromkeys([one.metric for one in study.spec.objectives] + list(METRICS_SHOWN)))
    table = new_table("trial", "state", *metrics, *dimensions, "why")
    for trial in study.trials:
        values = (formats.metric(name, trial.metrics.get(name)) for name in metrics)
        settings = (formats.setting(trial.candidate.settings.get(name)) for name in dimensions)
        add_row(table, str(trial.number), trial.state, *values, *settings, _why(trial))
    print_table(table)
    print()
    if study.trials:
        print_table(comparison_table(study))
        print()
    print("\n".join(lines_after(study)))


def print_trial(study: StudyRecord, trial: TrialRecord) -> None:
    """Everything known of one trial."""
    table = new_table()
    add_row(table, "trial", f"{trial.number} of {study.name}")
    add_row(table, "state", f"{trial.state}{': ' + _why(trial) if _why(trial) else ''}")
    if trial.failure is not None and trial.failure.hint:
        add_row(table, "hint", trial.failure.hint)
    for name, value in trial.candidate.settings.items():
        add_row(table, name, formats.setting(value))
    for name, estimate in trial.metrics.items():
        add_row(table, name, formats.metric(name, estimate))
    for stage, seconds in trial.evaluation.stage_seconds.items():
        add_row(table, f"{stage} took", formats.duration(seconds))
    if trial.engine is not None:
        add_row(table, "engine", trial.engine.digest)
    print_table(table)
    if trial.log:
        print(f"\nlog:\n{trial.log.rstrip()}")


def _why(trial: TrialRecord) -> str:
    if trial.failure is not None:
        return f"{trial.failure.stage}: {trial.failure.kind}: {trial.failure.message}"
    return f"misses {wording.missed(trial)}" if trial.violations else ""
