"""Every precision of a backend in one table: `python -m benchmarks.precisions MODEL [--shapes ...] ...`.

A search through all graphs of a model with everything else fixed: what each precision gains and costs, what
does not build and the vendor's reason, and what the gate refuses.
"""

import argparse
import shutil
from pathlib import Path

import tuner
from benchmarks.runs import heading
from dashboards.words import formats
from engines.core.values import Dimension, text_of
from studies.core.records import StudyRecord, TrialRecord
from studies.core.space import searched
from tuner.terminal.tables import one_line

LONGEST = 140
# to rank the nodes of a large model takes minutes
LONGEST_TRIAL_SECONDS = 900.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--shapes", action="append", default=[])
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision")
    parser.add_argument("--fix", action="append", default=[])
    parser.add_argument("--constraint", action="append", default=[])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workspace", type=Path, default=Path(".tuner"))
    parser.add_argument("--output", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    print(heading(), flush=True)
    result = tuner.search(
        arguments.model,
        backend=arguments.backend,
        shapes=tuple(arguments.shapes),
        inputs=arguments.inputs,
        precision=arguments.precision,
        fix=tuple(arguments.fix),
        constraints=tuple(arguments.constraint),
        trials=arguments.trials,
        workspace=arguments.workspace,
        output=arguments.output,
        mode="new",
        trial_timeout=LONGEST_TRIAL_SECONDS,
        racing=False,
        finalists=0,
        progress=True,
    )
    print_table(result.study)
    shutil.rmtree(arguments.workspace / "engines", ignore_errors=True)


def print_table(study: StudyRecord) -> None:
    """Markdown, the trials sorted by what they are, with what became of each."""
    space = searched(study.spec.space)
    print(f"\n{study.spec.workload.model.file.name} on {study.spec.machine.processor}")
    print(f"\n| trial | {' | '.join(one.name for one in space)} | ms | times the baseline | error | |")
    print(f"|{'---|' * (len(space) + 5)}")
    rows = [([_setting(one, trial) for one in space], trial) for trial in study.trials]
    for settings, trial in sorted(rows, key=lambda row: row[0]):
        print(f"| {trial.number} | {' | '.join(settings)} | {' | '.join(_found(study, trial))} |")


def _setting(dimension: Dimension, trial: TrialRecord) -> str:
    """Nothing where it means nothing."""
    settings = trial.candidate.settings
    applies = all(settings[name] in values for name, values in dimension.applies_to.items())
    return text_of(settings[dimension.name]) if applies else ""


def _found(study: StudyRecord, trial: TrialRecord) -> tuple[str, ...]:
    latency, error = (trial.metrics.get(name) for name in ("latency_ms", "error"))
    baseline = study.trials[0].metrics.get("latency_ms")
    ratio = f"{baseline.value / latency.value:.2f}" if baseline and latency else ""
    return (
        formats.metric("latency_ms", latency) if latency else "",
        ratio,
        formats.number(error.value) if error else "",
        _why(trial),
    )


def _why(trial: TrialRecord) -> str:
    if trial.failure is not None:
        return f"{trial.failure.stage}: {one_line(trial.failure.message)[:LONGEST]}"
    return f"refused: {', '.join(trial.violations)}" if trial.violations else ""


if __name__ == "__main__":
    main()
