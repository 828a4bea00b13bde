"""Studies and trials as tables for people."""

from collections.abc import Sequence
from typing import get_args

from dashboards import formats, wording
from engines.values import Stage, Value
from studies.records import StudyRecord, TrialRecord
from studies.space import searched
from studies.storage import StudySummary
from tuner.summary import comparison_table, lines_after
from tuner.tables import add_row, new_table, print_table
from tuner.texts import one_line, plain

METRICS_SHOWN = ("error",)


def print_studies(summaries: Sequence[StudySummary]) -> None:
    """A row a study, the newest last."""
    if not summaries:
        print("There are no studies yet: tuner search MODEL makes the first.")
        return
    table = new_table("study", "model", "backend", "trials", "failed", "created", "last trial")
    for one in summaries:
        created, last = formats.moment(one.created_at), formats.moment(one.last_activity)
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
    if study.trials:
        print_table(table)
        print()
        print_table(comparison_table(study))
        print()
    print("\n".join(lines_after(study)))


def print_trial(study: StudyRecord, trial: TrialRecord) -> None:
    """Everything known of one trial."""
    table = new_table()
    add_row(table, "trial", f"{trial.number} of {study.name}")
    add_row(table, "state", f"{trial.state}{', known from an earlier study' if trial.reused else ''}")
    if _why(trial):
        add_row(table, "why", _why(trial))
    if trial.failure is not None and trial.failure.hint:
        add_row(table, "hint", trial.failure.hint)
    for name, value in trial.candidate.settings.items():
        add_row(table, name, formats.setting(value))
    for name, estimate in trial.metrics.items():
        add_row(table, name, formats.metric(name, estimate))
    for output in trial.accuracy.outputs if trial.accuracy else ():
        found = f"{formats.number(output.relative_l2)}, at most {formats.number(output.max_abs)} off"
        add_row(table, f"error of {output.name}", found)
    seconds = trial.evaluation.stage_seconds
    for stage in (name for name in get_args(Stage) if name in seconds):
        add_row(table, f"{stage} took", formats.duration(seconds[stage]))
    for name, fact in _engine_facts(trial).items():
        add_row(table, name, one_line(formats.setting(fact)))
    print_table(table)
    if trial.log.strip():
        print(f"\nlog:\n{plain(trial.log).rstrip()}")


def _engine_facts(trial: TrialRecord) -> dict[str, Value]:
    """The engine's digest, and what its backend read back from it; its build time is among the metrics."""
    if trial.engine is None:
        return {}
    facts = {name.replace("_", " "): fact for name, fact in trial.engine.facts.items()}
    facts.pop("build seconds", None)
    return {"engine": trial.engine.digest, **facts}


def _why(trial: TrialRecord) -> str:
    if trial.failure is not None:
        kind = trial.failure.kind.replace("_", " ")
        return f"failed at {trial.failure.stage}, {kind}: {one_line(trial.failure.message)}"
    return f"misses {wording.missed(trial)}" if trial.violations else ""
