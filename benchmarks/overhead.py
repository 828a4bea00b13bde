"""What a trial costs besides building, checking, warming up and measuring.

Runs the real command with the fake backend, a real worker process and real storage, and reads the figures
from what was stored: from the start of one trial to the start of the next, less what was spent in those
stages. That holds sampling, the talk with the worker, storing, telling Optuna and showing progress.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.runs import heading, model, run, tuner, verdict
from engines.core.values import Samples
from studies.core.records import StudyRecord
from studies.storage.storage import open_storage

LIMIT_MS = 50.0
LIMIT_GROWTH = 2.0
STAGES = ("build", "check", "warm-up", "measure")
EARLY, WINDOW = 50, 50


def search(folder: Path, trials: int) -> StudyRecord:
    """A finished study of so many trials; its space has more candidates than that."""
    workspace = folder / "workspace"
    run(
        tuner(
            *("search", model(folder), "--backend", "fake", "--objective", "throughput"),
            *("--trials", str(trials), "--min-gain", "0", "--workspace", workspace),
        )
    )
    with open_storage(str(workspace / "studies.db")) as storage:
        return storage.read_study(storage.study_names()[-1])


def overhead_ms(study: StudyRecord) -> Samples:
    """Of each trial but the last, which has no next to begin."""
    started = np.array([trial.started_at.timestamp() for trial in study.trials])
    spent = [
        sum(trial.evaluation.stage_seconds.get(stage, 0.0) for stage in STAGES) for trial in study.trials[:-1]
    ]
    return np.asarray((np.diff(started) - np.array(spent)) * 1e3)


def main() -> None:
    """Prints the figures; exits with 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    trials = parser.parse_args().trials
    print(heading())
    with tempfile.TemporaryDirectory() as folder:
        found = overhead_ms(search(Path(folder), trials))
    middle = float(np.median(found))
    early = float(np.median(found[max(0, EARLY - WINDOW // 2) : EARLY + WINDOW // 2]))
    late = float(np.median(found[-WINDOW:]))
    print(
        f"\noverhead  {middle:.1f} ms median, {np.percentile(found, 90):.1f} ms p90, of {len(found)} trials"
    )
    print(f"growth    {early:.1f} ms around trial {EARLY}, {late:.1f} ms around trial {trials}")
    print(f"          a factor of {late / early:.2f}")
    kept = middle <= LIMIT_MS, late <= LIMIT_GROWTH * early
    print(verdict(kept[0], f"at most {LIMIT_MS:.0f} ms median"))
    print(verdict(kept[1], f"the last trials cost at most {LIMIT_GROWTH:.0f} times those around {EARLY}"))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
