"""What a trial costs, stage by stage, in a stored study: `python -m benchmarks.trial_costs DATABASE STUDY`.

Trials that found their engine are apart from those that built it; `rest` is everything outside the stages:
sampling, storing, talking to the worker.
"""

import sys
from statistics import median

from benchmarks.runs import heading
from studies.core.records import TrialRecord
from studies.storage.storage import open_storage

STAGES = ("graph", "prepare", "build", "load", "check", "warm-up", "measure", "rest")


def split(trial: TrialRecord) -> dict[str, float]:
    """Seconds of each stage, and the rest."""
    seconds = dict(trial.evaluation.stage_seconds)
    return {**seconds, "rest": trial.seconds - sum(seconds.values())}


def main(database: str, name: str) -> None:
    with open_storage(database) as storage:
        study = storage.read_study(name)
    print(heading())
    machine = study.spec.machine
    print(f"study     {name} on {machine.processor}, driver {machine.driver}\n")
    print(f"{'':22}{'trials':>7}" + "".join(f"{stage:>9}" for stage in (*STAGES, "all")))
    measured = [
        trial for trial in study.trials[1:] if trial.measurement is not None and trial.engine is not None
    ]
    for label, reused in (("engine exists", True), ("engine is built", False)):
        rows = [
            split(trial) for trial in measured if trial.engine is not None and trial.engine.reused is reused
        ]
        if not rows:
            continue
        medians = [median(row.get(stage, 0.0) for row in rows) for stage in STAGES]
        whole = median(sum(row.values()) for row in rows)
        print(f"{label:22}{len(rows):7}" + "".join(f"{value:9.3f}" for value in (*medians, whole)))
    print("medians in seconds")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
