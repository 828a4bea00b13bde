"""Studies and trials as tables for people."""

from collections.abc import Iterator, Sequence
from typing import get_args

from dashboards.words import finalists, formats, verdict
from dashboards.words.deadlines import deadline
from dashboards.words.telemetry import facts, marks_of
from engines.core.values import Dimension, Stage, Value
from studies.analysis.view import StudyView
from studies.core.metrics import DEFAULT_ERROR
from studies.core.records import StudyRecord, TrialRecord
from studies.core.space import searched
from studies.finals.verdict import finals
from studies.storage.storage import StudySummary
from tuner.output.summary import lines_after, print_tables
from tuner.terminal.tables import add_row, new_table, one_line, plain, print_table


def print_studies(summaries: Sequence[StudySummary]) -> None:
    """Print a row a study, the newest last."""
    if not summaries:
        print("There are no studies yet: tuner search MODEL makes the first.")
        return
    table = new_table("study", "model", "backend", "trials", "failed", "created", "last trial")
    for one in summaries:
        created, last = formats.moment(one.created_at), formats.moment(one.last_activity)
        add_row(table, one.name, one.model, one.backend, str(one.trials), str(one.failures), created, last)
    print_table(table)


def print_study(study: StudyRecord) -> None:
    """Print a row a trial, and what the study found."""
    view = StudyView(study)
    dimensions = [
        one.name for one in study.spec.space if one in searched(study.spec.space) or _varies(study, one)
    ]
    own = [metric.name for metric in study.spec.workload.metrics]
    metrics = list(dict.fromkeys([*(one.metric for one in study.spec.objectives), *own, DEFAULT_ERROR]))
    table = new_table("trial", "state", *metrics, *dimensions, "why")
    for trial in study.trials:
        values = (formats.metric(name, trial.metrics.get(name)) for name in metrics)
        settings = (formats.setting(trial.candidate.settings.get(name)) for name in dimensions)
        state = ", ".join([trial.state, *marks_of(trial)])
        add_row(table, str(trial.number), state, *values, *settings, _why(trial))
    if study.trials:
        print_table(table)
        print()
        print_tables(view)
    begun = [f"Begun with what was known of {verdict.priors(study.priors)}."] if study.priors else []
    print("\n".join([*lines_after(view), *begun]))


def _varies(study: StudyRecord, dimension: Dimension) -> bool:
    """Return whether trials differ in it, as a baseline outside of a fixed space does."""
    return len({trial.candidate.settings.get(dimension.name) for trial in study.trials}) > 1


def print_trial(study: StudyRecord, trial: TrialRecord) -> None:
    """Print everything known of one trial."""
    table = new_table()
    for name, told in (*_what(study, trial), *_measured(study, trial), *_made(trial)):
        add_row(table, name, told)
    print_table(table)
    if trial.log.strip():
        print(f"\nlog:\n{plain(trial.log).rstrip()}")


Fact = tuple[str, str]


def _what(study: StudyRecord, trial: TrialRecord) -> Iterator[Fact]:
    """Return the candidate and the state of its trial."""
    yield "trial", f"{trial.number} of {study.name}"
    yield "state", ", ".join([trial.state, *marks_of(trial)])
    if _why(trial):
        yield "why", _why(trial)
    if trial.failure is not None and trial.failure.hint:
        yield "hint", trial.failure.hint
    for name, value in trial.candidate.settings.items():
        yield name, formats.setting(value)


def _measured(study: StudyRecord, trial: TrialRecord) -> Iterator[Fact]:
    """Metrics and errors, how they were measured, and what measuring again showed."""
    for name, estimate in trial.metrics.items():
        yield name, formats.metric(name, estimate)
    for output in trial.accuracy.outputs if trial.accuracy else ():
        found = f"{formats.number(output.relative_l2)}, at most {formats.number(output.max_abs)} off"
        yield f"error of {output.name}", found
    if trial.measurement is not None:
        yield from facts(trial.measurement).items()
    yield from _finals(study, trial)
    certain = deadline(study, trial)
    if certain:
        yield "deadline", certain


def _made(trial: TrialRecord) -> Iterator[Fact]:
    """Return the seconds of each stage, and the facts of the engine."""
    seconds = trial.evaluation.stage_seconds
    for stage in (name for name in get_args(Stage) if name in seconds):
        yield f"{stage} took", formats.duration(seconds[stage])
    if trial.kept_fp32:
        yield "kept in FP32", ", ".join(map(one_line, trial.kept_fp32))
    for name, fact in _engine_facts(trial).items():
        yield name, one_line(formats.setting(fact))


def _finals(study: StudyRecord, trial: TrialRecord) -> Iterator[Fact]:
    """Return what the finals showed of the trial and of its rebuilds."""
    held = finals(study)
    for one, row in finalists.rows(study, held) if held is not None else ():
        if one.trial == trial.number:
            titles = zip(finalists.COLUMNS[2:], row[2:], strict=True)
            found = [told if told.startswith("the ") else f"{title} {told}" for title, told in titles if told]
            yield f"rebuild {one.build}" if one.build else "measured again", "; ".join([row.value, *found])


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
    return f"misses {verdict.missed(trial)}" if trial.violations else ""
