"""What `tuner record` says at its end."""

import shlex

from dashboards.words import formats
from engines.statistics.estimates import Estimate
from studies.core.records import StudyRecord, TrialRecord
from studies.recording.passes import best_of, values_of
from tuner.documents.base import SCHEMA
from tuner.documents.commands import BestRecorded, EndedRecording
from tuner.output.summary import ENDINGS
from tuner.workflows.record import Recorded


def recorded_document(recorded: Recorded) -> EndedRecording:
    """Return the end of a recording as a document."""
    study, best = recorded.study, _best(recorded.study)
    return EndedRecording(
        schema=SCHEMA,
        study=study.name,
        ending=recorded.ending,
        candidates=len(study.trials),
        failed=_count(study, "failed"),
        infeasible=_count(study, "infeasible"),
        runs=len(study.trials) + len(study.repeats),
        new_runs=recorded.new_runs,
        passes=_passes(study),
        best=None if best is None else BestRecorded(trial=best[0].number, value=best[1]),
        landscape=None if recorded.file is None else str(recorded.file),
    )


def print_recorded(recorded: Recorded) -> None:
    """Print the end of a recording for people."""
    study, best = recorded.study, _best(recorded.study)
    counts = (f"{_count(study, 'failed')} failed", f"{_count(study, 'infeasible')} infeasible")
    runs = formats.plural(len(study.trials) + len(study.repeats), "run")
    print(f"{formats.plural(len(study.trials), 'candidate')} recorded ({', '.join(counts)}) in {runs}.")
    if best is not None:
        trial, value = best
        objective = study.spec.objectives[0].metric
        print(f"Best: {formats.metric(objective, Estimate(value))} (trial {trial.number})")
    if recorded.ending not in ("complete", "exhausted"):
        print(ENDINGS[recorded.ending])
    elif recorded.new_runs == 0:
        print("Nothing was left to do.")
    if recorded.file is not None:
        model = shlex.quote(study.spec.workload.model.file.where)
        print(f"Landscape  {recorded.file} ({formats.size(recorded.file.stat().st_size)})")
        print(f"Next       tuner search {model} --backend {shlex.quote(f'replay:landscape={recorded.file}')}")


def _best(study: StudyRecord) -> tuple[TrialRecord, float] | None:
    """Return the best feasible trial over all its runs, and its value there; None without one."""
    values = values_of(study)
    best = best_of(study, 1)
    trial = study.trial(best[0]) if best else None
    return None if trial is None else (trial, values[trial.number])


def _passes(study: StudyRecord) -> int:
    return max((one.session for one in study.repeats if one.role == "again"), default=0)


def _count(study: StudyRecord, state: str) -> int:
    return sum(trial.state == state for trial in study.trials)
